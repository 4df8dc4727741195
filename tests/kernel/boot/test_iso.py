"""Disc images: what GRUB will be told, and what is refused with a reason."""

import pytest

from kernel import iso
from kernel.image import ImageError


def test_grub_is_told_the_kernel_and_its_command_line():
    text = iso.configuration("one two=3")
    assert "    multiboot2 /boot/splax one two=3\n" in text and "set timeout=0\n" in text
    assert "    multiboot2 /boot/splax\n" in iso.configuration("")


def test_a_command_line_that_grub_would_change_is_refused(tmp_path):
    if iso.missing():
        pytest.skip(f"install {' '.join(iso.missing())}")
    with pytest.raises(ImageError, match=r"the command line has '\"\$', which GRUB would not pass on"):
        iso.write(tmp_path / "kernel", tmp_path / "out.iso", 'say "$HOME"')


def test_missing_packages_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(iso, "TOOLS", {"no-such-tool": "grub-common"})
    monkeypatch.setattr(iso, "FIRMWARES", {"no-such-firmware": "grub-efi-amd64-bin"})
    with pytest.raises(ImageError, match="apt-get install grub-common grub-efi-amd64-bin"):
        iso.write(tmp_path / "kernel", tmp_path / "out.iso")
    assert not (tmp_path / "out.iso").exists()
