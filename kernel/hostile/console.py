"""The console's registers, for the one program that has the capability: output, polled."""

from kernel.abi import Error, Rights
from kernel.lang import *
from kernel.services.init import loader
from kernel.user import uart
from kernel.user.layout import CONSOLE_AT

PATIENCE = 1 << 20


@fn
def open(builder: Ptr[loader.Builder], device: u64) -> Error:
    """Maps the registers."""
    return loader.map_page(builder, builder.own_space, device, CONSOLE_AT, Rights.READ | Rights.WRITE)


@fn
def put_byte(byte: u8) -> None:
    """Sends a byte when there is room."""
    for _ in range(PATIENCE):
        if uart.has_room() > 0:
            uart.send(byte)
            return


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


@fn
def put_hex(value: u64) -> None:
    """A number in hexadecimal, all of its digits."""
    put("0x")
    for i in range(16):
        digit = trunc(value >> (4 * (15 - u64(i))) & 15, u8)
        put_byte(digit + (48 if digit < 10 else 87))
