"""What every boot path tells the kernel, whatever the architecture and the protocol: one struct of facts.

`kernel.arch.*.boot` fills it, from the device tree, a memory map of UEFI, Multiboot2, PVH or Limine, ACPI tables and
the CPU itself. Nothing in it is a default: what a path could not learn is 0, NONE or "" and is shown so.
"""

from enum import IntEnum

from kernel.lang import *

MAX_REGIONS = 64
TEXT_BYTES = 256
PAGE = 4096
LOW_MEMORY = 1 << 20  # below it PCs keep what only their firmware understands
MOST = (1 << 64) - PAGE
BLANK = 32


@enum(u8)
class RegionKind(IntEnum):
    """What a range of physical memory holds."""

    FREE = 0
    RESERVED = 1  # by the machine or its firmware: never touch
    KERNEL = 2  # the image, with its bss and stacks
    MODULES = 3  # the initrd or modules
    BOOT_DATA = 4  # device tree, command line, memory map: free once the kernel has read them
    ACPI = 5  # ACPI tables: free once read


@enum(u8)
class Protocol(IntEnum):
    """How the kernel was started."""

    NONE = 0
    LINUX_IMAGE = 1  # riscv64 and aarch64: registers and a device tree, the Image header's rules
    UEFI = 2
    PVH = 3
    MULTIBOOT2 = 4
    LIMINE = 5


@enum(u8)
class ConsoleKind(IntEnum):
    """What takes console bytes."""

    NONE = 0
    NS16550 = 1
    PL011 = 2
    SBI = 3  # the debug console of the firmware


@enum(u8)
class ControllerKind(IntEnum):
    """Who delivers device interrupts."""

    NONE = 0
    PLIC = 1
    GIC_V2 = 2
    GIC_V3 = 3
    APIC = 4
    PIC_8259 = 5


@struct
class Text:
    """A text that the machine gave, cut at TEXT_BYTES."""

    length: usize
    bytes: Array[u8, TEXT_BYTES]


@struct
class Region:
    """Physical memory: first byte, bytes, what it holds."""

    base: u64
    size: u64
    kind: RegionKind


@struct
class BootInfo:
    """The facts. Addresses are physical; frequencies are in Hz; an interrupt is the controller's number for it.

    regions[:region_count] are sorted and do not overlap; total_memory is what the machine has in bytes, whoever uses
    it.
    """

    protocol: Protocol
    loader: Text  # who started the kernel, where it says so
    loader_version: u64  # major << 16 | minor; 0: not known, or in the text
    command_line: Text
    cpu_model: Text  # the CPU's own name
    cpu_features: Text  # the ISA string, or the features that matter
    machine: Text  # the board or machine
    hart: u64  # the boot CPU's id
    cpu_count: u32
    timer_hz: u64
    total_memory: u64
    region_count: usize
    regions: Array[Region, MAX_REGIONS]
    kernel_base: u64
    kernel_end: u64
    modules_base: u64  # the initrd, or the first module
    modules_end: u64
    device_tree: u64
    device_tree_bytes: u64
    rsdp: u64  # ACPI's root pointer
    console: ConsoleKind
    console_base: u64
    console_stride: u32  # bytes from one register to the next
    console_interrupt: u32
    clock_base: u64  # a clock with an alarm, that no part of the kernel uses; 0: none that it knows
    clock_interrupt: u32
    controller: ControllerKind
    controller_base: u64  # PLIC, GIC distributor, I/O APIC
    controller_bytes: u64
    controller_base_2: u64  # GIC CPU interface or redistributors, local APIC
    controller_bytes_2: u64
    timer_interrupt: u32
    controller_context: u32  # PLIC: this hart's context of supervisor mode


@fn
def set_text(text: Ptr[Text], source: View[u8]) -> None:
    """Keeps as much of `source` as there is room for."""
    text.length = min(len(source), TEXT_BYTES)
    for i in bounded(range(text.length), TEXT_BYTES):
        text.bytes[i] = source[i]


@fn
def append_text(text: Ptr[Text], more: Str) -> None:
    """Adds to a text, as far as there is room."""
    for i in bounded(range(len(more)), TEXT_BYTES):
        if text.length < TEXT_BYTES:
            text.bytes[text.length] = more[i]
            text.length += 1


@fn
def text_view(text: Ptr[Text]) -> View[u8]:
    """What is kept."""
    return view(text.bytes)[: text.length]


@fn
def end_of(region: Ptr[Region]) -> u64:
    """The first address behind it."""
    return region.base + region.size


@fn
def insert_region(info: Ptr[BootInfo], index: usize, base: u64, size: u64, kind: RegionKind) -> bool:
    """Puts a range at `index`, the later ones one further; false when the list is full."""
    if info.region_count == MAX_REGIONS:
        return False
    for i in bounded(range(info.region_count - index), MAX_REGIONS):
        at = info.region_count - i
        copy(info.regions[at], info.regions[at - 1])
    region = ptr(info.regions[index])
    region.base = base
    region.size = size
    region.kind = kind
    info.region_count += 1
    return True


@fn
def remove_region(info: Ptr[BootInfo], index: usize) -> None:
    """Takes a range off the list."""
    info.region_count -= 1
    for i in bounded(range(index, info.region_count), MAX_REGIONS):
        copy(info.regions[i], info.regions[i + 1])


@fn
def add_region(info: Ptr[BootInfo], base: u64, size: u64, kind: RegionKind) -> bool:
    """Adds memory in order, in whole pages, without what is in the list already; false when the list is full."""
    if size > ~base:  # it would go past the last address
        return False
    start = (base + PAGE - 1) // PAGE * PAGE if kind == RegionKind.FREE else base // PAGE * PAGE
    end = (base + size) // PAGE * PAGE if kind == RegionKind.FREE else (base + size + PAGE - 1) // PAGE * PAGE
    index: usize = 0
    while bounded(index < info.region_count and start < end, 2 * MAX_REGIONS):
        here = ptr(info.regions[index])
        if here.base <= start:
            start = max(start, end_of(here))
        elif here.base < end:
            if not insert_region(info, index, start, here.base - start, kind):
                return False
            start = end_of(ptr(info.regions[index + 1]))
            index += 1
        else:
            break
        index += 1
    return start >= end or insert_region(info, index, start, end - start, kind)


@fn
def mark_region(info: Ptr[BootInfo], base: u64, end: u64, kind: RegionKind) -> bool:
    """Says what the free memory in base..end, widened to whole pages, is used for; false when the list is full."""
    first = base // PAGE * PAGE
    last = (end + (PAGE - 1)) // PAGE * PAGE if end <= MOST else end
    index: usize = 0
    while bounded(index < info.region_count, 3 * MAX_REGIONS):
        here = ptr(info.regions[index])
        low = max(first, here.base)
        high = min(last, end_of(here))
        if here.kind == RegionKind.FREE and low < high:
            above = end_of(here) - high
            if low > here.base:
                here.size = low - here.base
                index += 1
                if not insert_region(info, index, low, high - low, kind):
                    return False
            else:
                here.size = high - low
                here.kind = kind
            if above > 0:
                if not insert_region(info, index + 1, high, above, RegionKind.FREE):
                    return False
        index += 1
    return True


@fn
def take_page(info: Ptr[BootInfo]) -> u64:
    """A free page for the kernel itself; 0 when there is none.

    It is the first one above the kernel's image; where the loader put that on top of memory, the first one above 1 MiB.
    """
    page = take_page_above(info, info.kernel_base)
    return page if page != 0 else take_page_above(info, LOW_MEMORY)


@fn
def take_page_above(info: Ptr[BootInfo], lowest: u64) -> u64:
    """The first free page of a range that starts at `lowest` or above; 0 when there is none."""
    for i in bounded(range(info.region_count), MAX_REGIONS):
        here = ptr(info.regions[i])
        if here.kind == RegionKind.FREE and here.size >= PAGE and here.base >= lowest:
            page = here.base
            if i > 0 and follows(ptr(info.regions[i - 1]), page):
                info.regions[i - 1].size += PAGE
                here.base += PAGE
                here.size -= PAGE
                if here.size == 0:
                    remove_region(info, i)
                return page
            return page if mark_region(info, page, page + PAGE, RegionKind.KERNEL) else 0
    return 0


@fn
def follows(before: Ptr[Region], page: u64) -> bool:
    """Whether the page comes right behind memory of the kernel."""
    return before.kind == RegionKind.KERNEL and end_of(before) == page


@fn
def count_memory(info: Ptr[BootInfo], kind: RegionKind) -> u64:
    """Bytes of a kind."""
    total: u64 = 0
    for i in bounded(range(info.region_count), MAX_REGIONS):
        if info.regions[i].kind == kind:
            total += info.regions[i].size
    return total


@fn
def has_word(text: View[u8], word: Str) -> bool:
    """Whether a command line has this word, between blanks."""
    at: usize = 0
    for i in bounded(range(len(text)), TEXT_BYTES):
        if text[i] == BLANK:
            at = 0
        elif at < len(word) and text[i] == word[at]:
            at += 1
            if at == len(word) and (i + 1 == len(text) or text[i + 1] == BLANK):
                return True
        else:
            at = len(word)  # another word: on to the next blank
    return False
