"""Debian 12's OpenSBI and U-Boot, unmodified, say on the SoC what they say on QEMU, and start our kernel there.

Debian 13's are in the long regression: `python -m tests.firmware`.
"""

import re

import pytest

from tests.firmware.dialogue import DEBIAN_12, differences, normalised, on_qemu, on_soc


def opensbi_part(text: str) -> list[str]:
    """What OpenSBI prints, line by line."""
    return re.split(r"U-Boot \d", text.replace("\r", ""))[0].splitlines()


def test_opensbi_and_u_boot_say_the_same_as_on_qemu_and_start_our_kernel() -> None:
    if missing := DEBIAN_12.missing():
        pytest.fail(f"{missing} is not there: apt-get install opensbi u-boot-qemu")
    expected, seen = on_qemu(DEBIAN_12), on_soc(DEBIAN_12)
    difference = differences(opensbi_part(expected), opensbi_part(seen))
    assert not difference, "OpenSBI's, to the last character:\n" + "\n".join(difference)
    for line in ("CPU:   rv64imac", "Model: riscv-virtio,qemu", "DRAM:  128 MiB", "In:    serial@10000000"):
        assert line in expected
    assert "boot        Linux Image, OpenSBI" in expected and "arguments   monitor two=3" in expected
    difference = differences(normalised(expected), normalised(seen))
    assert not difference, "\n".join(difference)
