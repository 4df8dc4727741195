"""The kernel's address space: tables of the 4 KiB granule with W^X, guard pages and the direct map (DDI 0487 D8).

`entry` made a rough one to get here: the image writable and executable, nothing else. `reach` adds the memory that the
boot code must read; `initialize` replaces all of it by tables that map

- the image at KERNEL_BASE in pages: text R X, rodata R, data, bss and stacks R W, the guard pages not at all;
- all memory that is the kernel's to use at DIRECT_MAP, R W, the image's text and rodata R;
- devices at DEVICE_WINDOW (Device-nGnRnE), as `map_device` is asked.
"""

from kernel.arch.aarch64 import layout
from kernel.arch.aarch64.layout import DEVICE_WINDOW, DEVICE_WINDOW_END, DIRECT_MAP, KERNEL_BASE
from kernel.boot_info import MAX_REGIONS, PAGE, BootInfo, RegionKind, take_page
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

LARGE = layout.LARGE_PAGE_BYTES
GIGA = 1 << 30

# Descriptors (D8.3). Bits 1..0: 1 a block, 3 a table or a page.
BLOCK, TABLE = 1, 3
_NORMAL, _DEVICE = 0 << 2, 1 << 2  # AttrIndx, into MAIR_EL1
_READ_ONLY = 1 << 7
_INNER_SHAREABLE = 3 << 8
_ACCESSED = 1 << 10
_PXN, _UXN = 1 << 53, 1 << 54
MAIR = 0x00FF  # 0: Normal, write-back; 1: Device-nGnRnE

READ_EXECUTE = _NORMAL | _READ_ONLY | _INNER_SHAREABLE | _ACCESSED | _UXN
READ_ONLY = READ_EXECUTE | _PXN
READ_WRITE = _NORMAL | _INNER_SHAREABLE | _ACCESSED | _UXN | _PXN
DEVICE = _DEVICE | _ACCESSED | _UXN | _PXN
EARLY = BLOCK | _NORMAL | _INNER_SHAREABLE | _ACCESSED  # executable and writable, until `initialize`

root = variable(Array[u64, 512], align=4096)
early_root = external(Array[u64, 512], "early_root")
no_user = external(Array[u64, 512], "early_identity")
kernel_physical = variable(u64, 0)  # where the image is
device_next = variable(u64, DEVICE_WINDOW)


@assembly("aarch64", "dsb ish\nmsr ttbr1_el1, {value}\nisb\ntlbi vmalle1\ndsb ish\nisb", clobbers=["memory"])
def write_ttbr1(value: u64) -> None:
    """Changes the kernel's address space, and forgets the old one."""


@assembly("aarch64", "dsb ish\ntlbi vmalle1\ndsb ish\nisb", clobbers=["memory"])
def forget() -> None:
    """Makes changed tables count."""


@fn
def virtual(physical: u64) -> usize:
    """Where the direct map has it."""
    return usize(physical + DIRECT_MAP)


@fn
def physical(address: usize) -> u64:
    """The physical address behind one of the image or of the direct map."""
    number = u64(address)
    return number - KERNEL_BASE + kernel_physical if number >= KERNEL_BASE else number - DIRECT_MAP


@fn
def table_at(address: u64) -> Ptr[Array[u64, 512]]:
    """A page table, by its physical address."""
    return pointer_at(virtual(address), Array[u64, 512])


@fn
def bytes_at(address: u64, length: usize) -> View[u8]:
    """Memory of the machine, by its physical address."""
    return view(pointer_at(virtual(address), Array[u8, GIGA]))[0:length]


@fn
def reach(address: u64, length: u64) -> bool:
    """Early: makes the direct map cover this memory, 1 GiB at a time; false when it lies too high."""
    if length > GIGA or address > layout.DIRECT_MAP_BYTES - GIGA:
        return False
    first = address // GIGA
    early_root[usize(first)] = first * GIGA | BLOCK | READ_WRITE
    last = (address + length) // GIGA
    early_root[usize(last)] = last * GIGA | BLOCK | READ_WRITE
    forget()
    return True


@fn
def reach_all(info: Ptr[BootInfo]) -> None:
    """Early: makes the direct map cover all that the memory map has, as far as it goes."""
    for i in bounded(range(info.region_count), MAX_REGIONS):
        region = ptr(info.regions[i])
        first = region.base // GIGA
        last = (region.base + region.size - 1) // GIGA
        for giga in bounded(range(first, min(last + 1, layout.DIRECT_MAP_BYTES // GIGA - 1)), 512):
            _ = reach(giga * GIGA, PAGE)


@fn
def reached() -> View[u8]:
    """Early: physical memory by its address, where `reach` made it so."""
    return view(pointer_at(virtual(0), Array[u8, layout.DIRECT_MAP_BYTES - GIGA]))


@fn
def map_early_device(address: u64) -> usize:
    """Early: one page of registers, for a last word."""
    index = usize(DEVICE_WINDOW >> 30 & 511)
    early_root[index] = address // GIGA * GIGA | BLOCK | DEVICE
    forget()
    return usize(DEVICE_WINDOW + address % GIGA)


@fn
def next_table(info: Ptr[BootInfo], table: Ptr[Array[u64, 512]], index: usize) -> Ptr[Array[u64, 512]]:
    """The table below an entry, made if need be."""
    entry = table[index]
    if entry & 1 != 0:
        assert entry & 3 == TABLE, "a block is mapped where a table is wanted"
        return table_at(entry & ADDRESS)
    page = take_page(info)
    assert page != 0, "no memory for page tables"
    _ = reach(page, PAGE)
    fresh = table_at(page)
    for i in range(512):
        fresh[i] = 0
    table[index] = page | TABLE
    return fresh


ADDRESS = 0xFFFF_FFFF_F000


@fn
def map_range(info: Ptr[BootInfo], address: u64, target: u64, size: u64, flags: u64) -> None:
    """Maps `size` bytes at `address` to physical `target`, whole pages, by the largest pages that fit."""
    done: u64 = 0
    while bounded(done < size, 1 << 22):
        done += map_page(info, address + done, target + done, size - done, flags)


@fn
def map_page(info: Ptr[BootInfo], address: u64, target: u64, most: u64, flags: u64) -> u64:
    """Maps the largest page that fits; gives its bytes."""
    index = usize(address >> 30 & 511)
    if (address | target) % GIGA == 0 and most >= GIGA:
        root[index] = target | flags | BLOCK
        return GIGA
    middle = next_table(info, ptr(root), index)
    index = usize(address >> 21 & 511)
    if (address | target) % LARGE == 0 and most >= LARGE:
        middle[index] = target | flags | BLOCK
        return LARGE
    leaf = next_table(info, middle, index)
    leaf[usize(address >> 12 & 511)] = target | flags | TABLE
    return PAGE


@fn
def map_image(info: Ptr[BootInfo], start: Ptr[u8], end: Ptr[u8], flags: u64) -> None:
    """A part of the image, where it is linked."""
    address = u64(address_of(start))
    map_range(info, address, physical(address_of(start)), u64(address_of(end)) - address, flags)


@fn
def map_direct(info: Ptr[BootInfo], base: u64, end: u64, flags: u64) -> None:
    """Memory in the direct map."""
    if base < end:
        map_range(info, base + DIRECT_MAP, base, end - base, flags)


@fn
def initialize(info: Ptr[BootInfo]) -> None:
    """Makes the tables and goes over to them. The lower half is empty from now on."""
    map_image(info, ptr(image_start), ptr(text_end), READ_EXECUTE)
    map_image(info, ptr(text_end), ptr(rodata_end), READ_ONLY)
    map_image(info, ptr(rodata_end), ptr(bss_end), READ_WRITE)
    map_image(info, ptr(stack_bottom), ptr(stack_top), READ_WRITE)
    map_image(info, ptr(panic_stack_bottom), ptr(panic_stack_top), READ_WRITE)
    # Taking pages for tables moves borders between regions, never those of what is not the firmware's.
    constant_end = physical(address_of(ptr(rodata_end)))
    start: u64 = 0
    end: u64 = 0
    for i in bounded(range(info.region_count), MAX_REGIONS):
        region = ptr(info.regions[i])
        if region.kind != RegionKind.RESERVED:
            if region.base != end:
                map_memory(info, start, end, constant_end)
                start = region.base
            end = region.base + region.size
    map_memory(info, start, end, constant_end)
    # The window's tables hang below one entry of the root.
    _ = next_table(info, ptr(root), usize(DEVICE_WINDOW >> 30 & 511))
    for i in range(512):
        no_user[i] = 0
    write_ttbr1(physical(address_of(ptr(root))))


@fn
def map_memory(info: Ptr[BootInfo], start: u64, end: u64, constant_end: u64) -> None:
    """A range of memory in the direct map; in it, the image's text and rodata are read-only."""
    if start <= info.kernel_base and info.kernel_base < end:
        map_direct(info, start, info.kernel_base, READ_WRITE)
        map_direct(info, info.kernel_base, constant_end, READ_ONLY)
        map_direct(info, constant_end, end, READ_WRITE)
    else:
        map_direct(info, start, end, READ_WRITE)


@fn
def map_device(info: Ptr[BootInfo], base: u64, size: u64) -> usize:
    """Gives registers at physical `base` an address."""
    global device_next
    first = base // PAGE * PAGE
    bytes = (base + size + PAGE - 1) // PAGE * PAGE - first
    unit: u64 = LARGE if bytes >= LARGE and first % LARGE == 0 else PAGE
    address = (device_next + unit - 1) // unit * unit
    assert bytes <= DEVICE_WINDOW_END - address, "the device window is full"
    map_range(info, address, first, bytes, DEVICE)
    forget()
    device_next = address + bytes
    return usize(address + (base - first))
