"""Debian's OpenSBI and U-Boot, unmodified: to the prompt, and the console's text against QEMU's."""

import difflib
import re
import shutil

import pytest

from sim import boot

from .conftest import Splax

INSTALLED = all(any(path.exists() for path in images) for images in (boot.OPENSBI, boot.U_BOOT))
pytestmark = [
    pytest.mark.skipif(not INSTALLED, reason="OpenSBI and U-Boot are not installed"),
    pytest.mark.skipif(shutil.which("qemu-system-riscv64") is None, reason="QEMU is not installed"),
]


def opensbi_part(text: str) -> list[str]:
    """What OpenSBI prints, line by line: it must be equal to the last character."""
    return re.split(r"U-Boot \d", text.replace("\r", ""))[0].splitlines()


def test_opensbi_and_u_boot_reach_the_prompt_with_qemus_text(splax: Splax) -> None:
    u_boot = ("--kernel", boot.default_kernel())
    ours = splax("run", *u_boot, "--until", "=> ", "--max-cycles", "60000000")
    assert ours.returncode == 0, ours.stderr
    twins = splax("qemu", *u_boot, "--until", "=> ", "--timeout", "120")
    assert twins.returncode == 0
    difference = list(difflib.unified_diff(opensbi_part(twins.stdout), opensbi_part(ours.stdout), "QEMU", "Splax"))
    assert not difference, "\n".join(difference)
    for line in ("CPU:   rv64imac", "Model: riscv-virtio,qemu", "DRAM:  128 MiB", "In:    serial@10000000"):
        assert line in ours.stdout and line in twins.stdout
