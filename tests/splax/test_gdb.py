"""gdb on the kernel: it stops at a line of a .py file, and shows that file, the callers and the values of locals, on
QEMU. gdb on the simulated hardware: steps, traps, translated addresses, CSRs.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .bare_metal import LOOP, PAGED, assemble

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "kernel" / "printing.py"
LINE_TEXT = "        digits[count] = 48 + trunc(rest % 10, u8)"
SECONDS = 300
COMMANDS = ("continue", "info line", "bt 3", "print rest", "print count", "list", "next", "next", "print count")


def line_number() -> int:
    """Where put_decimal makes a digit."""
    return SOURCE.read_text().splitlines().index(LINE_TEXT) + 1


def splax(*arguments: str, **options):
    return subprocess.Popen([sys.executable, "-m", "splax", *arguments], cwd=ROOT, **options)


def session(directory: Path, machine_arguments: list[str], gdb_arguments: list[str], *commands: str) -> tuple[str, int]:
    """What gdb says, attached to `splax MACHINE_ARGUMENTS`, and that one's exit status."""
    if not shutil.which("gdb-multiarch"):
        pytest.skip("gdb is missing: apt-get install gdb-multiarch")
    at = directory / "gdb"
    machine_arguments = [*machine_arguments, "--gdb", str(at)]
    with splax(*machine_arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as machine:
        try:
            end = time.monotonic() + SECONDS
            while not at.is_socket() and time.monotonic() < end and machine.poll() is None:
                time.sleep(0.1)
            gdb = ["gdb", "--connect", str(at), *gdb_arguments, "-nx", "-batch"]
            gdb += [part for text in commands for part in ("-ex", text)]
            with splax(
                *gdb, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ | {"COLUMNS": "500"}
            ) as run:
                said = run.communicate(timeout=SECONDS)[0].decode()
            print(said)
            status = machine.wait(timeout=SECONDS)
        finally:
            machine.kill()
    return said, status


def check(said: str) -> None:
    """At the line, with the source, the callers and the values: the kernel prints the number of processors, 1."""
    number = line_number()
    assert "put_decimal (value=" in said and f"at kernel/printing.py:{number}" in said
    assert f"{number}\t{LINE_TEXT}" in said
    banner = (ROOT / "kernel" / "banner.py").read_text().splitlines()
    caller = next(n for n, line in enumerate(banner, 1) if "put_decimal(u64(info.cpu_count))" in line)
    assert "kernel_banner__banner (info=" in said and f"at kernel/banner.py:{caller}" in said
    assert "kernel_main__kernel_main" in said
    values = [line.split(" = ")[1] for line in said.splitlines() if line.startswith("$")]
    assert values[:2] == ["1", "0"], "rest and count in the first round"


@pytest.mark.parametrize("arch", ["riscv64", "x86_64", "aarch64"])
def test_gdb_shows_kernel_python_on_qemu(arch, tmp_path):
    machine, gdb, info = ["qemu", "--arch", arch], ["--arch", arch], f"kernel_arch_{arch}_boot__boot_info"
    commands = [f"break kernel/printing.py:{line_number()}", *COMMANDS, f"print {info}.cpu_count", "step", "kill"]
    said = session(tmp_path, machine, gdb, *commands)[0]
    check(said)
    values = [line.split(" = ")[1] for line in said.splitlines() if line.startswith("$")]
    assert values[3] == "1", "a field of a struct"
    assert "runtime.h" not in said.split("$4 =")[1], "a step stays in Python"


def in_order(said: str, *expected: str) -> None:
    """Each text comes behind the one before it."""
    at = 0
    for text in expected:
        found = said.find(text, at)
        assert found >= 0, f"{text!r} is missing behind {said[:at][-200:]!r}"
        at = found + len(text)


def test_gdb_on_the_hardware_follows_traps_and_translation(tmp_path):
    elf = assemble(tmp_path, PAGED)
    dialogue = [
        (f"add-symbol-file {elf} -o 0x40000000", "offset by 0x40000000"),
        ("x/2i $pc", "=> 0x1000:"),
        ("stepi 2", "0x0000000000001008"),
        ("break supervisor", "Breakpoint 1"),
        ("continue", "Breakpoint 1.2, supervisor"),
        ("p $satp < 0", "$1 = 1"),
        ("info registers priv", "[Supervisor]"),
        ("x/gx 0x40000000", "0x0000000000000005"),  # `variable`, by three levels of tables
        ("x/gx 0x40001000", "Cannot access memory at address 0x40001000"),
        ("break increment", "Breakpoint 2"),
        ("continue", "Breakpoint 2.2, increment"),
        ("p/x $a0", "$2 = 0x5"),
        ("finish", "supervisor () at"),
        ("p/x $a0", "$3 = 0x7"),
        ("break fault", "Breakpoint 3"),
        ("continue", "Breakpoint 3.2, fault"),
        ("stepi", "machine_trap ()"),  # the load has no page: the handler
        ("p/x $mcause", "$4 = 0xd"),
        ("p/x $mtval", "$5 = 0x8"),
        ("p/x $mepc", "$6 = 0xc00000"),
        ("info registers priv", "[Machine]"),
        ("stepi 3", "mret"),
        ("stepi", "ecall"),  # through mret, back into translation
        ("set variable $a0 = 1", "registers cannot be set"),
        ("monitor where", "supervisor mode"),
        ("delete", ""),
        ("continue", "exited with code 07"),
    ]
    commands, answers = zip(*dialogue, strict=True)
    said, status = session(tmp_path, ["run", "--elf", str(elf)], ["--elf", str(elf)], *commands)
    in_order(said, *answers)
    assert status == 7


def test_gdb_interrupts_the_hardware_and_ends_it(tmp_path):
    elf = assemble(tmp_path, LOOP)
    presses = "python import os, signal, threading; threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()"
    machine = ["run", "--elf", str(elf)]
    said, status = session(tmp_path, machine, ["--elf", str(elf)], presses, "continue", "p/x $pc", "kill")
    in_order(said, "Program received signal SIGINT", "$1 = 0x80000000", "killed")
    assert status == 130


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (
            ("gdb", "--connect", "/nowhere"),
            "--connect /nowhere: there is no such socket; start the machine with --gdb first",
        ),
        (("gdb", "--connect", "70000"), "--connect 70000 is not a port"),
        (("gdb", "--arch", "vax", "--connect", "1"), "unknown architecture 'vax'"),
        (("gdb", "--elf", "/nowhere", "--connect", "1"), "/nowhere is not there"),
        (("qemu", "--gdb", "0"), "--gdb 0 is not a port"),
        (("run", "--gdb", "1", "--trace", "t"), "no --trace and no --wave with it"),
    ],
    ids=["socket", "port", "arch", "elf", "port0", "trace"],
)
def test_a_bad_debugger_option_is_one_line(arguments, error):
    with splax(*arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as run:
        said = run.communicate(timeout=SECONDS)[0].decode()
    assert run.returncode == 2 and error in said and said.count("\n") == 1, said


def test_a_missing_gdb_is_named_with_its_package(tmp_path):
    environment = {"PATH": str(tmp_path), "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    with splax("gdb", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment) as run:
        said = run.communicate(timeout=SECONDS)[0].decode()
    assert run.returncode == 2 and "apt-get install gdb-multiarch" in said
