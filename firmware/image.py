"""The built firmware: `python -m firmware --out FILE` writes the raw image, and says what is in it.

While nothing has changed it is found without importing the compiler (kernel/manifest.py); firmware/compile.py makes it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kernel import manifest

IMAGE, ELF = "firmware.bin", "firmware.elf"


@dataclass(frozen=True)
class Firmware:
    """A built firmware: the raw image, the ELF file for debuggers, sizes in bytes, and a report of sizes and stacks."""

    image: Path
    elf: Path
    sizes: dict[str, int]
    report: str


def place() -> Path:
    """Where it is kept."""
    return manifest.directory("firmware")


def build_firmware(heard: Callable[[str], None] = lambda step: None) -> Firmware:
    """The firmware of the project's sources, built if need be; raises manifest.BuildError when they do not compile.

    `heard` is told what the build does, where there is anything to build.
    """
    facts, _ = manifest.built(place(), "firmware.compile", heard, KERNEL_ARCH="riscv64")
    return Firmware(place() / IMAGE, place() / ELF, facts["sizes"], facts["report"])
