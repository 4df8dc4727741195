"""Debian's unmodified U-Boot on our own firmware: on QEMU, and on the SoC with the same words."""

import pytest

from firmware.image import build_firmware
from tests.firmware.dialogue import BOOT_KERNEL, DEBIAN_12, Images, differences, normalised, on_qemu, on_soc

COMMANDS = ("sbi", "fdt addr $fdtcontroladdr", "fdt print /reserved-memory", "crc32 80200000 1000", *BOOT_KERNEL)
EXTENSIONS = (
    "SBI 2.0",
    "  Set Timer",
    "  Console Putchar",
    "  SBI Base Functionality",
    "  Timer Extension",
    "  IPI Extension",
    "  RFENCE Extension",
    "  Hart State Management Extension",
    "  System Reset Extension",
)


def test_u_boot_runs_on_our_firmware_and_says_the_same_on_the_soc_as_on_qemu():
    images = Images(build_firmware().image, DEBIAN_12.kernel)
    if missing := images.missing():
        pytest.fail(f"{missing} is not there: apt-get install u-boot-qemu")
    expected, seen = normalised(on_qemu(images, COMMANDS)), normalised(on_soc(images, COMMANDS))
    assert expected[1].startswith("Splax firmware: SBI 2.0 on hart 0 of 1, rv64imac")
    for line in EXTENSIONS:
        assert any(said.startswith(line) for said in expected), line
    assert any("mmode_resv0@80000000" in line for line in expected)
    assert "  arguments   monitor two=3" in expected, "our kernel, by booti"
    difference = differences(expected, seen)
    assert not difference, "\n".join(difference)
