"""`dmesg`: what the kernel has said and what S-ATLAS has recorded, in the order of time."""

from kernel.abi import Facts
from kernel.core.machine_calls import LOG_PIECE
from kernel.lang import *
from kernel.log import LINE_BYTES, LINES
from kernel.services.atlas.registry import MAX_EVENTS
from kernel.services.names import Name
from kernel.services.protocol import AtlasCall
from kernel.services.shell.machine import fact
from kernel.services.shell.show import EVENT_NAMES, ask_atlas, name_of, put_time
from kernel.user.message import Message
from kernel.user.text import put, put_byte, put_name

NEVER = (1 << 64) - 1
PIECES = (LINE_BYTES + LOG_PIECE - 1) // LOG_PIECE


@fn
def line_of(number: u64, offset: u64, message: Ptr[Message]) -> bool:
    """A piece of a line of the kernel's log."""
    message.words[2] = offset
    return fact(Facts.LOG, number, message)


@fn
def event_of(number: u64, message: Ptr[Message]) -> bool:
    """An event of S-ATLAS."""
    return ask_atlas(AtlasCall.EVENTS, number, message)


@fn
def put_line(number: u64, begins: bool) -> bool:
    """A line of the log; whether the next one goes on with it."""
    message = Message()
    more = False
    for piece in range(PIECES):
        start = u64(piece) * LOG_PIECE
        if not line_of(number, start, ptr(message)) or message.words[0] != number:
            break
        if piece == 0 and begins:
            put_time(message.words[1])
            put("  kernel  ")
        more = message.words[3] != 0
        for i in range(LOG_PIECE):
            if start + u64(i) < message.words[2]:
                put_byte(trunc(message.words[4 + i // 8] >> (8 * u64(i % 8)), u8))
    if not more:
        put("\n")
    return more


@fn
def put_event(message: Ptr[Message]) -> None:
    """An event."""
    name = Name()
    put_time(message.words[6])
    put("  atlas   ")
    name_of(message, ptr(name))
    put_name(ptr(name), 0)
    put_byte(32)
    put(EVENT_NAMES[message.words[4]])
    put("\n")


@fn
def dmesg() -> None:
    """`dmesg`. What is recorded while it prints is for the next time."""
    line = Message()
    event = Message()
    number: u64 = 0
    if line_of(0, 0, ptr(line)):
        number = line.words[0]
    _ = event_of(NEVER, ptr(event))
    events = event.words[7]
    next = events - min(events, MAX_EVENTS)
    begins = True
    for _ in range(LINES + MAX_EVENTS):
        has_line = line_of(number, 0, ptr(line))
        if has_line:
            number = line.words[0]
        has_event = next < events and event_of(next, ptr(event))
        if has_line and (not begins or not has_event or line.words[1] <= event.words[6]):
            begins = not put_line(number, begins)
            number += 1
        elif has_event:
            put_event(ptr(event))
            next += 1
        else:
            break
