"""Text for the console: strings and numbers, one after the other. No formats, no buffers."""

from kernel.arch import console
from kernel.lang import *

MOST = 4096  # bytes of one text


@fn
def put_byte(byte: u8) -> None:
    """One byte; a line feed becomes what a terminal needs."""
    if byte == 10:
        console.write_byte(13)
    console.write_byte(byte)


@fn
def put(text: Str) -> None:
    """A text."""
    for i in bounded(range(len(text)), MOST):
        put_byte(text[i])


@fn
def put_bytes(data: View[u8]) -> None:
    """Bytes that the machine gave; what is not printable ASCII is shown as a dot."""
    for i in bounded(range(len(data)), MOST):
        byte = data[i]
        put_byte(byte if byte >= 32 and byte < 127 else 46)


@fn
def put_decimal(value: u64) -> None:
    """A number in decimal."""
    digits = zero(Array[u8, 20])
    rest = value
    count: usize = 0
    while bounded(count == 0 or rest != 0, 20):
        digits[count] = 48 + trunc(rest % 10, u8)
        rest = rest // 10
        count += 1
    for i in bounded(range(count), 20):
        put_byte(digits[count - 1 - i])


@fn
def put_hex(value: u64) -> None:
    """A number in hexadecimal, 0x first, as short as it can be."""
    put("0x")
    digits = (64 - clz(value | 1) + 3) // 4
    for i in bounded(range(digits), 16):
        digit = trunc(value >> (4 * (digits - 1 - i)) & 15, u8)
        put_byte(digit + (48 if digit < 10 else 87))
