"""Text for the log and, while the kernel has it, the console: strings and numbers, one after the other. No formats."""

from kernel import log
from kernel.lang import *
from kernel.lang.declare import Later

MOST = 4096  # bytes of one text

on_console = variable(bool, True)


@fn
def nowhere(byte: u8) -> None:
    """On the host there is no console."""
    _ = byte


write_byte = by_arch(
    host=nowhere,
    riscv64=Later("kernel.arch.riscv64.console", "write_byte"),
    x86_64=Later("kernel.arch.x86_64.console", "write_byte"),
    aarch64=Later("kernel.arch.aarch64.console", "write_byte"),
)


@fn
def leave_console() -> None:
    """The console is for user programs from now on; what the kernel says goes to the log only."""
    global on_console
    on_console = False


@fn
def take_console() -> None:
    """What the kernel says is shown, whoever has the console: for panics."""
    global on_console
    on_console = True


@fn
def put_byte(byte: u8) -> None:
    """One byte; for the console a line feed becomes what a terminal needs."""
    log.put_byte(byte)
    if on_console:
        if byte == 10:
            write_byte(13)
        write_byte(byte)


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
