"""QEMU's machines of the other architectures: what our kernel boots on beside RISC-V.

x86_64 starts it by -kernel (PVH), or with `bios` "grub" or "uefi" from a disc image: GRUB and Multiboot2, from a BIOS
or from UEFI.
"""

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from .errors import InputError, MissingTool
from .twin import Twin, debugger_options

UEFI = {
    "aarch64": ("/usr/share/qemu-efi-aarch64/QEMU_EFI.fd", "qemu-efi-aarch64"),
    "x86_64": ("/usr/share/ovmf/OVMF.fd", "ovmf"),
}


@dataclass(frozen=True)
class Kind:
    """A machine: the program, its Debian package, and its options."""

    program: str
    package: str
    options: str


KINDS = {
    "aarch64": Kind("qemu-system-aarch64", "qemu-system-arm", "-M virt -cpu cortex-a57"),
    # A failure ends the machine through the debug port, as status 2 * code + 1.
    "x86_64": Kind(
        "qemu-system-x86_64", "qemu-system-x86", "-M q35 -cpu max -device isa-debug-exit,iobase=0xf4,iosize=1"
    ),
}


@dataclass
class OtherTwin(Twin):
    """One run of another architecture's machine; `bios` is a firmware file, "uefi", or "default": QEMU's own way.

    `ours`: the kernel is our own. It may then end the run with a status, which on Arm takes semihosting: a door to
    this machine's files that others' kernels do not get.
    """

    arch: str = "aarch64"
    ours: bool = False
    disc: Path | None = None
    _scratch: tempfile.TemporaryDirectory[str] = field(
        default_factory=lambda: tempfile.TemporaryDirectory(prefix="splax-")
    )

    @property
    def directory(self) -> Path:
        """Where files of this run may be; it goes with the object."""
        return Path(self._scratch.name)

    def check(self) -> None:
        """Refuses a run for which something is missing."""
        kind = KINDS[self.arch]
        if shutil.which(kind.program) is None:
            raise MissingTool(f"{kind.program} is not installed", f"apt-get install {kind.package}")
        if self.bios == "uefi" and not Path(UEFI[self.arch][0]).exists():
            raise MissingTool(f"{UEFI[self.arch][0]} is not installed", f"apt-get install {UEFI[self.arch][1]}")
        names = {"x86_64": ("default", "uefi", "grub"), "aarch64": ("default", "uefi")}[self.arch]
        if self.bios not in names and not Path(self.bios).is_file():
            raise InputError(f"there is no firmware {self.bios}", f"name a file, or one of {', '.join(names)}")

    def command(self, gdb: str | None = None) -> list[str]:
        """QEMU's command line."""
        self.check()
        kind = KINDS[self.arch]
        command = [kind.program, *kind.options.split(), "-m", f"{self.config.ram_bytes >> 20}M"]
        if self.arch == "aarch64" and self.ours:
            command += ["-semihosting-config", "enable=on,target=native"]
        command += ["-display", "none", "-monitor", "none", "-nodefaults", "-serial", "stdio"]
        if self.bios not in ("default", "grub"):  # QEMU's own BIOS starts GRUB.
            command += ["-bios", UEFI[self.arch][0] if self.bios == "uefi" else self.bios]
        for option, value in (("-kernel", self.kernel), ("-initrd", self.initrd), ("-append", self.append)):
            command += [option, str(value)] if value and not self.disc else []
        if self.disc:
            command += ["-drive", f"if=virtio,format=raw,readonly=on,file={self.disc}"]
        return command + debugger_options(gdb or self.debugger)

    def run(self) -> int:
        """Runs to the end; gives the exit status."""
        status = super().run()
        return (status - 1) // 2 if self.arch == "x86_64" and self.ended_by == "finish" and status >= 3 else status
