"""python -m firmware --out fw.bin [--elf fw.elf]: also as `splax build-firmware`."""

import argparse
import os
import shutil
from pathlib import Path

from firmware.image import build_firmware


def write(out: Path | None, elf: Path | None) -> None:
    """Writes what is asked for, whole or not at all, and prints what was built."""
    firmware = build_firmware()
    for source, target in ((firmware.image, out), (firmware.elf, elf)):
        if target:
            fresh = target.with_name(target.name + ".new")
            shutil.copyfile(source, fresh)
            os.replace(fresh, target)
    print(firmware.report)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m firmware", description="Builds the machine-mode firmware.")
    parser.add_argument("--out", type=Path, help="write the raw image (fw_dynamic, for --bios)")
    parser.add_argument("--elf", type=Path, help="write the ELF file, for debuggers")
    options = parser.parse_args()
    write(options.out, options.elf)


if __name__ == "__main__":
    main()
