"""The console: the only holder of the UART. Writes for its clients, keeps what was typed until it is read.

Two threads. The second waits for the interrupt's notification and then calls the first, which alone touches registers
and buffer, so that there is nothing to lock. Who wants to read gets told by a notification, and asks.
"""

from typing import Never

from kernel.abi import NEVER_TIMES_OUT, Error
from kernel.lang import *
from kernel.services.description import MAX_SERVICES, SYSTEM
from kernel.services.names import Name, name_words
from kernel.services.protocol import (
    INPUT_BIT,
    READ_BYTES,
    SEQUENCE_SHIFT,
    THREAD_SHIFT,
    UNKNOWN,
    WRITE_BYTES,
    ConsoleCall,
)
from kernel.user import calls, service, uart
from kernel.user.message import Message
from kernel.user.uart import FIFO_BYTES

SELF = SYSTEM.handle("console", "self")
OWN = SYSTEM.handle("console", "own")
CLIENTS = SYSTEM.handle("console", "clients")
OWN_BADGE = SYSTEM.badge_of("console", "own")
READER_BADGE = SYSTEM.badge_of("shell", "console")
INTERRUPT = SYSTEM.handle("console", "interrupt")
ARRIVED = SYSTEM.handle("console", "arrived")
INPUT = SYSTEM.handle("console", "input")

RING = 1024
THREAD_MASK = (1 << THREAD_SHIFT) - 1
COUNT_MASK = (1 << SEQUENCE_SHIFT) - 1
PATIENCE = 64  # looks before the next are made after a pause
PAUSE = 500  # ticks: half the time of a byte at 115,200 baud
PAUSES = 1 << 20  # 52 s: somebody has stopped his terminal

NAME = constant(Name, {"words": list(name_words("console"))})
own_name = variable(Name)
ring = variable(Array[u8, RING])
first = variable(usize, 0)
used = variable(usize, 0)
lost = variable(u64, 0)
stuck = variable(bool, False)  # the transmitter: what it does not take at once is lost
room = variable(u32, 0)
written = variable(Array[u64, MAX_SERVICES + 1])
"""The last sequence number of each service, by its badge."""
OTHERS = 64
others = variable(Array[u64, OTHERS])
"""The newest sequence numbers of all other clients: they have one badge, and no two the same numbers (text.py)."""
others_count = variable(usize, 0)
given = variable(Array[u64, 8])
"""The last answer to READ, and the sequence number it was asked with."""
given_to = variable(u64, 0)


@fn
def look_for_room() -> bool:
    """Whether the transmitter takes a byte, now or in a moment."""
    global room
    for _ in range(PATIENCE):
        if room > 0:
            break
        room = uart.has_room()
    return room > 0


@fn
def put(byte: u8) -> None:
    """Sends a byte when the transmitter has room, which may take as long as a terminal is stopped; S-ATLAS hears
    meanwhile that this service lives."""
    global room, stuck
    for _ in range(PAUSES):
        if look_for_room() or stuck:
            break
        calls.sleep(PAUSE)
        service.beat(ptr(own_name), CLIENTS)
    stuck = room == 0
    if room > 0:
        uart.send(byte)
        room -= 1


@fn
def keep(byte: u8) -> None:
    """Keeps a byte until it is read; what does not fit is lost and counted."""
    global used, lost
    if used < RING:
        ring[(first + used) % RING] = byte
        used += 1
    else:
        lost += 1


@fn
def drain() -> None:
    """Takes what has arrived."""
    for _ in range(2 * FIFO_BYTES):
        if not uart.has_byte():
            break
        keep(uart.take())
    if used > 0:
        _ = calls.notify(INPUT, INPUT_BIT)


@fn
def is_repeated(badge: u64, sequence: u64) -> bool:
    """Whether this client has sent the same before: it did not wait for the answer, and asks again."""
    global others_count
    if sequence == 0:
        return False
    if badge <= MAX_SERVICES:
        repeated = written[badge] == sequence
        written[badge] = sequence
        return repeated
    for i in range(OTHERS):
        if others[i] == sequence:
            return True
    others[others_count % OTHERS] = sequence
    others_count += 1
    return False


@fn
def write(message: Ptr[Message]) -> None:
    """WRITE."""
    count = min(message.words[1] & COUNT_MASK, WRITE_BYTES)
    if not is_repeated(message.number, message.words[1] >> SEQUENCE_SHIFT):
        for i in bounded(range(count), WRITE_BYTES):
            put(trunc(message.words[2 + i // 8] >> (8 * (i % 8)), u8))
    message.words[0] = count


@fn
def read(message: Ptr[Message]) -> None:
    """READ. Who asks again, as no answer had come in time, gets the same again."""
    global first, used, given_to
    sequence = message.words[1]
    if sequence == 0 or sequence != given_to:
        given_to = sequence
        for i in range(8):
            given[i] = 0
        count = min(used, READ_BYTES)
        for i in bounded(range(count), READ_BYTES):
            given[1 + i // 8] |= u64(ring[first]) << (8 * u64(i % 8))
            first = (first + 1) % RING
        used -= count
        given[0] = u64(count)
    copy(message.words, given)


@fn
def serve(message: Ptr[Message]) -> None:
    """A request; the message becomes the answer."""
    message.capability = 0
    message.option = 0
    if message.words[0] == u64(ConsoleCall.WRITE):
        write(message)
    elif message.words[0] == u64(ConsoleCall.READ) and message.number == READER_BADGE:
        read(message)
    elif message.words[0] == u64(ConsoleCall.INPUT) and message.number == OWN_BADGE:
        drain()
        message.words[0] = 0
    else:
        message.words[0] = UNKNOWN


@fn
def run() -> Never:
    """The first thread."""
    copy(own_name, NAME)
    uart.begin()
    _ = service.register(ptr(own_name), CLIENTS)
    message = Message()
    error = calls.receive(SELF, ptr(message), service.BEAT_WAIT, 0)
    while True:
        if error == Error.NONE:
            serve(ptr(message))
        service.beat(ptr(own_name), CLIENTS)
        error = calls.reply_receive(SELF, ptr(message), service.BEAT_WAIT)


@fn
def watch() -> Never:
    """The second thread: an interrupt becomes a call."""
    bits: u64 = 0
    # What an earlier life of this service had bound stays bound: the capability outlives its holder.
    _ = calls.interrupt_bind(INTERRUPT, 0, 0)
    if calls.interrupt_bind(INTERRUPT, ARRIVED, 1) != Error.NONE:
        calls.exit(1)
    # What arrived before raises no interrupt any more: its line is up already.
    told = Message()
    told.words[0] = u64(ConsoleCall.INPUT)
    _ = calls.call(OWN, ptr(told))
    while True:
        if calls.wait(ARRIVED, NEVER_TIMES_OUT, ptr(bits)) != Error.NONE:
            calls.exit(2)
        message = Message()
        message.words[0] = u64(ConsoleCall.INPUT)
        _ = calls.call(OWN, ptr(message))
        _ = calls.interrupt_acknowledge(INTERRUPT)


@fn
def main(argument: u64) -> u64:
    """Both threads start here."""
    if argument & THREAD_MASK == 1:
        watch()
    run()
