"""Numbers in tables that firmware and boot loaders leave in memory: little-endian, unaligned, never trusted.

`memory` is indexed by physical address. On the machine it is all that the early page tables map; in tests, a `bytes`.
"""

from collections.abc import Iterable

from kernel.lang import Str, View, bounded, fn, u8, u16, u32, u64


class PackedLayout:
    """Offsets of the fields of a table that has no padding, computed from the widths in the specification's order.

    Each field is an attribute with its offset in bytes, a constant in kernel code: `RSDP.xsdt_address`; `size` is the
    whole length. A name that starts with "_" is reserved space.
    """

    def __init__(self, fields: Iterable[tuple[str, int]], start: int = 0):
        offset = start
        self.offsets: dict[str, int] = {}
        for name, width in fields:
            if name in self.offsets or width < 1:
                raise ValueError(f"field {name!r} is there twice, or has no width ({width!r})")
            self.offsets[name] = offset
            offset += width
        self.size = offset

    def __getattr__(self, name: str) -> int:
        offsets = self.__dict__.get("offsets", {})
        if name not in offsets:
            raise AttributeError(f"there is no field {name!r}: there are {', '.join(offsets)}")
        return offsets[name]


@fn
def contains(memory: View[u8], address: u64, length: u64) -> bool:
    """Whether all of a range lies in `memory`; no sum can overflow."""
    size = u64(len(memory))
    return address <= size and length <= size - address


@fn
def u16_at(memory: View[u8], address: u64) -> u16:
    """The u16 at a physical address."""
    return u16(memory[address]) | u16(memory[address + 1]) << 8


@fn
def u32_at(memory: View[u8], address: u64) -> u32:
    """The u32 at a physical address."""
    return u32(u16_at(memory, address)) | u32(u16_at(memory, address + 2)) << 16


@fn
def u64_at(memory: View[u8], address: u64) -> u64:
    """The u64 at a physical address."""
    return u64(u32_at(memory, address)) | u64(u32_at(memory, address + 4)) << 32


@fn
def is_at(memory: View[u8], address: u64, text: Str) -> bool:
    """Whether the bytes at a physical address are those of `text`."""
    for i in bounded(range(len(text)), 16):
        if memory[address + u64(i)] != text[i]:
            return False
    return True
