"""The boot ROM and the reset vector in it."""

import struct
from typing import Any

import pytest

from rtl.periph.boot_rom import BootRom, reset_vector
from tests.rtl.periph.qemu_device import QemuDevices
from tests.rtl.periph.register_access import read, write
from tests.rtl.periph.simulate import simulate


def test_reset_vector_is_qemus_but_for_the_addresses() -> None:
    with QemuDevices() as qemu:
        theirs = b"".join(struct.pack("<Q", qemu.read(0x1000 + n, 8)) for n in range(0, 88, 8))
    (device_tree,) = struct.unpack_from("<Q", theirs, 32)
    assert reset_vector(device_tree=device_tree) == theirs


def test_contents_are_read_and_zeroes_follow_and_writes_are_ignored() -> None:
    contents = bytes(range(200))
    rom = BootRom(contents=contents, size=256)
    image = contents.ljust(0xF000, b"\0")

    async def testbench(ctx: Any) -> None:
        for address, size in ((0, 8), (8, 4), (0x7C, 4), (199, 1), (200, 8), (256, 8), (0xEFF8, 8)):
            await write(ctx, rom.bus, address, 0xFFFF_FFFF_FFFF_FFFF, size)
            assert await read(ctx, rom.bus, address, size) == int.from_bytes(image[address : address + size], "little")

    simulate(rom, testbench)


def test_contents_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match="300 bytes"):
        BootRom(contents=bytes(300), size=256)
