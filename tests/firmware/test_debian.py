"""Debian 12's OpenSBI and U-Boot, unmodified, say on the SoC what they say on QEMU.

Debian 13's are in the long regression: `python -m tests.firmware`.
"""

import pytest

from tests.firmware.dialogue import DEBIAN_12, differences


def test_opensbi_and_u_boot_say_the_same_as_on_qemu() -> None:
    if missing := DEBIAN_12.missing():
        pytest.fail(f"{missing} is not there: apt-get install opensbi u-boot-qemu")
    difference = differences(DEBIAN_12)
    assert not difference, "\n".join(difference)
