"""Boots both Debians' firmware on QEMU and on the SoC, and shows where their consoles differ.

python -m tests.firmware            Debian 12's and Debian 13's (the long regression)
python -m tests.firmware --qemu     what they say on QEMU alone
"""

import argparse
import sys

from tests.firmware import trixie
from tests.firmware.dialogue import DEBIAN_12, differences, normalised, on_qemu, on_soc


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.firmware", description="OpenSBI and U-Boot, SoC against QEMU."
    )
    parser.add_argument("--qemu", action="store_true", help="show QEMU's console and compare nothing")
    args = parser.parse_args()
    failed = 0
    for name, images in (("Debian 12", DEBIAN_12), ("Debian 13", trixie.images())):
        if args.qemu:
            print(on_qemu(images))
            continue
        difference = differences(normalised(on_qemu(images)), normalised(on_soc(images)))
        print(f"{name}: {'the same as on QEMU' if not difference else 'DIFFERS'}")
        print("\n".join(difference), end="\n" if difference else "", flush=True)
        failed += bool(difference)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
