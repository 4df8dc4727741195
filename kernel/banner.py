"""The banner: facts that this boot learned, nothing else. What was not learned has no line."""

from kernel.boot_info import (
    BootInfo,
    ConsoleKind,
    ControllerKind,
    Protocol,
    RegionKind,
    Text,
    count_memory,
    text_view,
)
from kernel.lang import *
from kernel.printing import put, put_bytes, put_decimal, put_hex

KIB = 1 << 10
MIB = 1 << 20


@fn
def banner(info: Ptr[BootInfo]) -> None:
    """Prints it."""
    put("\nSplax\n")
    label_text("machine", ptr(info.machine))
    label("cpu")
    if info.cpu_model.length > 0:
        put_bytes(text_view(ptr(info.cpu_model)))
        put(", ")
    put_decimal(u64(info.cpu_count))
    put(" in all, started on ")
    put_decimal(info.hart)
    put("\n")
    label_text("features", ptr(info.cpu_features))
    label("memory")
    put_bytes_count(info.total_memory)
    put(", ")
    put_bytes_count(count_memory(info, RegionKind.FREE))
    put(" free, kernel at ")
    put_hex(info.kernel_base)
    put("\n")
    if info.timer_hz != 0:
        label("timer")
        put_decimal(info.timer_hz)
        put(" Hz\n")
    label("interrupts")
    put_controller(info.controller)
    put("\n")
    label("boot")
    put_protocol(info.protocol)
    if info.loader.length > 0:
        put(", ")
        put_bytes(text_view(ptr(info.loader)))
        if info.loader_version != 0:
            put(" ")
            put_decimal(info.loader_version >> 16)
            put(".")
            put_decimal(info.loader_version & 0xFFFF)
    put("\n")
    label("console")
    put_console(info)
    put("\n")
    label_text("arguments", ptr(info.command_line))


@fn
def label(name: Str) -> None:
    """The beginning of a line."""
    put("  ")
    put(name)
    for _ in bounded(range(len(name), max(len(name), 12)), 12):
        put(" ")


@fn
def label_text(name: Str, text: Ptr[Text]) -> None:
    """A line with a text, if the machine gave one."""
    if text.length > 0:
        label(name)
        put_bytes(text_view(text))
        put("\n")


@fn
def put_bytes_count(bytes: u64) -> None:
    """Bytes, in the largest binary unit that leaves no rest."""
    if bytes % MIB == 0:
        put_decimal(bytes // MIB)
        put(" MiB")
    else:
        put_decimal(bytes // KIB)
        put(" KiB")


@fn
def put_protocol(protocol: Protocol) -> None:
    """Its name."""
    match protocol:
        case Protocol.NONE:
            put("unknown")
        case Protocol.LINUX_IMAGE:
            put("Linux Image")
        case Protocol.UEFI:
            put("UEFI")
        case Protocol.PVH:
            put("PVH")
        case Protocol.MULTIBOOT2:
            put("Multiboot2")
        case Protocol.LIMINE:
            put("Limine")


@fn
def put_controller(controller: ControllerKind) -> None:
    """Its name."""
    match controller:
        case ControllerKind.NONE:
            put("none found")
        case ControllerKind.PLIC:
            put("PLIC")
        case ControllerKind.GIC_V2:
            put("GICv2")
        case ControllerKind.GIC_V3:
            put("GICv3")
        case ControllerKind.APIC:
            put("APIC")
        case ControllerKind.PIC_8259:
            put("8259 PIC")


@fn
def put_console(info: Ptr[BootInfo]) -> None:
    """What it is and where."""
    match info.console:
        case ConsoleKind.NONE:
            put("none found")
        case ConsoleKind.NS16550:
            put("ns16550")
        case ConsoleKind.PL011:
            put("PL011")
        case ConsoleKind.SBI:
            put("firmware")
    if info.console_base != 0:
        put(" at ")
        put_hex(info.console_base)
    if info.console_interrupt != 0:
        put(", interrupt ")
        put_decimal(u64(info.console_interrupt))
