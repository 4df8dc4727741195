"""Debian 13's OpenSBI and U-Boot on whatever Debian runs here: its packages, unpacked into build/, never installed.

apt does the work with a configuration of its own (one source, state and cache below build/), so that the machine's
stays as it is.
"""

import subprocess
from pathlib import Path

from tests.firmware.dialogue import Images

BUILD = Path(__file__).resolve().parents[2] / "build" / "trixie"
SOURCE = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian trixie main\n"
PACKAGES = ("opensbi", "u-boot-qemu")


class Unavailable(RuntimeError):
    """The packages cannot be had: no network, or not Debian."""


def images() -> Images:
    """The images; the first call downloads 12 MB."""
    root = BUILD / "root"
    found = Images(
        root / "usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin",
        root / "usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin",
    )
    if found.missing():
        for folder in ("state/lists/partial", "cache/archives/partial", "root"):
            (BUILD / folder).mkdir(parents=True, exist_ok=True)
        (BUILD / "sources.list").write_text(SOURCE)
        options = {
            "Dir::Etc::SourceList": BUILD / "sources.list", "Dir::Etc::SourceParts": "-", "Dir::State": BUILD / "state",
            "Dir::State::status": "/var/lib/dpkg/status", "Dir::Cache": BUILD / "cache", "APT::Sandbox::User": "root",
        }  # fmt: skip
        apt = ["apt-get", "-q", *(part for name, value in options.items() for part in ("-o", f"{name}={value}"))]
        try:
            subprocess.run([*apt, "update"], check=True, cwd=BUILD, capture_output=True, timeout=300)
            subprocess.run([*apt, "download", *PACKAGES], check=True, cwd=BUILD, capture_output=True, timeout=300)
            for package in BUILD.glob("*.deb"):
                subprocess.run(["dpkg-deb", "-x", str(package), str(root)], check=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise Unavailable(f"Debian 13's {' and '.join(PACKAGES)} cannot be downloaded: {error}") from error
    if missing := found.missing():
        raise Unavailable(f"the packages hold no {missing}")
    return found
