"""python -m firmware --out fw.bin [--elf fw.elf]"""

import argparse
import shutil
from pathlib import Path

from firmware.image import build_firmware


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m firmware", description="Builds the machine-mode firmware.")
    parser.add_argument("--out", type=Path, help="write the raw image (fw_dynamic, for --bios)")
    parser.add_argument("--elf", type=Path, help="write the ELF file, for gdb")
    options = parser.parse_args()
    firmware = build_firmware()
    for source, target in ((firmware.image, options.out), (firmware.elf, options.elf)):
        if target:
            shutil.copyfile(source, target)
    print(firmware.report())


if __name__ == "__main__":
    main()
