"""Text to a console service: collected, and sent as messages of up to 48 bytes."""

from kernel.lang import *
from kernel.services.names import Name, name_byte, name_length
from kernel.services.protocol import SEQUENCE_SHIFT, WRITE_BYTES, ConsoleCall
from kernel.user import calls
from kernel.user.message import Message

MOST = 4096  # bytes of one text
TRIES = 100  # while the console is away: it is brought back within seconds
PAUSE = 1_000_000  # ticks between two tries
PATIENCE = 5_000_000  # ticks that a try may take: a console that hangs holds up nobody's heartbeat

Wait = function_pointer("Wait", [u64], None)


@fn
def sleep(ticks: u64) -> None:
    """How a program waits that has nothing else to do."""
    calls.sleep(ticks)


wait = variable(Wait, sleep)
"""What is done between two tries to reach a console that is away."""
console = variable(u64, 0)
"""The console's handle: the program sets it first."""
pending = variable(Message)
count = variable(usize, 0)
sequence = variable(u64, 0)
"""Of the last message: no two programs use the same one, since it is at least the clock."""


@fn
def set_console(handle: u64) -> None:
    """Where text goes."""
    global console
    console = handle


@fn
def set_wait(how: Wait) -> None:
    """What to do while the console is away."""
    global wait
    wait = how


@fn
def flush() -> None:
    """Sends what was collected. A console that stays away loses it: nobody waits for a terminal for ever. One that was
    only slow had printed it when it is sent again, and knows that by its sequence number."""
    global count, sequence
    if count == 0:
        return
    sequence = max(sequence + 1, calls.clock())
    for _ in range(TRIES):
        message = Message()
        copy(message.words, pending.words)
        message.words[0] = u64(ConsoleCall.WRITE)
        message.words[1] = u64(count) | sequence << SEQUENCE_SHIFT
        if u8(calls.call_within(console, ptr(message), PATIENCE)) == 0:
            break
        wait(PAUSE)
    count = 0
    for i in range(8):
        pending.words[i] = 0


@fn
def put_byte(byte: u8) -> None:
    """One byte."""
    global count
    pending.words[2 + count // 8] |= u64(byte) << (8 * u64(count % 8))
    count += 1
    if count == WRITE_BYTES:
        flush()


@fn
def put(text: Str) -> None:
    """A text; a line feed becomes what a terminal needs."""
    for i in bounded(range(len(text)), MOST):
        if text[i] == 10:
            put_byte(13)
        put_byte(text[i])


@fn
def blanks(used: usize, width: usize) -> None:
    """Fills up to a column."""
    for _ in bounded(range(width - min(used, width)), 128):
        put_byte(32)


@fn
def put_name(name: Ptr[Name], width: usize) -> None:
    """A name, left-aligned."""
    length = name_length(name)
    for i in bounded(range(length), 24):
        put_byte(name_byte(name, i))
    blanks(length, width)


@fn
def put_padded(text: Str, width: usize) -> None:
    """A text, left-aligned."""
    put(text)
    blanks(len(text), width)


@fn
def put_decimal(value: u64, width: usize) -> None:
    """A number, right-aligned."""
    digits = zero(Array[u8, 20])
    rest = value
    length: usize = 0
    while bounded(length == 0 or rest != 0, 20):
        digits[length] = 48 + trunc(rest % 10, u8)
        rest = rest // 10
        length += 1
    blanks(length, width)
    for i in bounded(range(length), 20):
        put_byte(digits[length - 1 - i])


@fn
def put_hex(value: u64, width: usize) -> None:
    """A number in hexadecimal with 0x, right-aligned."""
    length = usize((64 - clz(value | 1) + 3) // 4)
    blanks(length + 2, width)
    put("0x")
    for i in bounded(range(length), 16):
        digit = trunc(value >> (4 * u64(length - 1 - i)) & 15, u8)
        put_byte(digit + (48 if digit < 10 else 87))


@fn
def put_rights(rights: u64) -> None:
    """Rights as letters: read, write, execute, grant, revoke."""
    put_byte(114 if rights & 1 != 0 else 45)
    put_byte(119 if rights & 2 != 0 else 45)
    put_byte(120 if rights & 4 != 0 else 45)
    put_byte(103 if rights & 8 != 0 else 45)
    put_byte(118 if rights & 16 != 0 else 45)


@fn
def put_seconds(ticks: u64, ticks_per_second: u64) -> None:
    """A time with milliseconds."""
    put_decimal(ticks // ticks_per_second, 0)
    put_byte(46)
    millis = ticks % ticks_per_second * 1000 // ticks_per_second
    put_byte(48 + trunc(millis // 100, u8))
    put_byte(48 + trunc(millis // 10 % 10, u8))
    put_byte(48 + trunc(millis % 10, u8))
