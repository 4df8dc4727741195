"""The kernel's address space: four-level tables with W^X, guard pages and the direct map (SDM volume 3, 4.5).

`entry` or Limine made rough ones to get here. `initialize` replaces them by tables that map

- the image at KERNEL_BASE in pages: text R X, rodata R, data, bss and stacks R W, the guard pages not at all;
- all memory that is the kernel's to use at DIRECT_MAP, R W, the image's text and rodata R;
- devices at DEVICE_WINDOW, uncached, as `map_device` is asked.

All of it is global: every address space shares the upper half of the root.
"""

from enum import IntEnum

from kernel.arch.x86_64 import cpu
from kernel.arch.x86_64.instructions import (
    invalidate_page,
    read_cr0,
    read_cr4,
    read_msr,
    write_cr0,
    write_cr3,
    write_cr4,
    write_msr,
)
from kernel.arch.x86_64.layout import (
    DEVICE_WINDOW,
    DEVICE_WINDOW_END,
    DIRECT_MAP,
    EARLY_MAPPED,
    HUGE_PAGE_BYTES,
    KERNEL_BASE,
    LARGE_PAGE_BYTES,
    PAGE_BYTES,
)
from kernel.boot_info import MAX_REGIONS, BootInfo, RegionKind, take_page
from kernel.lang import *
from kernel.linked import (
    bss_end,
    image_start,
    panic_stack_bottom,
    panic_stack_top,
    rodata_end,
    stack_bottom,
    stack_top,
    text_end,
)


@bitfield(u64)
class Entry:
    """A page table entry (tables 4-15 to 4-20). `large`: a page, above the last level."""

    present: bool
    writable: bool
    user: bool
    write_through: bool
    cache_disable: bool
    accessed: bool
    dirty: bool
    large: bool
    is_global: bool
    software: Bits[3]
    frame: Bits[40]
    software_high: Bits[11]
    no_execute: bool


@enum(8)
class Rights(IntEnum):
    """What a mapping allows the kernel. A device's is uncached."""

    READ_ONLY = 0
    READ_WRITE = 1
    READ_EXECUTE = 2
    DEVICE = 3


Table = Array[Entry, 512]

MSR_EFER, EFER_NXE = 0xC000_0080, 1 << 11
CR0_WRITE_PROTECT = 1 << 16
CR4_GLOBAL_PAGES, CR4_UMIP, CR4_SMEP, CR4_SMAP = 1 << 7, 1 << 11, 1 << 20, 1 << 21

root = variable(Table, align=4096)
kernel_physical = variable(u64, 0)  # where the image is
direct_offset = variable(u64, DIRECT_MAP)  # until `initialize`: where the first tables have physical address 0
device_next = variable(u64, DEVICE_WINDOW)
huge_pages = variable(bool, False)


@fn
def use(image: u64, offset: u64) -> None:
    """Where the image is, and the direct map that the first tables have."""
    global kernel_physical, direct_offset
    kernel_physical = image
    direct_offset = offset


@fn
def virtual(physical: u64) -> usize:
    """Where the direct map has it."""
    return usize(physical + direct_offset)


@fn
def physical(address: usize) -> u64:
    """The physical address behind one of the image or of the direct map."""
    number = u64(address)
    return number - KERNEL_BASE + kernel_physical if number >= KERNEL_BASE else number - direct_offset


@fn
def early_memory() -> View[u8]:
    """Physical memory as the first tables map it, by physical address."""
    return view(pointer_at(usize(direct_offset), Array[u8, EARLY_MAPPED]))


@fn
def table_at(address: u64) -> Ptr[Table]:
    """A page table, by its physical address."""
    return pointer_at(virtual(address), Table)


@fn
def next_table(info: Ptr[BootInfo], table: Ptr[Table], index: u64) -> Ptr[Table]:
    """The table below an entry, made if need be."""
    entry = table[index]
    if entry.present:
        assert not entry.large, "a page is mapped where a table is wanted"
        return table_at(entry.frame << 12)
    page = take_page(info)
    assert page != 0 and page < EARLY_MAPPED, "no memory below 4 GiB for page tables"
    fresh = table_at(page)
    for i in range(512):
        fresh[i] = Entry(0)
    table[index] = Entry(present=True, writable=True, frame=page >> 12)
    return fresh


@fn
def leaf(place: u64, rights: Rights, large: bool) -> Entry:
    """An entry that maps a page."""
    device = rights == Rights.DEVICE
    write = device or rights == Rights.READ_WRITE
    return Entry(
        present=True,
        writable=write,
        write_through=device,
        cache_disable=device,
        accessed=True,
        dirty=write,
        large=large,
        is_global=True,
        frame=place >> 12,
        no_execute=rights != Rights.READ_EXECUTE,
    )


@fn
def map_range(info: Ptr[BootInfo], address: u64, target: u64, size: u64, rights: Rights) -> None:
    """Maps `size` bytes at `address` to physical `target`, whole pages, by the largest pages that fit."""
    done: u64 = 0
    while bounded(done < size, 1 << 24):
        here = address + done
        place = target + done
        left = size - done
        third = next_table(info, ptr(root), here >> 39 & 511)
        if huge_pages and (here | place) % HUGE_PAGE_BYTES == 0 and left >= HUGE_PAGE_BYTES:
            third[here >> 30 & 511] = leaf(place, rights, True)
            done += HUGE_PAGE_BYTES
        else:
            second = next_table(info, third, here >> 30 & 511)
            if (here | place) % LARGE_PAGE_BYTES == 0 and left >= LARGE_PAGE_BYTES:
                second[here >> 21 & 511] = leaf(place, rights, True)
                done += LARGE_PAGE_BYTES
            else:
                first = next_table(info, second, here >> 21 & 511)
                first[here >> 12 & 511] = leaf(place, rights, False)
                done += PAGE_BYTES


@fn
def map_image(info: Ptr[BootInfo], start: Ptr[u8], end: Ptr[u8], rights: Rights) -> None:
    """A part of the image, where it is linked."""
    address = u64(address_of(start))
    map_range(info, address, physical(address_of(start)), u64(address_of(end)) - address, rights)


@fn
def map_direct(info: Ptr[BootInfo], base: u64, end: u64, rights: Rights) -> None:
    """Memory in the direct map."""
    if base < end:
        map_range(info, base + DIRECT_MAP, base, end - base, rights)


@fn
def map_memory(info: Ptr[BootInfo], start: u64, end: u64) -> None:
    """A range of memory in the direct map; in it, the image's text and rodata are read-only."""
    constant_end = physical(address_of(ptr(rodata_end)))
    if start <= info.kernel_base and constant_end <= end:
        map_direct(info, start, info.kernel_base, Rights.READ_WRITE)
        map_direct(info, info.kernel_base, constant_end, Rights.READ_ONLY)
        map_direct(info, constant_end, end, Rights.READ_WRITE)
    else:
        map_direct(info, start, end, Rights.READ_WRITE)


@fn
def initialize(info: Ptr[BootInfo]) -> None:
    """Makes the tables and goes over to them."""
    global direct_offset, huge_pages
    huge_pages = cpu.has_huge_pages()
    map_image(info, ptr(image_start), ptr(text_end), Rights.READ_EXECUTE)
    map_image(info, ptr(text_end), ptr(rodata_end), Rights.READ_ONLY)
    map_image(info, ptr(rodata_end), ptr(bss_end), Rights.READ_WRITE)
    map_image(info, ptr(stack_bottom), ptr(stack_top), Rights.READ_WRITE)
    map_image(info, ptr(panic_stack_bottom), ptr(panic_stack_top), Rights.READ_WRITE)
    # Taking pages for tables moves borders between regions, never those of what is not the firmware's.
    start: u64 = 0
    end: u64 = 0
    for i in bounded(range(info.region_count), MAX_REGIONS):
        region = ptr(info.regions[i])
        if region.kind != RegionKind.RESERVED:
            if region.base != end:
                map_memory(info, start, end)
                start = region.base
            end = region.base + region.size
    map_memory(info, start, end)
    # The upper half's second level: every address space copies these entries of the root, so they must not change.
    for index in range(256, 512):
        _ = next_table(info, ptr(root), u64(index))
    harden()
    write_cr3(physical(address_of(ptr(root))))
    direct_offset = DIRECT_MAP
    write_cr4(read_cr4() | (CR4_GLOBAL_PAGES if cpu.has_global_pages() else 0))


@fn
def harden() -> None:
    """The protections that the CPU has (2.5, 4.6): no execution of data, no writes to read-only pages by the kernel,
    no execution of and no access to user pages by the kernel, no descriptor table addresses for user code."""
    write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_NXE)
    write_cr0(read_cr0() | CR0_WRITE_PROTECT)
    bits = read_cr4()
    bits = bits | (CR4_SMEP if cpu.has_smep() else 0)
    bits = bits | (CR4_SMAP if cpu.has_smap() else 0)
    bits = bits | (CR4_UMIP if cpu.has_umip() else 0)
    write_cr4(bits)


@fn
def map_device(info: Ptr[BootInfo], base: u64, size: u64) -> usize:
    """Gives registers at physical `base` an address."""
    global device_next
    first = base // PAGE_BYTES * PAGE_BYTES
    bytes = (base + size + PAGE_BYTES - 1) // PAGE_BYTES * PAGE_BYTES - first
    assert bytes <= DEVICE_WINDOW_END - device_next, "the device window is full"
    address = device_next
    map_range(info, address, first, bytes, Rights.DEVICE)
    invalidate_page(address)
    device_next += bytes
    return usize(address + (base - first))
