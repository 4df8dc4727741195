"""What the EFI stub left, as BootInfo: the memory map, the firmware's name, the options, ACPI's root pointer."""

from kernel.arch.aarch64 import efi, paging
from kernel.boot_info import MAX_REGIONS, TEXT_BYTES, BootInfo, RegionKind, Text, add_region
from kernel.lang import *

MOST_DESCRIPTORS = 1024
PAGE = 4096
MOST_PAGES = 1 << 40


@fn
def read(info: Ptr[BootInfo]) -> bool:
    """Fills `info`; false when the memory map has more pieces than the kernel keeps, or lies out of reach."""
    left = ptr(efi.handoff)
    info.rsdp = left.rsdp
    info.loader_version = left.revision
    read_text(left.vendor, 2 * TEXT_BYTES, ptr(info.loader))
    read_text(left.options, left.options_bytes, ptr(info.command_line))
    step = left.descriptor_bytes
    if step < size_of(efi.MemoryDescriptor) or not paging.reach(left.map, left.map_bytes):
        return False
    count = left.map_bytes // step
    for i in bounded(range(count), MOST_DESCRIPTORS):
        if not add(info, paging.virtual(left.map + i * step)):
            return False
    info.total_memory = 0
    for n in bounded(range(info.region_count), MAX_REGIONS):
        info.total_memory += info.regions[n].size
    return True


@fn
def add(info: Ptr[BootInfo], address: usize) -> bool:
    """One row of the map (UEFI 7.2.3, table 7.10: what may be used after ExitBootServices)."""
    row = pointer_at(address, efi.MemoryDescriptor)
    if row.number_of_pages > MOST_PAGES or row.physical_start > MOST_PAGES * PAGE:
        return True
    kind = RegionKind.RESERVED
    if row.memory_type == efi.CONVENTIONAL or (
        row.memory_type >= efi.LOADER_CODE and row.memory_type <= efi.BOOT_SERVICES_DATA
    ):
        kind = RegionKind.FREE
    elif row.memory_type == efi.ACPI_RECLAIM:
        kind = RegionKind.ACPI
    elif (
        row.memory_type == 11 or row.memory_type == 12 or row.memory_type == 13
    ):  # device registers and PAL code are no memory
        return True
    return join_region(info, row.physical_start, row.number_of_pages * PAGE, kind)


@fn
def join_region(info: Ptr[BootInfo], base: u64, size: u64, kind: RegionKind) -> bool:
    """Adds memory; what follows a region of its kind makes that one longer (firmware's maps have a hundred rows)."""
    if info.region_count > 0:
        last = ptr(info.regions[info.region_count - 1])
        if last.kind == kind and last.base + last.size == base:
            last.size += size
            return True
    return add_region(info, base, size, kind)


@fn
def read_text(address: u64, most: u64, into: Ptr[Text]) -> None:
    """UCS-2 text, up to its NUL; what is not ASCII becomes "?"."""
    into.length = 0
    if address == 0 or not paging.reach(address, most):
        return
    source = paging.bytes_at(address, usize(min(most, 2 * TEXT_BYTES)))
    for i in bounded(range(len(source) // 2), TEXT_BYTES):
        low = source[2 * i]
        high = source[2 * i + 1]
        if low == 0 and high == 0:
            return
        into.bytes[i] = low if high == 0 and low >= 32 and low < 127 else 63
        into.length = i + 1
