"""`splax build-kernel`, and the kernel that the other commands boot when none is named."""

from pathlib import Path

from kernel import image, iso, manifest
from sim import boot
from sim.errors import BuildError, InputError

from .options import RunOptions
from .progress import Progress


def check_arch(arch: str) -> None:
    """Refuses an architecture that there is none of."""
    if arch not in image.ARCHITECTURES:
        raise InputError(f"unknown architecture {arch!r}", f"use one of {', '.join(image.ARCHITECTURES)}")


def build(arch: str, out: Path | None, verbose: bool = False) -> str:
    """Builds; writes `out` and `out`.elf if a place is named; gives what to print."""
    check_arch(arch)
    check_place(out)
    try:
        with Progress().building(f"the {arch} kernel") as report:
            made = image.write(arch, out, report) if out else image.build(arch, report)
        return made.report(verbose).rstrip()
    except image.ImageError as error:
        raise BuildError(str(error)) from error
    except OSError as error:
        raise InputError(f"cannot write the kernel: {error}", "free space, or name another place") from error


def check_place(out: Path | None) -> None:
    """Refuses a place where no file can be written, before the work is done."""
    if out and out.is_dir():
        raise InputError(f"cannot write {out}: it is a directory", "name a file")
    if out and not out.parent.is_dir():
        raise InputError(f"cannot write {out}: there is no directory {out.parent}", "make it first")


def check_iso(arch: str, out: Path) -> None:
    """Refuses a disc image that there will not be, before the kernel is built."""
    if arch != "x86_64":
        raise InputError(f"--iso is for x86_64, not {arch}", "leave it out")
    if absent := iso.missing():
        raise InputError("a disc image needs packages that are not installed", f"apt-get install {' '.join(absent)}")
    check_place(out)


def write_iso(arch: str, out: Path, command_line: str) -> str:
    """Writes a disc image; gives the line to print."""
    check_iso(arch, out)
    try:
        iso.write(default_kernel(arch), out, command_line)
    except image.ImageError as error:
        raise BuildError(str(error)) from error
    return f"{out}: disc image for BIOS and UEFI, {out.stat().st_size} bytes"


def default_kernel(arch: str) -> Path:
    """The kernel's boot file, built if need be."""
    return default_image(arch).path


def default_image(arch: str) -> image.Image:
    """The kernel, built if need be."""
    check_arch(arch)
    try:
        with Progress().building(f"the {arch} kernel") as report:
            return image.build(arch, report)
    except image.ImageError as error:
        raise BuildError(str(error)) from error


def images(options: RunOptions) -> tuple[str, Path | None]:
    """Firmware and kernel of a run on our machine or its twin. Where no kernel is named it is ours, on our firmware or
    OpenSBI; a firmware file, or none, is run with the kernel that is named or without one."""
    names = ("default", "splax", "opensbi")
    kernel = options.kernel or (default_kernel("riscv64") if options.bios in names else None)
    if options.bios == "splax" or (options.bios == "default" and not options.kernel):
        return str(_our_firmware()), kernel
    return str(boot.default_firmware()) if options.bios in names else options.bios, kernel


def write_firmware(out: Path | None, elf: Path | None) -> None:
    """Builds the firmware, writes what is named, prints what was built."""
    from firmware.__main__ import write

    check_place(out)
    check_place(elf)
    try:
        with Progress().building("the firmware") as report:
            built = write(out, elf, report)
        print(built)
    except manifest.BuildError as error:
        raise BuildError(f"the firmware does not build:\n{error}") from None
    except OSError as error:
        raise InputError(f"cannot write the firmware: {error}", "free space, or name another place") from error


def _our_firmware() -> Path:
    from firmware.image import build_firmware

    try:
        with Progress().building("the firmware") as report:
            return build_firmware(report).image
    except manifest.BuildError as error:
        raise BuildError(f"the firmware does not build:\n{error}") from None
