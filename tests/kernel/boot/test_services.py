"""The whole system in user mode on QEMU: what the shell shows is live, and services come back."""

import fcntl
import inspect
import re
import time

import pytest

from kernel import image
from kernel.core.state import State
from kernel.services.description import SYSTEM
from kernel.services.init import main as init
from kernel.services.shell.main import HELP
from sim.gdb import GdbClient

from .machine import Machine
from .test_riscv64 import QEMU

PROMPT = "\nsplax> "
KERNEL_PHYSICAL = 0x8020_0000
PLAIN = "-display none -monitor none -nodefaults -serial stdio -no-reboot -m 128M".split()
MACHINES = {
    "riscv64": QEMU,
    "x86_64": ["qemu-system-x86_64", "-M", "q35", *PLAIN],
    "aarch64": ["qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a72", *PLAIN],
}


def machine() -> Machine:
    return Machine([*QEMU, "-append", "services", "-kernel", str(image.build("riscv64").path)])


def ask(m: Machine, command: str) -> str:
    """What a command prints."""
    m.send(command + "\r")
    m.expect(command)
    return m.expect(PROMPT).removesuffix("splax> ").strip()


@pytest.fixture(scope="module")
def shell():
    with machine() as m:
        m.expect(PROMPT, 60)
        yield m


AT_BOOT = [service.name for service in SYSTEM.services if service.at_boot]


def all_are_well(services: str) -> bool:
    """Whether every service of the boot runs, by what `services` printed."""
    return all(rows(services)[name][:2] == ["running", "healthy"] for name in AT_BOOT)


def rows(text: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split()[1:] for line in text.splitlines()[1:] if line.strip()}


def test_who_holds_what_is_what_the_build_reported(shell):
    """On the other architectures: test_transcript."""
    assert ask(shell, "caps") + "\n" == image.build("riscv64").holders


def test_a_capabilitys_delegation_chain_is_listed_with_who_holds_each_one(shell):
    rows = [line.split() for line in ask(shell, "caps atlas 17").splitlines()[1:]]
    number = init.FIRST_ENDPOINT + SYSTEM.index("console")
    assert [row[:4] for row in rows[:3]] == [
        ["atlas", "17", "endpoint", "-w-g-"],
        ["console", "4", "endpoint", "-w-g-"],
        ["s-init", str(number), "endpoint", "rwxgv"],
    ]
    assert rows[3][0] == "s-init" and rows[3][2] == "untyped", "the memory that it lies in"
    assert [int(row[-1]) for row in rows] == [4, 3, 2, 1], "how many stand above it, the origin among them"
    for command in ("caps atlas", "caps atlas x", "caps atlas 1 2", "caps atlas 17 &"):
        assert ask(shell, command) == "usage: caps [NAME SLOT]"
    for slot in ("16", "64", "99999999999"):
        assert ask(shell, f"caps atlas {slot}") == "that slot is empty"
    assert ask(shell, "caps nobody 1") == "nobody: nobody of that name holds anything"
    assert ask(shell, "caps trial-never 1") == "trial-never is not running"


def test_threads_and_memory_are_live(shell):
    threads = rows(ask(shell, "ps"))
    assert set(threads) == {"s-init", *(s.name for s in SYSTEM.services)}
    assert threads["s-init"][1] in ("receiving", "ready"), "it answers this very question"
    assert threads["atlas"][1] == "receiving"
    states = re.findall(r"^console +\d+ (\w+)", ask(shell, "ps"), re.M)
    assert states == ["receiving", "waiting"], "the second thread waits for the interrupt"
    memory = rows(ask(shell, "mem"))
    for service in SYSTEM.services:
        size, used = map(int, memory[service.name])
        assert size == 1 << service.memory_bits and used <= size and (used > 0) == service.at_boot
        assert service.at_boot or threads[service.name] == ["is", "not", "running"]


def test_a_stopped_service_is_down_until_it_is_started(shell):
    for name in ("atlas", "console", "shell"):
        assert ask(shell, f"svc stop {name}").startswith("nobody could start it again: the shell stands on it")
    assert "it runs already" in ask(shell, "svc start console")
    assert "no such service" in ask(shell, "svc stop nobody")
    assert "usage" in ask(shell, "svc jump console")
    assert all("frobnicate: no such command" in ask(shell, f"frobnicate{more}") for more in ("", " now", " a b c d"))
    assert all("takes no arguments" in ask(shell, f"mem{more}") for more in (" now", " a b c d"))
    assert ask(shell, "help svc now") == "usage: help [COMMAND]"
    assert all("N from 1 to 10000" in ask(shell, f"ipcbench {n}") for n in ("0", "10001", "x", "-1"))


def test_help_lists_every_command_or_says_of_one_what_it_does(shell):
    assert [line.split()[0] for line in ask(shell, "help").splitlines()] == [usage.split()[0] for usage in HELP]
    ((usage, meaning),) = [row for row in HELP.items() if row[0].startswith("svc ")]
    assert re.fullmatch(f"{re.escape(usage)} +{re.escape(meaning)}", ask(shell, "help svc"))
    for word in ("sv", "svcs", "nothing"):
        assert ask(shell, f"help {word}") == f"{word}: no such command; `help` lists what there is"


def test_a_killed_console_comes_back_with_its_clients(shell):
    """The shell loses its console in the middle of a command, and finds it again by the same capability."""
    before = rows(ask(shell, "services"))
    shell.send("svc kill console\r")
    shell.expect(PROMPT, 30)
    after = rows(ask(shell, "services"))
    assert int(after["console"][4]) == int(before["console"][4]) + 1, "restarts"
    assert after["console"][:2] == ["running", "healthy"]
    log = ask(shell, "dmesg")
    assert re.search(r"console +restarting\n.*console +registered\n.*console +restarted", log, re.S)


def test_whoever_is_restarted_goes_on_with_a_new_life_even_the_shell_and_s_atlas(shell):
    """Nobody is left out of what S-ATLAS knows after it has died itself: they register again."""
    first = rows(ask(shell, "services"))
    shell.send("svc restart shell\r")
    shell.expect("`help` lists the commands\n")
    shell.expect(PROMPT.strip())
    second = rows(ask(shell, "services"))
    assert int(second["shell"][3]) > int(first["shell"][3]), "registered again"
    for command in ("svc restart atlas", "svc kill atlas"):
        thread = rows(ask(shell, "ps"))["atlas"][0]
        assert ask(shell, command) == ("atlas was killed" if "kill" in command else "atlas was restarted")
        assert rows(ask(shell, "ps"))["atlas"][0] != thread
        deadline = time.monotonic() + 20
        while not all_are_well(ask(shell, "services")):
            assert time.monotonic() < deadline
    assert ask(shell, "caps") + "\n" == image.build("riscv64").holders


def test_dmesg_tells_what_the_kernel_said_and_what_s_atlas_recorded_in_the_order_of_time(shell):
    banner = re.search(r"\n(Splax\n(  .*\n)+)", shell.text)[1]
    dead = re.search(r"fault .*", ask(shell, "run wild 0x123456789"))[0]
    log = [line.split(maxsplit=2) for line in ask(shell, "dmesg").splitlines()]
    times = [float(time) for time, *_ in log]
    assert times == sorted(times) and times[0] > 0
    kernel = [text for _, by, text in log if by == "kernel"]
    assert kernel[: len(banner.splitlines())] == [line.strip() for line in banner.splitlines()]
    assert re.fullmatch(f"thread \\d+ died: {re.escape(dead)}", kernel[-1])
    assert [text for _, by, text in log if by == "atlas"][:3] == [f"{name} registered" for name in AT_BOOT]


def test_a_killed_service_gives_all_its_memory_back(shell):
    """Three lives take what one takes."""
    first = rows(ask(shell, "mem"))["console"]
    for _ in range(2):
        shell.send("svc kill console\r")
        shell.expect(PROMPT, 30)
    assert rows(ask(shell, "mem"))["console"] == first


def test_time_passes_and_interrupts_are_counted(shell):
    first = float(re.search(r"up (\S+) s,", ask(shell, "uptime"))[1])
    assert float(re.search(r"up (\S+) s,", ask(shell, "uptime"))[1]) > first
    assert re.search(r"10 +[1-9]\d* +bound", ask(shell, "irq")), "the UART's"
    assert "rv64ima" in ask(shell, "lscpu")


def test_lines_are_edited_and_remembered(shell):
    shell.send("uptimX\x7fe\r")
    shell.expect("up ")
    shell.expect(PROMPT)
    shell.send("\x1b[A\r")
    shell.expect("up ")
    shell.expect(PROMPT)


def test_what_the_shell_asked_for_is_audited(shell):
    ask(shell, "caps")
    assert re.search(r"granted|deleted|derived", ask(shell, "audit"))


def test_programs_in_python_and_in_c_run_and_give_everything_back(shell):
    """`mem` and `caps` are the same before and after, whichever way a program ended."""
    before = ask(shell, "mem"), ask(shell, "caps")
    assert ask(shell, "run hello 5") == "hello from user mode; my argument is 5\nhello ended with 5"
    assert ask(shell, "run hello-c 0x10") == "hello from C\nhello-c ended with 16"
    death = ask(shell, "run wild 0x123456789")
    assert re.search(
        r"^wild died: fault 0xd of the CPU, at address 0x123456789, program counter 0x1[0-9a-f]{4}$", death, re.M
    )
    assert (ask(shell, "mem"), ask(shell, "caps")) == before


def test_ipcbench_crosses_between_address_spaces_in_every_row(shell):
    before = ask(shell, "mem")
    text = ask(shell, "ipcbench 300")
    assert text.startswith("IPC Benchmark Results (300 iterations):")
    assert "\nTarget: <500ns for small messages, <2us for service calls\n" in text
    measured = re.findall(r"^  (call,|reply|call with|notification|page|null)[^\n]*?(\d+) +(\d+) +(\d+)$", text, re.M)
    assert [name for name, *_ in measured] == ["call,", "reply", "call with", "notification", "page", "null"]
    for _, low, median, high in measured:
        assert 0 < int(low) <= int(median) <= int(high)
    assert text.endswith("ipcbench ended with 0") and "usage" in ask(shell, "ipcbench x")
    assert "usage" in ask(shell, "ipcbench 0")
    assert ask(shell, "mem") == before


def test_control_c_ends_a_program_and_what_was_typed_ahead_waits_for_the_end_of_one(shell):
    before = ask(shell, "mem")
    for _ in range(2):
        shell.send("run spin\r")
        shell.expect("spinning")
        shell.send("\x03")
        shell.expect("^C")
        shell.expect(PROMPT)
    assert ask(shell, "mem") == before
    shell.send("run hello 1\rrun hello 2\r")
    shell.expect("ended with 1")
    shell.expect("ended with 2")
    shell.expect(PROMPT)


def test_channels_and_ps_show_what_a_program_has_made_while_it_runs_beside_the_shell(shell):
    assert ask(shell, "channels") == "nobody holds a channel"
    ask(shell, "run pages &")
    shell.expect("1 left in the channel\n")
    line = rows(ask(shell, "channels"))
    assert line == {next(iter(line)): ["(run)", "own", "8", "both", "1", "3", "1"]}, "waiting, shared, moved"
    states = [rows(ask(shell, "ps"))["(run)"][1] for _ in range(5)]
    assert "sleeping" in states, states
    assert ask(shell, "run hello") == "a program runs already: `kill` ends it"
    assert ask(shell, "kill") == "pages was killed" and ask(shell, "kill") == "no program runs"
    ask(shell, "ipcbench 2000 &")
    shell.expect("across address spaces")
    own = re.findall(r"^\(run\) +(\d+) (?:ready|calling|receiving|waiting|sleeping) .*", ask(shell, "ps"), re.M)
    assert len(set(own)) == len(own) == 3, "the program's thread, and those of the two that it has made"
    ends = {line.split()[4] for line in ask(shell, "channels").splitlines()[1:]}
    assert ends == {"both", "receive"}, "the benchmark made it, its peer reads"
    shell.expect("ipcbench ended with 0", 60)
    shell.expect(PROMPT.strip())
    assert ask(shell, "channels") == "nobody holds a channel" and "(run)" not in ask(shell, "ps")


def test_the_line_that_was_begun_is_back_after_a_program_beside_the_shell_has_ended(shell):
    shell.send("run hello 3 &\rupti")
    shell.expect("hello ended with 3\nsplax> upti")
    assert "up " in ask(shell, "me")


def test_what_cannot_be_run_is_an_error_that_lists_what_can(shell):
    for command in ("run console", "run", "run nothing", "run a b c"):
        text = ask(shell, command)
        assert "hello-c" in text and len(text.splitlines()) == 1
    assert "the argument is a number" in ask(shell, "run hello x")
    assert ask(shell, "run hello 0xfF").endswith("hello ended with 255")


def test_restarts_back_off_and_are_at_most_five_a_minute_and_nobody_falls_with_who_is_away():
    """The machine's clock jumps over what it would sleep. While the console is away, for up to a minute, the shell's
    output waits; its heartbeat does not."""
    command = [
        *QEMU,
        "-icount",
        "shift=4,sleep=off",
        "-append",
        "services",
        "-kernel",
        str(image.build("riscv64").path),
    ]
    with Machine(command) as m:
        m.expect(PROMPT, 60)
        for _ in range(7):
            m.send("svc kill console\r")
            m.expect(PROMPT, 60)
        services = ask(m, "services")
        log = ask(m, "dmesg")
    times = [float(t) for t in re.findall(r"([\d.]+)  atlas   console restarting", log)]
    assert len(times) == 7
    for n in range(4):
        assert times[n + 1] - times[n] >= 2 ** (n + 1), times
    assert all(b - a >= 60 for a, b in zip(times, times[5:], strict=False)), times
    assert log.count("console restart-failed") == 2, "the sixth and the seventh had to wait for the minute"
    assert rows(services)["console"][4] == "7" and rows(services)["shell"][4] == "0"
    assert all_are_well(services)


def test_a_terminal_that_is_stopped_gets_every_line_once_when_it_goes_on():
    """Longer than the shell waits for an answer, longer than S-ATLAS lets a heartbeat be late."""
    with machine() as m:
        m.expect(PROMPT, 60)
        assert m.process.stdout
        fcntl.fcntl(m.process.stdout, fcntl.F_SETPIPE_SZ, 4096)
        m.send("caps\r" * 5)
        time.sleep(5)
        for _ in range(5):
            m.expect("caps\n", 5)
            assert m.expect(PROMPT) == image.build("riscv64").holders + "splax> "
        services = ask(m, "services")
        assert all_are_well(services) and all(row[4] == "0" for row in rows(services).values())


def test_without_the_first_program_there_is_no_system_and_the_run_ends_with_status_1():
    """It finds too little memory for its services, and panics."""
    with Machine([*QEMU, "-m", "8", "-append", "services", "-kernel", str(image.build("riscv64").path)]) as m:
        line = m.expect("\npanic: ", 60)
        must = [n for n, text in enumerate(inspect.getsource(init).splitlines(), 1) if "S-INIT cannot set up" in text]
        assert f"\nthe first program panicked in line {must[0]}\n" in line
        m.expect("the first program has ended, and with it the system\n")
        m.expect("kernel_core_system_calls__execute+")
        assert m.wait() == 1


def test_a_panic_of_the_kernel_under_its_services_is_shown_and_ends_the_run_with_status_1(tmp_path):
    """A bit of the scheduler's is flipped from outside: a queue has a thread, says the bitmap, that is not there."""
    made = image.build("riscv64")
    at = image.Elf(made.elf.read_bytes()).symbols
    where = KERNEL_PHYSICAL + at["kernel_core_state__kernel"] - at["image_start"] + State.fields["ready"].offset
    stub = f"unix:{tmp_path / 'gdb'},server=on,wait=off"
    with Machine([*QEMU, "-gdb", stub, "-append", "services", "-kernel", str(made.path)]) as m:
        m.expect(PROMPT, 60)
        gdb = GdbClient(str(tmp_path / "gdb"))
        assert gdb.receive(10) is not None, "it stops"
        assert gdb.command("Qqemu.PhyMemMode:1") == "OK"
        assert gdb.command(f"M{where + 7:x},1:80") == "OK"
        gdb.send("c")
        m.expect("\npanic: ", 60)
        m.expect("kernel/core/scheduler.py:", 10)
        m.expect("kernel_core_system_calls__leave_kernel+", 10)
        assert m.wait() == 1
        gdb.close()


def test_shutdown_ends_the_machine_with_status_0_and_reboot_starts_it_again():
    with machine() as m:
        m.expect(PROMPT, 60)
        m.send("shutdown\r")
        assert m.wait() == 0
