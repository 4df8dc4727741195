"""Debian 12's OpenSBI and U-Boot, unmodified, say on the SoC what they say on QEMU."""

import difflib

import pytest

from tests.firmware.dialogue import DEBIAN_12, Images, normalised, on_qemu, on_soc


def check_same(images: Images) -> None:
    if missing := images.missing():
        pytest.fail(f"{missing} is not there: apt-get install opensbi u-boot-qemu")
    expected, seen = normalised(on_qemu(images)), normalised(on_soc(images))
    difference = list(difflib.unified_diff(expected, seen, "QEMU", "SoC", lineterm=""))
    assert not difference, "\n".join(difference)


def test_opensbi_and_u_boot_say_the_same_as_on_qemu() -> None:
    check_same(DEBIAN_12)
