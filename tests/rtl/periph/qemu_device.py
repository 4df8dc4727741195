"""QEMU's `virt` devices as a model to judge ours by: single accesses through QEMU's qtest protocol.

The CPU is stopped, so virtual time stands still and nothing but the test touches a device.
"""

import functools
import re
import shutil
import socket
import subprocess

import pytest

COMMAND = "qemu-system-riscv64"


@functools.cache
def plic_path() -> str:
    """Where QEMU keeps its PLIC in its object tree."""
    command = [COMMAND, "-M", "virt", "-S", "-display", "none", "-serial", "null", "-monitor", "stdio"]
    tree = subprocess.run(command, input="info qom-tree\nquit\n", capture_output=True, text=True, check=True).stdout
    found = re.search(r"/(device\[\d+\]) \(riscv.sifive.plic\)", tree)
    assert found, f"no PLIC in {tree}"
    return f"/machine/unattached/{found[1]}"


class QemuDevices:
    """One stopped QEMU. Its serial line is `serial`, a socket; `lines` holds the interrupt lines that are high.

    watch   "in": `lines` are the PLIC's inputs, which do not reach it then; "out": its outputs, S-mode's first
    """

    def __init__(self, *, watch: str | None = None) -> None:
        if shutil.which(COMMAND) is None:
            pytest.skip(f"{COMMAND} is not installed: it is the judge of this test")
        ours, theirs = socket.socketpair()
        self.serial = ours
        self._process = subprocess.Popen(
            [
                *(COMMAND, "-M", "virt", "-S", "-display", "none", "-monitor", "none", "-bios", "none"),
                *("-chardev", f"socket,id=line,fd={theirs.fileno()}", "-serial", "chardev:line"),
                *("-qtest", "stdio", "-qtest-log", "none"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        self.lines: set[int] = set()
        if watch:
            self._ask(f"irq_intercept_{watch} {plic_path()}")

    def __enter__(self) -> "QemuDevices":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self.serial.close()

    def _ask(self, command: str) -> str:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("OK"):
                return line[2:].strip()
            if line.startswith("IRQ"):
                _, change, number = line.split()
                (self.lines.add if change == "raise" else self.lines.discard)(int(number))
            if line.startswith(("ERR", "FAIL")):
                raise RuntimeError(f"{command}: {line.strip()}")
        raise RuntimeError(f"{COMMAND} ended at {command!r}")

    def read(self, address: int, size: int) -> int:
        return int(self._ask(f"read{'_bw_l___q'[size]} {address:#x}"), 16)

    def write(self, address: int, value: int, size: int) -> None:
        self._ask(f"write{'_bw_l___q'[size]} {address:#x} {value:#x}")

    def set_line(self, number: int, level: bool) -> None:
        """Drives an input of the PLIC."""
        self._ask(f"set_irq_in {plic_path()} unnamed-gpio-in {number} {int(level)}")
