"""The UART (16550), text for people, and the debug console of the SBI (chapter 12).

Sending is bounded: a transmitter that takes no byte in PATIENCE polls has failed, and says so to the caller.
"""

from kernel.arch.riscv64.machine_mode import memory
from kernel.lang import *
from rtl.registers import ns16550

PATIENCE = 10_000_000
"""Polls of LSR until a transmitter counts as stuck: seconds at any line speed in use."""

BAUD = 115_200
CRYSTAL_HZ = 3_686_400
DIVISOR = CRYSTAL_HZ // (16 * BAUD)

NO_BYTE = 0x100


@fn
def initialize() -> None:
    """8N1 at BAUD, FIFOs on, no interrupts (16550D section 8.4)."""
    uart = memory.uart()
    uart.lcr.write(word_length=ns16550.WordLength.EIGHT, dlab=True)
    uart.dll.write(DIVISOR)
    uart.dlm.write(0)
    uart.lcr.write(word_length=ns16550.WordLength.EIGHT)
    uart.ier.write(received_data=False)
    uart.fcr.write(enable=True, clear_receive=True, clear_transmit=True)


@fn
def write_byte(byte: u8) -> bool:
    """Sends a byte; false when the transmitter is stuck."""
    uart = memory.uart()
    for _ in range(PATIENCE):
        if uart.lsr.read().thr_empty:
            uart.thr.write(byte)
            return True
    return False


@fn
def read_byte() -> u16:
    """A received byte, or NO_BYTE."""
    uart = memory.uart()
    if uart.lsr.read().data_ready:
        return u16(uart.rbr.read())
    return NO_BYTE


@fn
def write(text: Str) -> None:
    """Prints text; `\\n` starts a new line on any terminal."""
    write_bytes(text[:])


@fn
def write_bytes(text: View[u8]) -> None:
    for i in bounded(range(len(text)), 4096):
        if text[i] == 10:
            _ = write_byte(13)
        _ = write_byte(text[i])


@fn
def write_hex(value: u64) -> None:
    """`0x` and as few digits as it takes."""
    write("0x")
    digits = max((67 - clz(value)) // 4, 1)
    for i in bounded(range(digits), 16):
        write_byte_of_hex(trunc(value >> 4 * (digits - 1 - i) & 15, u8))


@fn
def write_byte_of_hex(digit: u8) -> None:
    _ = write_byte(digit + (48 if digit < 10 else 87))


@fn
def write_decimal(value: u64) -> None:
    """Decimal."""
    digits = zero(Array[u8, 20])
    count: usize = 0
    rest = value
    while bounded(rest != 0 or count == 0, 20):
        digits[count] = trunc(rest % 10, u8) + 48
        rest = rest // 10
        count += 1
    for i in bounded(range(count), 20):
        _ = write_byte(digits[count - 1 - i])
