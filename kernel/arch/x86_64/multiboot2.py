"""Multiboot2: the header that GRUB looks for, and the information that it leaves (Multiboot2 specification 2.0).

The information is a list of tags in memory, at a physical address that the boot loader gives. It is not trusted: every
tag has to lie inside of the whole, every entry inside of its tag.
"""

from enum import IntEnum

from kernel.arch.x86_64 import memory_map
from kernel.arch.x86_64.boot_error import BootError
from kernel.arch.x86_64.layout import BASE
from kernel.boot_info import BootInfo, RegionKind, mark_region, set_text
from kernel.lang import *
from kernel.little_endian import PackedLayout, contains, u32_at, u64_at

HEADER_MAGIC = 0xE852_50D6  # 3.1.1
LOADER_MAGIC = 0x36D7_6289  # 3.3: EAX at entry
ARCHITECTURE_I386 = 0
HEADER_SEARCH = 32768  # 3.1: the header lies in the first bytes of the file, at a multiple of 8


class HeaderTag(IntEnum):
    """Tags of the header (3.1.3)."""

    END = 0
    INFORMATION_REQUEST = 1
    ENTRY_ADDRESS = 3
    MODULE_ALIGNMENT = 6


@enum(u32)
class Tag(IntEnum):
    """Tags of the information (3.6)."""

    END = 0
    COMMAND_LINE = 1
    LOADER_NAME = 2
    MODULE = 3
    MEMORY = 4
    MEMORY_MAP = 6
    OLD_RSDP = 14
    NEW_RSDP = 15
    EFI_MEMORY_MAP = 17


INFORMATION = PackedLayout([("total_size", 4), ("_reserved", 4)])  # 3.6.1
TAG = PackedLayout([("type", 4), ("tag_size", 4)])  # 3.6.2
MODULE = PackedLayout([("mod_start", 4), ("mod_end", 4)], start=TAG.size)  # 3.6.6
MEMORY_MAP = PackedLayout([("entry_size", 4), ("entry_version", 4)], start=TAG.size)  # 3.6.8
MEMORY_ENTRY = PackedLayout([("base_addr", 8), ("length", 8), ("type", 4), ("_reserved", 4)])
MAX_INFORMATION = 1 << 20
MAX_TAGS = 256
MAX_ENTRIES = 1024


@enum(u32)
class MemoryType(IntEnum):
    """Types of a memory map entry (3.6.8); every other one is reserved."""

    AVAILABLE = 1
    ACPI = 3
    PRESERVE = 4
    DEFECTIVE = 5


def header_assembly() -> str:
    """The header (3.1): 32-bit entry, page-aligned modules, and a memory map or no boot at all."""
    wanted = [Tag.MEMORY_MAP]
    return f"""
    .section .text.start, "ax"
    .balign 8
    .globl multiboot2_header
multiboot2_header:
    .long {HEADER_MAGIC:#x}, {ARCHITECTURE_I386}, multiboot2_header_end - multiboot2_header
    .long -({HEADER_MAGIC:#x} + {ARCHITECTURE_I386} + (multiboot2_header_end - multiboot2_header))
    .short {HeaderTag.INFORMATION_REQUEST:d}, 0
    .long {8 + 4 * len(wanted)}, {", ".join(str(int(w)) for w in wanted)}
    .balign 8
    .short {HeaderTag.ENTRY_ADDRESS:d}, 0
    .long 12, multiboot2_entry - {BASE:#x}
    .balign 8
    .short {HeaderTag.MODULE_ALIGNMENT:d}, 0
    .long 8
    .balign 8
    .short {HeaderTag.END:d}, 0
    .long 8
multiboot2_header_end:
"""


@fn
def read_information(memory: View[u8], at: u64, info: Ptr[BootInfo]) -> BootError:
    """Fills `info` from the tags."""
    if at % 8 != 0 or not contains(memory, at, INFORMATION.size):
        return BootError.MULTIBOOT2_ADDRESS
    total = u64(u32_at(memory, at + INFORMATION.total_size))
    if total < INFORMATION.size + TAG.size or total > MAX_INFORMATION or not contains(memory, at, total):
        return BootError.MULTIBOOT2_SIZE
    end = at + total
    here = at + INFORMATION.size
    found_map = False
    found_end = False
    for _ in range(MAX_TAGS):
        if end - here < TAG.size:
            return BootError.MULTIBOOT2_NO_END
        kind = u32_at(memory, here + TAG.type)
        size = u64(u32_at(memory, here + TAG.tag_size))
        if size < TAG.size or size > end - here:
            return BootError.MULTIBOOT2_TAG
        if kind == u32(Tag.END):
            found_end = True
            break
        if kind == u32(Tag.COMMAND_LINE):
            set_text(ptr(info.command_line), text_in(memory, here + TAG.size, here + size))
        elif kind == u32(Tag.LOADER_NAME):
            set_text(ptr(info.loader), text_in(memory, here + TAG.size, here + size))
        elif kind == u32(Tag.MODULE) and size >= MODULE.size and info.modules_end == 0:
            info.modules_base = u64(u32_at(memory, here + MODULE.mod_start))
            info.modules_end = u64(u32_at(memory, here + MODULE.mod_end))
            if info.modules_end < info.modules_base:
                return BootError.MULTIBOOT2_MODULE
        elif kind == u32(Tag.MEMORY_MAP):
            error = read_map(memory, here, size, info)
            if error != BootError.NONE:
                return error
            found_map = True
        elif kind == u32(Tag.NEW_RSDP):  # 3.6.16: a copy of the structure; the new one is preferred.
            info.rsdp = here + TAG.size
        elif kind == u32(Tag.OLD_RSDP) and info.rsdp == 0:
            info.rsdp = here + TAG.size
        here += (size + 7) & ~u64(7)
        if here > end:
            return BootError.MULTIBOOT2_NO_END
    if not found_end:
        return BootError.MULTIBOOT2_NO_END
    if not found_map:
        return BootError.NO_MEMORY_MAP
    if not mark_region(info, at, end, RegionKind.BOOT_DATA):
        return BootError.TOO_MANY_REGIONS
    return BootError.NONE


@fn
def text_in(memory: View[u8], start: u64, end: u64) -> View[u8]:
    """The zero-terminated text in a tag; all of it where the zero is missing."""
    length: u64 = 0
    while bounded(start + length < end and memory[start + length] != 0, MAX_INFORMATION):
        length += 1
    return memory[usize(start) : usize(start + length)]


@fn
def read_map(memory: View[u8], tag: u64, size: u64, info: Ptr[BootInfo]) -> BootError:
    """3.6.8: entries may be longer than we know them; what lies behind our fields is skipped."""
    if size < MEMORY_MAP.size:
        return BootError.MULTIBOOT2_MEMORY_MAP
    entry_size = u64(u32_at(memory, tag + MEMORY_MAP.entry_size))
    if entry_size < MEMORY_ENTRY.size or entry_size % 8 != 0:
        return BootError.MULTIBOOT2_MEMORY_MAP
    count = (size - MEMORY_MAP.size) // entry_size
    if count > MAX_ENTRIES:
        return BootError.MULTIBOOT2_MEMORY_MAP
    for i in bounded(range(2 * count), 2 * MAX_ENTRIES):
        # Twice: where entries overlap the first one added stays, and what is reserved comes first.
        entry = tag + MEMORY_MAP.size + i % count * entry_size
        kind = RegionKind.RESERVED
        raw = u32_at(memory, entry + MEMORY_ENTRY.type)
        if raw == u32(MemoryType.AVAILABLE):
            kind = RegionKind.FREE
        elif raw == u32(MemoryType.ACPI):
            kind = RegionKind.ACPI
        base = u64_at(memory, entry + MEMORY_ENTRY.base_addr)
        length = u64_at(memory, entry + MEMORY_ENTRY.length)
        if (kind == RegionKind.FREE) == (i >= count) and not memory_map.add(info, base, length, kind):
            return BootError.TOO_MANY_REGIONS
    return BootError.NONE
