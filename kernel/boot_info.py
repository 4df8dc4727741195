"""What every boot path tells the kernel, whatever the architecture and the protocol: one struct of facts.

`kernel.arch.*.boot` fills it, from the device tree, a memory map of UEFI, Multiboot2, PVH or Limine, ACPI tables and
the CPU itself. Nothing in it is a default: what a path could not learn is 0, NONE or "" and is shown so.
"""

from enum import IntEnum

from kernel.lang import *

MAX_REGIONS = 64
TEXT_BYTES = 256


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
    controller: ControllerKind
    controller_base: u64  # PLIC, GIC distributor, I/O APIC
    controller_base_2: u64  # GIC CPU interface or redistributors, local APIC
    controller_context: u32  # PLIC: this hart's context of supervisor mode


@fn
def set_text(text: Ptr[Text], source: View[u8]) -> None:
    """Keeps as much of `source` as there is room for."""
    text.length = min(len(source), TEXT_BYTES)
    for i in bounded(range(text.length), TEXT_BYTES):
        text.bytes[i] = source[i]


@fn
def text_view(text: Ptr[Text]) -> View[u8]:
    """What is kept."""
    return view(text.bytes)[: text.length]


@fn
def add_region(info: Ptr[BootInfo], base: u64, size: u64, kind: RegionKind) -> bool:
    """Adds a range at the end of the list; false when the list is full."""
    if size == 0:
        return True
    if info.region_count == MAX_REGIONS:
        return False
    region = ptr(info.regions[info.region_count])
    region.base = base
    region.size = size
    region.kind = kind
    info.region_count += 1
    return True
