"""Talks to U-Boot's prompt, on QEMU and on the SoC, and gives what the console said.

A transcript is never stored: both sides run now, with the same images, and must say the same up to the differences
that `normalised` names, each with its reason.
"""

import difflib
import os
import re
import select
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kernel.image import build
from tests.lockstep.reference import QEMU, cpu

if TYPE_CHECKING:
    from sim.machine import Machine

PROMPT = b"\n=> "
MONITOR = b"\n> "
COUNTDOWN = b"Hit any key to stop autoboot:"
"""Where U-Boot is stopped: there is nothing it could boot, and finding that out takes it two million cycles."""
RAM_BYTES = 128 << 20
KERNEL_AT = 0x8600_0000
BOOT_KERNEL = ("setenv bootargs monitor two=3", f"booti {KERNEL_AT:x} - $fdtcontroladdr")
"""Starts our kernel, whose monitor's prompt ends the dialogue."""
COMMANDS = ("bdinfo", "sbi", "md 80200000 40", "crc32 80200000 8000", "pci", "printenv bootdelay", *BOOT_KERNEL)
QEMU_SECONDS = 60
SOC_CYCLES = 120_000_000
"""Far more than U-Boot needs to its prompt, or for any of the commands."""


@dataclass(frozen=True)
class Images:
    """M-mode firmware (fw_dynamic, raw) and U-Boot for supervisor mode (raw)."""

    bios: Path
    kernel: Path

    def missing(self) -> str | None:
        for path in (self.bios, self.kernel):
            if not path.exists():
                return str(path)
        return None


DEBIAN_12 = Images(
    Path("/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin"),
    Path("/usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin"),
)


def prompt_after(command: str) -> bytes:
    """What ends a command's text."""
    return MONITOR if command == BOOT_KERNEL[-1] else PROMPT


def qemu_command(images: Images) -> list[str]:
    """QEMU with no devices but those every `virt` has. Our kernel is in memory, at KERNEL_AT."""
    line = [QEMU, "-M", "virt", "-cpu", cpu(), "-m", f"{RAM_BYTES >> 20}M", "-nodefaults", "-display", "none"]
    line += ["-serial", "stdio", "-bios", str(images.bios), "-kernel", str(images.kernel)]
    return [*line, "-device", f"loader,file={build('riscv64').path},addr={KERNEL_AT:#x},force-raw=on"]


def on_qemu(images: Images, commands: Sequence[str] = COMMANDS) -> str:
    """QEMU's console."""
    process = subprocess.Popen(
        qemu_command(images), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdin and process.stdout
    output, deadline = bytearray(), time.monotonic() + QEMU_SECONDS

    def until(wanted: bytes, start: int = 0) -> None:
        while wanted not in output[start:]:
            if not select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise AssertionError(
                    f"QEMU gives no {wanted!r} in {QEMU_SECONDS} s:\n{output.decode(errors='replace')}"
                )
            output.extend(os.read(process.stdout.fileno(), 1 << 16))

    try:
        until(COUNTDOWN)
        process.stdin.write(b"\n")
        process.stdin.flush()
        until(PROMPT)
        for command in commands:
            start = len(output)
            process.stdin.write(command.encode() + b"\n")
            process.stdin.flush()
            until(prompt_after(command), start)
    finally:
        process.kill()
        process.wait()
    return output.decode()


@contextmanager
def walked_soc(images: Images, commands: Sequence[str] = COMMANDS) -> Iterator["Machine"]:
    """The SoC, where all the commands have been typed."""
    from rtl.soc import SocConfig
    from sim.machine import Machine

    with Machine(SocConfig(ram_bytes=RAM_BYTES)) as machine:
        machine.load_virt(bios=images.bios, kernel=images.kernel)
        walk(machine, commands)
        yield machine


def walk(machine: "Machine", commands: Sequence[str]) -> None:
    """From reset, with our kernel in memory: stops U-Boot's countdown, types the commands."""
    from sim.machine import Reason

    machine.memory.write(KERNEL_AT, build("riscv64").path.read_bytes())
    for typed, wanted in [("", COUNTDOWN), ("\n", PROMPT), *((f"{c}\n", prompt_after(c)) for c in commands)]:
        machine.console.write(typed.encode())
        outcome = machine.run(until=wanted, cycles=SOC_CYCLES)
        if outcome.reason is not Reason.TEXT:
            said = machine.console.output.decode(errors="replace")
            raise AssertionError(f"no {wanted!r} after {typed!r} ({outcome.reason.value}, {machine.where()}):\n{said}")


def on_soc(images: Images, commands: Sequence[str] = COMMANDS) -> str:
    """The SoC's console."""
    with walked_soc(images, commands) as machine:
        return machine.console.output.decode()


DIFFERENCES: tuple[tuple[str, str, str], ...] = (
    (r"^(Hit any key to stop autoboot:).*", r"\1", "how far the countdown came"),
    (r"^(Core: +)\d+ devices, \d+ uclasses", r"\1N devices", "virtio-mmio and fw_cfg are QEMU's own, not in the SoC"),
    (
        r"^(Working FDT set to ).*",
        r"\1X",
        "U-Boot puts the tree below itself: the address follows from the tree's size",
    ),
    (
        r"^(.*(Device Tree blob at|fdt blob at|Device Tree in place at)) .*",
        r"\1 X",
        "so does where our kernel is given it",
    ),
    (r"^(  memory +128 MiB, )\d+ KiB", r"\1N KiB", "and how much memory it leaves"),
    (r"^((fdt_blob|new_fdt|fdt_size) += ).*", r"\1X", "the tree has no nodes for devices that are not there"),
    (
        r"^( (reserved)\[\d+\]).*",
        r"\1 X",
        "the tree and the heap above it are reserved; their addresses follow its size",
    ),
    (r"^(Domain0 Next Arg1 +: ).*", r"\1X", "where the tree was put"),
    (
        r"^(Boot HART ISA Extensions +: .*),sdtrig",
        r"\1",
        "OpenSBI 1.6 names triggers where tselect exists: ours reads 0, none",
    ),
    (r"^(Firmware (Heap|Scratch) Size +: \d+ K?B).*", r"\1 X", "and keeps a few bytes for them"),
    (r"^(  (Architecture|Implementation) ID ).*", r"\1X", "marchid and mimpid say who made the hart"),
)


def normalised(transcript: str) -> list[str]:
    """Lines of a transcript, without what may differ."""
    lines = transcript.replace("\r", "").replace("\b", "").split("\n")
    for pattern, replacement, _ in DIFFERENCES:
        lines = [re.sub(pattern, replacement, line) for line in lines]
    return [line.rstrip() for line in lines]


def differences(expected: Sequence[str], seen: Sequence[str]) -> list[str]:
    """Where QEMU's console and the SoC's differ, as a unified diff."""
    return list(difflib.unified_diff(expected, seen, "QEMU", "SoC", lineterm=""))
