"""System calls for user programs: one function a call, named as in kernel/abi.

Every function takes the handle of the capability that allows it and gives an `Error`. `Message` functions are for IPC:
the caller fills words (and capability, option) and finds the answer in them. The others hide the registers.
"""

from typing import Never

from kernel.abi import NEVER_TIMES_OUT, Error, Kind, SystemCall
from kernel.arch.aarch64 import user as aarch64
from kernel.arch.riscv64 import user as riscv64
from kernel.arch.x86_64 import user as x86_64
from kernel.lang import *
from kernel.user.message import Message


@fn
def host_invoke(message: Ptr[Message]) -> None:
    """On the host there is no kernel under a program."""
    message.handle = u64(Error.UNKNOWN_CALL)


invoke = by_arch(riscv64=riscv64.invoke, aarch64=aarch64.invoke, x86_64=x86_64.invoke, host=host_invoke)
read_cycles = by_arch(riscv64=riscv64.read_cycles, aarch64=aarch64.read_cycles, x86_64=x86_64.read_cycles)


@fn
def enter(message: Ptr[Message], number: SystemCall, handle: u64) -> Error:
    """A system call with what is in the message."""
    message.number = u64(number)
    message.handle = handle
    invoke(message)
    return Error(trunc(message.handle, u8))


# Messages


@fn
def call(endpoint: u64, message: Ptr[Message]) -> Error:
    """Sends, waits for the answer without a limit. message.capability is sent along if it is not 0."""
    message.timeout = NEVER_TIMES_OUT
    return enter(message, SystemCall.CALL, endpoint)


@fn
def call_within(endpoint: u64, message: Ptr[Message], ticks: u64) -> Error:
    """Sends, waits for the answer, not longer than `ticks`."""
    message.timeout = ticks
    return enter(message, SystemCall.CALL, endpoint)


@fn
def send(endpoint: u64, message: Ptr[Message], ticks: u64) -> Error:
    """Sends; waits until somebody takes it, not longer than `ticks`."""
    message.timeout = ticks
    return enter(message, SystemCall.SEND, endpoint)


@fn
def receive(endpoint: u64, message: Ptr[Message], ticks: u64, accept: u64) -> Error:
    """Waits for a message, not longer than `ticks`. A capability that comes along goes into the empty slot `accept`; 0
    takes none. message.number is the badge of whom it is from."""
    message.timeout = ticks
    message.capability = 0
    message.option = accept_option(accept)
    return enter(message, SystemCall.RECEIVE, endpoint)


@fn
def reply_receive(endpoint: u64, message: Ptr[Message], ticks: u64) -> Error:
    """Answers whom the last message came from, then waits for the next. Option and capability are the caller's to set:
    `grant_option`, `accept_option`."""
    message.timeout = ticks
    return enter(message, SystemCall.REPLY_RECEIVE, endpoint)


@fn
def reply(message: Ptr[Message]) -> Error:
    """Answers whom the last message came from."""
    return enter(message, SystemCall.REPLY, 0)


@fn
def accept_option(slot: u64) -> u64:
    """The option that takes a received capability into an empty slot; 0 takes none (slot 0 holds the own table)."""
    return 0 if slot == 0 else (slot + 1) << 32


@fn
def grant_option(rights: u8, move: bool) -> u64:
    """The option that sends a capability with these rights, or moves it away."""
    return u64(rights) | (256 if move else 0)


@fn
def notify(notification: u64, bits: u64) -> Error:
    """Sets bits."""
    message = Message()
    message.words[0] = bits
    return enter(ptr(message), SystemCall.NOTIFY, notification)


@fn
def wait(notification: u64, ticks: u64, bits: Ptr[u64]) -> Error:
    """Takes all bits, waiting for the first, not longer than `ticks`."""
    message = Message(timeout=ticks)
    error = enter(ptr(message), SystemCall.WAIT, notification)
    bits.value = message.words[0]
    return error


# Time and the own thread


@fn
def clock() -> u64:
    """Ticks since some moment: TICKS_PER_SECOND of them a second."""
    message = Message()
    _ = enter(ptr(message), SystemCall.CLOCK, 0)
    return message.words[0]


@fn
def sleep(ticks: u64) -> None:
    """Waits."""
    message = Message(timeout=ticks)
    _ = enter(ptr(message), SystemCall.SLEEP, 0)


@fn
def yield_now() -> None:
    """Lets others of the same level run first."""
    message = Message()
    _ = enter(ptr(message), SystemCall.YIELD, 0)


@fn
def exit(status: u64) -> Never:
    """Ends the thread; whoever holds its fault endpoint is told the status."""
    message = Message()
    while True:  # nothing here can panic: a panic ends the same way
        message.number = u64(SystemCall.EXIT)
        message.handle = status
        invoke(ptr(message))


# Capabilities. `table` 0 is the own table. A result handle goes to `made`.


@fn
def four(number: SystemCall, handle: u64, a: u64, b: u64, c: u64, d: u64, made: Ptr[u64]) -> Error:
    """A call with up to four arguments and a handle as its result."""
    message = Message()
    message.words[0] = a
    message.words[1] = b
    message.words[2] = c
    message.words[3] = d
    error = enter(ptr(message), number, handle)
    made.value = message.words[0]
    return error


@fn
def derive(source: u64, table: u64, slot: u64, rights: u8, badge: u64, expiry: u64, made: Ptr[u64]) -> Error:
    """A capability to the same object, with these rights, into an empty slot."""
    message = Message()
    message.words[0] = table
    message.words[1] = slot
    message.words[2] = u64(rights)
    message.words[3] = badge
    message.words[4] = expiry
    error = enter(ptr(message), SystemCall.DERIVE, source)
    made.value = message.words[0]
    return error


@fn
def move(source: u64, table: u64, slot: u64, made: Ptr[u64]) -> Error:
    """The capability goes to another slot."""
    return four(SystemCall.MOVE, source, table, slot, 0, 0, made)


@fn
def delete(handle: u64) -> Error:
    """Empties the slot."""
    message = Message()
    return enter(ptr(message), SystemCall.DELETE, handle)


@fn
def revoke(handle: u64) -> Error:
    """Ends everything that was derived from it."""
    message = Message()
    return enter(ptr(message), SystemCall.REVOKE, handle)


@fn
def inspect(handle: u64, message: Ptr[Message]) -> Error:
    """What a capability of the own table is: see SystemCall.INSPECT."""
    message.words[0] = 0
    message.words[1] = 0
    message.words[2] = 0
    return enter(message, SystemCall.INSPECT, handle)


@fn
def retype(untyped: u64, table: u64, slot: u64, kind: Kind, bits: u64, made: Ptr[u64]) -> Error:
    """A new object out of untyped memory."""
    return four(SystemCall.RETYPE, untyped, table, slot, u64(kind), bits, made)


# Memory


@fn
def map_page(frame: u64, space: u64, address: u64, rights: u8) -> Error:
    """Maps a frame or device memory."""
    ignored: u64 = 0
    return four(SystemCall.MAP, frame, space, address, u64(rights), 0, ptr(ignored))


@fn
def map_table(page_table: u64, space: u64, address: u64) -> Error:
    """Puts a page table where the first is missing on the way to an address."""
    ignored: u64 = 0
    return four(SystemCall.MAP_TABLE, page_table, space, address, 0, 0, ptr(ignored))


@fn
def unmap(frame: u64) -> Error:
    """Ends a mapping."""
    message = Message()
    return enter(ptr(message), SystemCall.UNMAP, frame)


# Threads


@fn
def thread_configure(thread: u64, table: u64, space: u64, fault: u64, slice: u64) -> Error:
    """Gives a stopped thread what it runs with."""
    ignored: u64 = 0
    return four(SystemCall.THREAD_CONFIGURE, thread, table, space, fault, slice, ptr(ignored))


@fn
def thread_start(thread: u64, entry: u64, stack: u64, argument: u64) -> Error:
    """Starts a stopped thread."""
    ignored: u64 = 0
    return four(SystemCall.THREAD_START, thread, entry, stack, argument, 0, ptr(ignored))


@fn
def thread_stop(thread: u64) -> Error:
    """Stops a thread wherever it is."""
    message = Message()
    return enter(ptr(message), SystemCall.THREAD_STOP, thread)


@fn
def thread_inspect(thread: u64, message: Ptr[Message]) -> Error:
    """What a thread is doing: see SystemCall.THREAD_INSPECT."""
    message.words[0] = 0
    message.words[1] = 0
    return enter(message, SystemCall.THREAD_INSPECT, thread)


@fn
def thread_inspect_in(table: u64, inner: u64, slot: u64, message: Ptr[Message]) -> Error:
    """What the thread is doing that a slot of a table names: `table` and `inner` as for channel_inspect."""
    message.words[0] = table
    message.words[1] = inner
    return enter(message, SystemCall.THREAD_INSPECT, slot)


@fn
def slice_configure(slice: u64, slice_class: u64, level: u64, quantum: u64, authority: u64) -> Error:
    """Says what a new time slice allows."""
    ignored: u64 = 0
    return four(SystemCall.SLICE_CONFIGURE, slice, slice_class, level, quantum, authority, ptr(ignored))


# Interrupts


@fn
def interrupt_bind(interrupt: u64, notification: u64, bits: u64) -> Error:
    """From now on the interrupt sets bits of a notification."""
    ignored: u64 = 0
    return four(SystemCall.INTERRUPT_BIND, interrupt, notification, bits, 0, 0, ptr(ignored))


@fn
def interrupt_acknowledge(interrupt: u64) -> Error:
    """The device is served: the next interrupt may come."""
    message = Message()
    return enter(ptr(message), SystemCall.INTERRUPT_ACKNOWLEDGE, interrupt)


# Channels


@fn
def channel_send(channel: u64, capability: u64, option: u64, word: u64) -> Error:
    """Puts a capability and a word in; option as for messages: `grant_option`."""
    message = Message(capability=capability, option=option)
    message.words[0] = word
    return enter(ptr(message), SystemCall.CHANNEL_SEND, channel)


@fn
def channel_receive(channel: u64, slot: u64, message: Ptr[Message]) -> Error:
    """Takes the first capability out, into an empty slot: see SystemCall.CHANNEL_RECEIVE."""
    message.words[0] = slot
    return enter(message, SystemCall.CHANNEL_RECEIVE, channel)


# Looking at the system


@fn
def table_inspect(table: u64, slot: u64, message: Ptr[Message]) -> Error:
    """INSPECT of a slot of another table, by a capability to read that table."""
    return ancestor_inspect(table, slot, 0, message)


@fn
def ancestor_inspect(table: u64, slot: u64, up: u64, message: Ptr[Message]) -> Error:
    """INSPECT of the capability that stands so many steps above that one in the delegation chain."""
    message.words[0] = table
    message.words[1] = 0
    message.words[2] = up
    return enter(message, SystemCall.INSPECT, slot)


@fn
def channel_inspect(table: u64, inner: u64, slot: u64, message: Ptr[Message]) -> Error:
    """About the channel that a slot of a table names: see SystemCall.CHANNEL_INSPECT. `inner` is 0, or 1 + the slot of
    the table in that table whose slot is meant."""
    message.words[0] = table
    message.words[1] = inner
    return enter(message, SystemCall.CHANNEL_INSPECT, slot)


@fn
def audit_read(audit: u64, message: Ptr[Message]) -> Error:
    """Entry number word0 of the audit ring, or the oldest that is left: see SystemCall.AUDIT_READ."""
    return enter(message, SystemCall.AUDIT_READ, audit)


@fn
def machine_inspect(machine: u64, message: Ptr[Message]) -> Error:
    """Facts about the machine: see SystemCall.MACHINE_INSPECT."""
    return enter(message, SystemCall.MACHINE_INSPECT, machine)


@fn
def machine_stop(machine: u64, restart: bool, status: u64) -> Error:
    """Powers off with an exit status, or starts again. Comes back only when it is not allowed."""
    message = Message()
    message.words[0] = 1 if restart else 0
    message.words[1] = status
    return enter(ptr(message), SystemCall.MACHINE_STOP, machine)
