"""python -m firmware --out fw.bin [--elf fw.elf]: also as `splax build-firmware`."""

import argparse
from collections.abc import Callable
from pathlib import Path

from firmware.image import build_firmware
from kernel import manifest


def write(out: Path | None, elf: Path | None, heard: Callable[[str], None] = lambda step: None) -> str:
    """Writes what is asked for, whole or not at all; gives what to print. `heard` is told what the build does."""
    firmware = build_firmware(heard)
    for source, target in ((firmware.image, out), (firmware.elf, elf)):
        if target:
            manifest.copy(source, target)
    return firmware.report


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m firmware", description="Builds the machine-mode firmware.")
    parser.add_argument("--out", type=Path, help="write the raw image (fw_dynamic, for --bios)")
    parser.add_argument("--elf", type=Path, help="write the ELF file, for debuggers")
    options = parser.parse_args()
    print(write(options.out, options.elf))


if __name__ == "__main__":
    main()
