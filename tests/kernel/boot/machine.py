"""A machine under QEMU with a console that a test types on and reads from."""

import os
import re
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import pytest

PACKAGES = {
    "qemu-system-riscv64": "qemu-system-misc",
    "qemu-system-aarch64": "qemu-system-arm",
    "qemu-system-x86_64": "qemu-system-x86",
}


class Machine:
    """One run. Skips the test when the program is missing, naming the Debian package."""

    def __init__(self, command: Sequence[str]) -> None:
        if shutil.which(command[0]) is None:
            pytest.skip(f"{command[0]} is missing: install {PACKAGES.get(command[0], command[0])}")
        self.command = list(command)
        self.text = ""
        self._seen = 0
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
        )

    def __enter__(self) -> "Machine":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                stream.close()

    def expect(self, wanted: str, seconds: float = 20) -> str:
        """Reads until the text comes; gives what came since the last one."""
        deadline = time.monotonic() + seconds
        while (at := self.text.find(wanted, self._seen)) < 0:
            if not self._read(deadline):
                raise AssertionError(f"no {wanted!r} within {seconds} s from {' '.join(self.command)}:\n{self.text}")
        since, self._seen = self.text[self._seen : at + len(wanted)], at + len(wanted)
        return since

    def _read(self, deadline: float) -> bool:
        assert self.process.stdout
        output = self.process.stdout.fileno()
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([output], [], [], left)[0]:
            return False
        data = os.read(output, 1 << 16)
        self.text += data.decode(errors="replace").replace("\r", "")
        return bool(data)

    def send(self, text: str) -> None:
        """Types."""
        assert self.process.stdin
        self.process.stdin.write(text.encode())

    def ticks(self, seconds: float = 20) -> int:
        """Timer interrupts so far, once `uptime` has shown two different numbers of them."""
        deadline = time.monotonic() + seconds
        seen: set[int] = set()
        while len(seen) < 2:
            if time.monotonic() > deadline:
                raise AssertionError(f"the timer does not tick: {seen} in {seconds} s")
            self.send("uptime\r")
            seen |= {int(n) for n in re.findall(r"ms, (\d+) timer interrupts", self.expect("\n> "))}
            time.sleep(0.05)
        return max(seen)

    def wait(self, seconds: float = 20) -> int:
        """The exit status, once the machine ends by itself."""
        deadline = time.monotonic() + seconds
        while self._read(deadline):
            pass
        return self.process.wait(max(0.1, deadline - time.monotonic()))


class Monitor:
    """QEMU's own view of a machine, through its human monitor at a socket: `monitor(folder)` gives the option."""

    def __init__(self, path: Path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(str(path))
        self._answer()

    def ask(self, command: str) -> str:
        """What it answers."""
        self.socket.sendall(command.encode() + b"\n")
        return self._answer()

    def _answer(self) -> str:
        text = b""
        while not text.endswith(b"(qemu) "):
            more = self.socket.recv(1 << 16)
            assert more, "QEMU ended"
            text += more
        return text.decode(errors="replace").replace("\r", "")


def monitor(folder: Path) -> list[str]:
    """Options for a monitor at folder/monitor."""
    return ["-monitor", f"unix:{folder / 'monitor'},server=on,wait=off"]


def reboots_and_panics(machine: Machine, status: int, seconds: float = 240) -> None:
    """At the monitor, whatever started it: a reboot comes back to it, a panic ends the machine with `status`."""
    for command in ("reboot\r", "panic\r"):
        machine.expect("\nSplax\n", seconds)
        machine.expect("\n> ")
        machine.send(command)
    assert machine.wait() == status
    for text in ("panic: index out of bounds", "values 1005, 128", "kernel_monitor__fail+", "kernel_start+"):
        machine.expect(text, seconds=0.1)
