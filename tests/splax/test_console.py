"""The console: terminal, pipe, file, leaving, and what is left behind."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest

from sim.build import ROOT

from .bare_metal import ECHO, LOOP, assemble
from .conftest import Splax


class OnTerminal:
    """`splax` on a terminal of its own."""

    def __init__(self, *arguments: str | Path):
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        command = [sys.executable, "-m", "splax", *map(str, arguments)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=self.slave, stdout=self.slave, stderr=self.slave)
        self.seen = b""

    def wait_for(self, text: bytes, seconds: float = 600) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if select.select([self.master], [], [], 0.1)[0]:
                self.seen += os.read(self.master, 4096)

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def end(self) -> int:
        """Waits for the end; checks that the terminal is as it was."""
        deadline = time.monotonic() + 60
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.seen
            if select.select([self.master], [], [], 0.1)[0]:
                self.seen += os.read(self.master, 4096)
        assert termios.tcgetattr(self.slave) == self.before
        os.close(self.master)
        os.close(self.slave)
        return self.process.returncode


def test_keys_reach_the_machine_and_control_a_x_leaves(tmp_path: Path) -> None:
    terminal = OnTerminal("run", "--elf", assemble(tmp_path, ECHO))
    terminal.wait_for(b"Ctrl-A x leaves")
    terminal.type(b"hi\x01\x01!")
    terminal.wait_for(b"hi\x01!")
    terminal.type(b"\x01s")
    terminal.wait_for(b"machine mode")
    terminal.type(b"\x03")
    terminal.wait_for(b"\x03")
    terminal.type(b"\x01x")
    assert terminal.end() == 0


def test_two_control_c_leave(tmp_path: Path) -> None:
    terminal = OnTerminal("run", "--elf", assemble(tmp_path, LOOP))
    terminal.wait_for(b"Ctrl-A x leaves")
    terminal.type(b"\x03\x03")
    assert terminal.end() == 130


def test_program_that_ends_gives_the_terminal_back(tmp_path: Path) -> None:
    terminal = OnTerminal("run", "--elf", assemble(tmp_path, ECHO))
    terminal.wait_for(b"Ctrl-A x leaves")
    terminal.type(b"q")
    assert terminal.end() == 0


def interruptible(command: list[str], **options: Any) -> "subprocess.Popen[str]":
    """Starts a program that SIGINT reaches, also where these tests run in the background and ignore it."""
    return subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **options,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_leaves_files_whole(splax: Splax, tmp_path: Path, number: signal.Signals) -> None:
    program, stats = assemble(tmp_path, LOOP), tmp_path / "results" / "stats"
    assert splax("run", "--elf", program, "--max-cycles", "1000").returncode == 124  # the simulator is built
    stats.parent.mkdir()
    command = [sys.executable, "-m", "splax", "run", "--elf", str(program), "--stats", str(stats), "--until", "never"]
    process = interruptible(command)
    time.sleep(5)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    if process.returncode < 0:
        pytest.skip("the signal came before the run began")
    assert process.returncode == 128 + number
    assert "Traceback" not in errors
    assert json.loads(stats.read_text())["ended_by"] == "interrupted"
    assert [path.name for path in stats.parent.iterdir()] == ["stats"]


def test_a_signal_ends_a_build_at_once_and_keeps_nothing_half_built(tmp_path: Path) -> None:
    environment = os.environ | {"SPLAX_CACHE": str(tmp_path)}
    command = [sys.executable, "-m", "splax", "run", "--elf", str(assemble(tmp_path, LOOP)), "--max-cycles", "10"]
    process = interruptible(command, env=environment)
    assert process.stderr
    while "compiling C++" not in process.stderr.readline():
        assert process.poll() is None, "it ended before it built anything"
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130 and time.monotonic() - started < 20
    assert not [*tmp_path.glob("*/design.*"), *tmp_path.glob("*/simulator.so")]


def test_file_as_input_repeats_to_the_cycle_and_its_end_ends_nothing(splax: Splax, tmp_path: Path) -> None:
    program, typed = assemble(tmp_path, ECHO), tmp_path / "typed"
    typed.write_text("some text, longer than the FIFO of 16 bytes; q")
    cycles = []
    for turn in range(2):
        with typed.open() as file:
            stats = tmp_path / f"stats{turn}"
            done = splax("run", "--elf", program, "--stats", stats, "--timeout", "60", stdin=file)
        assert (done.returncode, done.stdout) == (0, typed.read_text())
        cycles.append(json.loads(stats.read_text())["cycles"])
    assert cycles[0] == cycles[1]
    typed.write_text("no end")
    with typed.open() as file:
        done = splax("run", "--elf", program, "--max-cycles", "200000", stdin=file)
    assert (done.returncode, done.stdout) == (124, "no end")


def test_pipe_as_input(tmp_path: Path) -> None:
    program = assemble(tmp_path, ECHO)
    command = [sys.executable, "-m", "splax", "run", "--elf", str(program), "--timeout", "60"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdin and process.stdout
    process.stdin.write(b"first")
    process.stdin.flush()
    assert process.stdout.read(5) == b"first"
    process.stdin.write(b" then q")
    process.stdin.close()
    assert process.stdout.read() == b" then q"
    assert process.wait(60) == 0
    process.stdout.close()


def test_reader_that_goes_away_ends_the_run(tmp_path: Path) -> None:
    command = f"yes | {sys.executable} -m splax run --elf {assemble(tmp_path, ECHO)} --timeout 60 | head -c 20"
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "y\n" * 10
    assert "Traceback" not in done.stderr
