"""The boot ROM at the reset address: the `virt` boot protocol.

Every hart starts with a0 = hart id, a1 = address of the device tree, a2 = address of the fw_dynamic information
(OpenSBI docs/firmware/fw_dynamic.md), and jumps to the firmware. The simulation replaces the memory's contents before
it releases reset; a board builds them in.
"""

import struct

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In

from rtl import memory_map
from rtl.bus import register_bus

FW_DYNAMIC_MAGIC = 0x4942_534F
FW_DYNAMIC_VERSION = 2
NEXT_MODE_SUPERVISOR = 1


def reset_vector(*, start: int = memory_map.DRAM_BASE, device_tree: int = 0, next_address: int = 0) -> bytes:
    """The ROM's contents: instructions, the two addresses they load, and the fw_dynamic information.

    start         where to jump
    device_tree   address of the flattened device tree (a1)
    next_address  where firmware continues in S-mode; 0 if it knows by itself
    """
    code = (
        0x0000_0297,  # auipc t0, 0
        0x0282_8613,  # addi  a2, t0, 40     fw_dynamic information
        0xF140_2573,  # csrr  a0, mhartid
        0x0202_B583,  # ld    a1, 32(t0)     device tree
        0x0182_B283,  # ld    t0, 24(t0)     start
        0x0002_8067,  # jr    t0
    )
    information = (FW_DYNAMIC_MAGIC, FW_DYNAMIC_VERSION, next_address, NEXT_MODE_SUPERVISOR, 0, 0)
    return struct.pack("<6I", *code) + struct.pack("<QQ", start, device_tree) + struct.pack("<6Q", *information)


class BootRom(wiring.Component):
    """Read-only memory; it reads as zero behind its end, and ignores writes (as QEMU's does).

    Parameters
    ----------
    contents : bytes
        At most `size` bytes; zeroes follow.
    size : int
        Bytes of memory, a power of two, at most the window's.

    Members
    -------
    bus : In(register_bus)
        Reads take two cycles.
    """

    def __init__(self, *, contents: bytes, size: int = 4096):
        if size < 16 or size & (size - 1) or size > memory_map.BOOT_ROM.size:
            raise ValueError(f"size must be a power of two up to {memory_map.BOOT_ROM.size}, not {size!r}")
        if len(contents) > size:
            raise ValueError(f"contents are {len(contents)} bytes, the ROM has {size}")
        self.size = size
        self.contents = bytes(contents)
        super().__init__({"bus": In(register_bus.Signature(addr_width=16))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        padded = self.contents.ljust(self.size, b"\0")
        words = [int.from_bytes(padded[n : n + 8], "little") for n in range(0, self.size, 8)]
        m.submodules.rom = rom = Memory(shape=64, depth=len(words), init=words)
        read_port = rom.read_port()

        inside = self.bus.address < self.size
        fetched = Signal()
        m.d.comb += [
            read_port.addr.eq(self.bus.address[3:]),
            read_port.en.eq(self.bus.valid & ~fetched),
            self.bus.done.eq(self.bus.valid & fetched),
        ]
        with m.If(inside):
            m.d.comb += self.bus.read_data.eq(read_port.data)
        m.d.sync += fetched.eq(self.bus.valid & ~fetched)
        return m
