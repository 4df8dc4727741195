"""PVH: how QEMU's -kernel and Xen start the kernel (Xen, public/arch-x86/hvm/start_info.h and docs/misc/pvh.pandoc).

The note XEN_ELFNOTE_PHYS32_ENTRY names the entry; EBX points at hvm_start_info.
"""

import struct as packing
from enum import IntEnum

from kernel.arch.x86_64 import memory_map
from kernel.arch.x86_64.boot_error import BootError
from kernel.boot_info import BootInfo, RegionKind, mark_region, set_text
from kernel.lang import *
from kernel.little_endian import PackedLayout, contains, u32_at, u64_at

ELFNOTE_PHYS32_ENTRY = 18  # public/elfnote.h
START_MAGIC = 0x336E_C578

START_INFO = PackedLayout(
    [
        ("magic", 4),
        ("version", 4),
        ("flags", 4),
        ("nr_modules", 4),
        ("modlist_paddr", 8),
        ("cmdline_paddr", 8),
        ("rsdp_paddr", 8),
        ("memmap_paddr", 8),
        ("memmap_entries", 4),
        ("_reserved", 4),
    ]
)
VERSION_0_SIZE = START_INFO.memmap_paddr
MODULE = PackedLayout([("paddr", 8), ("size_in_bytes", 8), ("cmdline_paddr", 8), ("_reserved", 8)])
MEMORY_ENTRY = PackedLayout([("addr", 8), ("size_in_bytes", 8), ("type", 4), ("_reserved", 4)])
MAX_ENTRIES = 1024
MAX_COMMAND_LINE = 4096


@enum(u32)
class MemoryType(IntEnum):
    """hvm_memmap_table_entry types that matter; every other one is reserved."""

    RAM = 1
    ACPI = 3


def note(entry: int) -> bytes:
    """The ELF note, its description a 64-bit address (QEMU reads as much as a pointer of the image's class has)."""
    name = b"Xen\0"
    return packing.pack("<III4sQ", len(name), 8, ELFNOTE_PHYS32_ENTRY, name, entry)


@fn
def read_start_info(memory: View[u8], at: u64, info: Ptr[BootInfo]) -> BootError:
    """Fills `info` from hvm_start_info."""
    if not contains(memory, at, VERSION_0_SIZE):
        return BootError.PVH_ADDRESS
    if u32_at(memory, at + START_INFO.magic) != START_MAGIC:
        return BootError.PVH_MAGIC
    if u32_at(memory, at + START_INFO.version) == 0:
        return BootError.PVH_VERSION
    if not contains(memory, at, START_INFO.size):
        return BootError.PVH_ADDRESS
    info.rsdp = u64_at(memory, at + START_INFO.rsdp_paddr)
    read_command_line(memory, u64_at(memory, at + START_INFO.cmdline_paddr), info)
    error = read_map(memory, at, info)
    if error != BootError.NONE:
        return error
    if not mark_region(info, at, at + START_INFO.size, RegionKind.BOOT_DATA):
        return BootError.TOO_MANY_REGIONS
    if u32_at(memory, at + START_INFO.nr_modules) == 0:
        return BootError.NONE
    module = u64_at(memory, at + START_INFO.modlist_paddr)
    if not contains(memory, module, MODULE.size):
        return BootError.PVH_MODULE
    info.modules_base = u64_at(memory, module + MODULE.paddr)
    size = u64_at(memory, module + MODULE.size_in_bytes)
    if not contains(memory, info.modules_base, size):
        return BootError.PVH_MODULE
    info.modules_end = info.modules_base + size
    return BootError.NONE


@fn
def read_command_line(memory: View[u8], at: u64, info: Ptr[BootInfo]) -> None:
    """Zero-terminated; address 0 means that there is none."""
    if at == 0 or not contains(memory, at, 1):
        return
    length: u64 = 0
    limit = min(u64(len(memory)) - at, MAX_COMMAND_LINE)
    while bounded(length < limit and memory[at + length] != 0, MAX_COMMAND_LINE):
        length += 1
    set_text(ptr(info.command_line), memory[usize(at) : usize(at + length)])


@fn
def read_map(memory: View[u8], at: u64, info: Ptr[BootInfo]) -> BootError:
    """hvm_memmap_table_entry[memmap_entries]."""
    table = u64_at(memory, at + START_INFO.memmap_paddr)
    count = u64(u32_at(memory, at + START_INFO.memmap_entries))
    if table == 0 or count == 0:
        return BootError.NO_MEMORY_MAP
    if count > MAX_ENTRIES or not contains(memory, table, count * MEMORY_ENTRY.size):
        return BootError.PVH_MEMORY_MAP
    for i in bounded(range(2 * count), 2 * MAX_ENTRIES):
        # Twice: where entries overlap the first one added stays, and what is reserved comes first.
        entry = table + i % count * MEMORY_ENTRY.size
        kind = RegionKind.RESERVED
        raw = u32_at(memory, entry + MEMORY_ENTRY.type)
        if raw == u32(MemoryType.RAM):
            kind = RegionKind.FREE
        elif raw == u32(MemoryType.ACPI):
            kind = RegionKind.ACPI
        base = u64_at(memory, entry + MEMORY_ENTRY.addr)
        size = u64_at(memory, entry + MEMORY_ENTRY.size_in_bytes)
        if (kind == RegionKind.FREE) == (i >= count) and not memory_map.add(info, base, size, kind):
            return BootError.TOO_MANY_REGIONS
    return BootError.NONE
