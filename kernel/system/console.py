"""The console's registers, for the one program that has the capability: output, polled."""

from kernel.abi import Error
from kernel.arch.aarch64 import pl011
from kernel.arch.objects import pointer_maker
from kernel.lang import *
from kernel.system import loader
from rtl.registers import ns16550

ADDRESS = 0x1000_0000  # where the device is mapped
# On x86_64 that opens its I/O ports (kernel/arch/x86_64/ports.py).
REGISTERS = by_arch(riscv64=ADDRESS, x86_64=0x3F8, host=ADDRESS)
PATIENCE = 1 << 20

uart_at = pointer_maker(ns16550.Registers)
pl011_at = pointer_maker(pl011.Registers)


@fn
def open(builder: Ptr[loader.Builder], device: u64) -> Error:
    """Maps the registers."""
    return loader.map_page(builder, builder.space, device, ADDRESS, 3)


@fn
def put_to_pl011(byte: u8) -> None:
    """Sends a byte when there is room (DDI 0183 3.3.3, UARTFR bit 5)."""
    uart = pl011_at(ADDRESS)
    for _ in range(PATIENCE):
        if not uart.fr.read().transmit_full:
            uart.dr.write(u32(byte))
            return


@fn
def put_to_ns16550(byte: u8) -> None:
    """Sends a byte when there is room (16550D section 8.4, LSR bit 5)."""
    uart = uart_at(REGISTERS)
    for _ in range(PATIENCE):
        if uart.lsr.read().thr_empty:
            uart.thr.write(byte)
            return


put_byte = by_arch(riscv64=put_to_ns16550, x86_64=put_to_ns16550, aarch64=put_to_pl011, host=put_to_ns16550)


@fn
def put(text: Str) -> None:
    """A text; a line feed is what a terminal wants."""
    for i in bounded(range(len(text)), 1024):
        if text[i] == 10:
            put_byte(13)
        put_byte(text[i])


@fn
def put_decimal(value: u64, width: usize) -> None:
    """A number, right-aligned."""
    digits = zero(Array[u8, 20])
    rest = value
    count: usize = 0
    for i in range(20):
        digits[i] = trunc(48 + rest % 10, u8)
        rest = rest // 10
        count += 1
        if rest == 0:
            break
    if width > count:
        for _ in bounded(range(width - count), 64):
            put_byte(32)
    for i in bounded(range(count), 20):
        put_byte(digits[count - 1 - i])
