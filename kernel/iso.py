"""A disc image that boots the x86_64 kernel through GRUB and Multiboot2, on PCs with a BIOS and on those with UEFI.

GRUB's own tool writes it; the modules for both firmwares come from Debian's grub-pc-bin and grub-efi-amd64-bin.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

from kernel.image import ImageError

TOOLS = {"grub-mkrescue": "grub-common", "xorriso": "xorriso", "mformat": "mtools"}
FIRMWARES = {"i386-pc": "grub-pc-bin", "x86_64-efi": "grub-efi-amd64-bin"}
GRUB = Path("/usr/lib/grub")
_PARTITIONS = "acorn amiga apple bsd dfly dvh gpt msdos plan sun sunpc".split()  # GRUB for UEFI asks for all of them
MODULES = " ".join(["multiboot2 normal serial terminal iso9660 configfile", *(f"part_{name}" for name in _PARTITIONS)])


def missing() -> list[str]:
    """Debian packages that writing an image needs and that are not installed."""
    return [package for tool, package in TOOLS.items() if shutil.which(tool) is None] + [
        package for folder, package in FIRMWARES.items() if not (GRUB / folder).is_dir()
    ]


def configuration(command_line: str) -> str:
    """GRUB's: no menu, everything on the serial port."""
    return "\n".join(
        [
            "serial --unit=0 --speed=115200",
            "terminal_input serial",
            "terminal_output serial",
            "set timeout=0",
            'menuentry "Splax" {',
            f"    multiboot2 /boot/splax {command_line}".rstrip(),
            "}",
            "",
        ]
    )


def write(kernel: Path, out: Path, command_line: str = "") -> None:
    """Writes the image. The command line is the kernel's; GRUB gives special characters a meaning, so none of them."""
    absent = missing()
    if absent:
        raise ImageError(f"a disc image needs packages that are not installed: apt-get install {' '.join(absent)}")
    bad = sorted(set(command_line) & set("\"'\\${}<>|&;#\n"))
    if bad:
        raise ImageError(f"the command line has {''.join(bad)!r}, which GRUB would not pass on: leave it out")
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "root"
        (root / "boot" / "grub").mkdir(parents=True)
        shutil.copyfile(kernel, root / "boot" / "splax")
        (root / "boot" / "grub" / "grub.cfg").write_text(configuration(command_line))
        fresh = Path(scratch) / "image.iso"
        options = ["--locales=", "--fonts=", "--themes=", f"--install-modules={MODULES}"]
        command = ["grub-mkrescue", *options, "-o", str(fresh), str(root)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode or not fresh.exists():
            raise ImageError(f"{' '.join(command)}: status {result.returncode}\n{result.stderr.strip()}")
        shutil.move(fresh, out)
