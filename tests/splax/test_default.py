"""What `splax run` and `splax qemu` boot when nothing is named: our firmware, our kernel, the services."""

import json
import os
import re

PROMPT_CYCLES = 10_000_000


def same_on_both(text: str) -> list[str]:
    """What may differ: the twin's device tree is longer, by devices that only it has."""
    return re.sub(r"\d+ KiB free", "N KiB free", text.replace("\r", "")).splitlines()


def test_the_shell_comes_up_on_the_hardware_in_time_with_the_twins_words(splax, tmp_path):
    stats = tmp_path / "stats"
    done = splax("run", "--until", "splax> ", "--max-cycles", PROMPT_CYCLES, "--stats", stats)
    assert done.returncode == 0, done.stderr
    for text in ("Splax firmware: SBI", "console     ns16550 at 0x10000000, interrupt 10", "`help` lists the commands"):
        assert text in done.stdout, text
    assert json.loads(stats.read_text())["cycles"] < PROMPT_CYCLES
    twin = splax("qemu", "--until", "splax> ", "--timeout", "60")
    assert twin.returncode == 0, twin.stderr
    assert same_on_both(twin.stdout) == same_on_both(done.stdout)


def test_commands_from_a_pipe_all_reach_the_shell(splax):
    """What stands in the pipe before the machine has started too. On QEMU the first byte is lost now and then."""
    reading, writing = os.pipe()
    os.write(writing, b"uptime\nshutdown\n")
    os.close(writing)
    with os.fdopen(reading) as pipe:
        done = splax("run", "--max-cycles", PROMPT_CYCLES, stdin=pipe)
    assert done.returncode == 0, done.stderr
    assert re.search(r"splax> uptime\r?\nup \d.*\r?\nsplax> shutdown", done.stdout), done.stdout
