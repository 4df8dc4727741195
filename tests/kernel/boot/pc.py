"""PCs under QEMU: q35 with a debug exit, so that a failure is an exit status (code * 2 + 1)."""

import os
import struct
from pathlib import Path

import pytest

from kernel import image
from kernel.arch.x86_64.pvh import note

from .machine import Machine

QEMU = "qemu-system-x86_64 -M q35 -display none -nodefaults -serial stdio".split()
DEBUG_EXIT = ["-device", "isa-debug-exit,iobase=0xf4,iosize=1"]
FAILED = 3  # the debug exit's status of code 1
OVMF = Path("/usr/share/OVMF")


def pc(*more: str, cpu: str = "max", memory: str = "128M", reboots: bool = False) -> Machine:
    """A machine with these options."""
    once = [] if reboots else ["-no-reboot"]
    return Machine([*QEMU, *DEBUG_EXIT, *once, "-cpu", cpu, "-m", memory, *more])


def kernel() -> str:
    """The kernel's boot file."""
    return str(image.build("x86_64").path)


def pvh(*more: str, **how) -> Machine:
    """A machine that QEMU's -kernel starts."""
    return pc("-kernel", kernel(), "-append", "monitor", *more, **how)


def uefi() -> list[str]:
    """Options for UEFI firmware, its variables thrown away."""
    for suffix in ("_4M", ""):
        code, variables = OVMF / f"OVMF_CODE{suffix}.fd", OVMF / f"OVMF_VARS{suffix}.fd"
        if code.exists() and variables.exists():
            flash = "if=pflash,format=raw,file="
            return ["-drive", f"{flash}{code},readonly=on", "-drive", f"{flash}{variables},snapshot=on"]
    pytest.skip("UEFI firmware is missing: install ovmf")


def limine() -> Path:
    """The folder with Limine's boot files (limine-bios.sys and others): its release, or where its `make install` puts
    them. Debian has no package of it."""
    for folder in (os.environ.get("LIMINE"), "/usr/share/limine", "/usr/local/share/limine"):
        if folder and (Path(folder) / "limine-bios.sys").exists():
            return Path(folder)
    pytest.skip("the Limine boot loader is missing: set LIMINE to the folder of its binary release, version 8")


STUB_AT, DATA_AT = 0x60_0000, 0x60_1000


def stub(folder: Path, entry: int, *, eax: int = 0, ebx: int = DATA_AT, data: bytes = b"") -> list[str]:
    """Options that start the kernel at `entry` with these registers and this data, as a broken boot loader would.

    QEMU's -kernel starts a program of four instructions instead; the kernel is just put into memory.
    """
    code = b"\xb8" + struct.pack("<I", eax) + b"\xbb" + struct.pack("<I", ebx)  # mov eax; mov ebx
    code += b"\xb9" + struct.pack("<I", entry) + b"\xff\xe1"  # mov ecx; jmp ecx
    content = code.ljust(DATA_AT - STUB_AT, b"\0") + data.ljust(0x1000, b"\0")
    elf_note = note(STUB_AT)
    programs = [
        struct.pack("<IIQQQQQQ", 4, 4, 64 + 2 * 56, 0, 0, len(elf_note), len(elf_note), 4),
        struct.pack("<IIQQQQQQ", 1, 7, 0x1000, STUB_AT, STUB_AT, len(content), len(content), 0x1000),
    ]
    ident = struct.pack("<4sBBBBQ", b"\x7fELF", 2, 1, 1, 0, 0)
    head = ident + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, STUB_AT, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    path = folder / "stub"
    path.write_bytes((head + b"".join(programs) + elf_note).ljust(0x1000, b"\0") + content)
    return ["-kernel", str(path), "-device", f"loader,file={kernel()}"]
