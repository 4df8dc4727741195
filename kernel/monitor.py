"""A small monitor: what there is to talk to until the microkernel's shell. Every answer is live state."""

from typing import Never

from kernel import clock, input_ring
from kernel.arch import console, cpu, interrupts, power, timer
from kernel.banner import banner, label, put_bytes_count
from kernel.boot_info import MAX_REGIONS, BootInfo, RegionKind
from kernel.lang import *
from kernel.printing import put, put_byte, put_bytes, put_decimal, put_hex

LINE_BYTES = 128
_BACKSPACE, _LINE_FEED, _RETURN, _DELETE = 8, 10, 13, 127

line = variable(Array[u8, LINE_BYTES])
length = variable(usize, 0)


@fn
def run(info: Ptr[BootInfo]) -> Never:
    """Prompt, line, command; for ever."""
    global length
    cpu.enable_interrupts()
    while True:
        put("> ")
        length = 0
        read_line()
        if length > 0:
            command(info)


@fn
def wait_byte() -> u8:
    """The next byte typed; the CPU sleeps until then (for at most some centuries)."""
    for _ in range(1 << 62):
        byte = console.read_byte()
        if byte < input_ring.NO_BYTE:
            return trunc(byte, u8)
        cpu.wait_for_interrupt()
    panic("nobody typed anything")


@fn
def read_line() -> None:
    """Reads to the end of a line, with an echo; what does not fit is refused with a bell."""
    global length
    for _ in range(1 << 30):
        byte = wait_byte()
        if byte == _RETURN or byte == _LINE_FEED:
            put("\n")
            return
        if byte == _BACKSPACE or byte == _DELETE:
            if length > 0:
                length -= 1
                put("\x08 \x08")
        elif byte < 32 or byte > 126 or length == LINE_BYTES:
            put_byte(7)
        else:
            line[length] = byte
            length += 1
            put_byte(byte)


@fn
def typed(word: Str) -> bool:
    """Whether the line is this word."""
    if length != len(word):
        return False
    for i in bounded(range(len(word)), LINE_BYTES):
        if line[i] != word[i]:
            return False
    return True


@fn
def command(info: Ptr[BootInfo]) -> None:
    """Does what the line says."""
    if typed("help"):
        put("info memory uptime interrupts: live state\n")
        put("panic fault overflow write-text run-data: what the kernel must not do, each ends in a panic\n")
        put("reboot poweroff\n")
    elif typed("info"):
        banner(info)
    elif typed("memory"):
        show_memory(info)
    elif typed("uptime"):
        show_uptime(info)
    elif typed("interrupts"):
        label("timer")
        put_decimal(clock.count())
        put("\n")
        label("devices")
        put_decimal(interrupts.served)
        put("\n")
        label("bytes lost")
        put_decimal(input_ring.lost)
        put("\n")
    elif typed("panic"):
        _ = fail(length)
    elif typed("fault"):
        cpu.load_from(8)
    elif typed("overflow"):
        cpu.overflow_stack()
    elif typed("write-text"):
        cpu.write_text()
    elif typed("run-data"):
        cpu.run_data()
    elif typed("reboot"):
        put("rebooting\n")
        power.reboot()
    elif typed("poweroff"):
        put("power off\n")
        power.power_off(0)
    else:
        put("no command ")
        put_bytes(view(line)[0:length])
        put(": try help\n")


@fn
def fail(index: usize) -> u8:
    """A check that fails, for the panic command: 1000 and more is no index of the line."""
    return line[index + 1000]


@fn
def show_memory(info: Ptr[BootInfo]) -> None:
    """The memory map as it is now."""
    for i in bounded(range(info.region_count), MAX_REGIONS):
        region = ptr(info.regions[i])
        put("  ")
        put_hex(region.base)
        put("..")
        put_hex(region.base + region.size)
        put(" ")
        put_bytes_count(region.size)
        put(" ")
        match region.kind:
            case RegionKind.FREE:
                put("free")
            case RegionKind.RESERVED:
                put("reserved")
            case RegionKind.KERNEL:
                put("kernel")
            case RegionKind.MODULES:
                put("modules")
            case RegionKind.BOOT_DATA:
                put("boot data")
            case RegionKind.ACPI:
                put("ACPI")
        put("\n")


@fn
def show_uptime(info: Ptr[BootInfo]) -> None:
    """Time since reset by the timer's counter, and the interrupts that it caused since boot."""
    put_decimal(timer.now() * 1000 // info.timer_hz)
    put(" ms, ")
    put_decimal(clock.count())
    put(" timer interrupts at ")
    put_decimal(clock.TICKS_PER_SECOND)
    put(" Hz\n")
