"""`ps`: S-INIT's thread, those that it has made for each service and the running program, and those that these have
made themselves and hold, in their tables or in tables that are in them. A thread without a capability to it has ended.
"""

from kernel.abi import Error, ThreadState
from kernel.lang import *
from kernel.services.init.loader import MOST_THREADS
from kernel.services.names import Name
from kernel.services.protocol import INSPECT_PROGRAM, INSPECT_THREAD
from kernel.services.shell.show import HOLDERS, holder, look
from kernel.services.shell.tables import walker
from kernel.user import calls
from kernel.user.message import Message
from kernel.user.text import put, put_byte, put_decimal, put_name, put_padded

STATE_NAMES = constant(Array[Str, len(ThreadState)], [state.name.lower() for state in ThreadState])
MOST_LISTED = 256
listed = variable(Array[u64, MOST_LISTED])
"""Numbers of the threads that have a row: several capabilities may name one. Of more than so many, a thread may have
two rows."""
listed_count = variable(usize, 0)


@fn
def is_new(number: u64) -> bool:
    """Whether a thread has no row yet; it gets one."""
    global listed_count
    for i in bounded(range(listed_count), MOST_LISTED):
        if listed[i] == number:
            return False
    if listed_count < MOST_LISTED:
        listed[listed_count] = number
        listed_count += 1
    return True


@fn
def row(name: Ptr[Name], state: Ptr[Message]) -> None:
    """What the kernel says of a thread now."""
    if is_new(state.words[5]):
        put_name(name, 13)
        put_decimal(state.words[5], 5)
        put_byte(32)
        put_padded(STATE_NAMES[state.words[0]], 10)
        put_decimal(state.words[1], 6)
        put_decimal(state.words[2], 6)
        put("\n")


@fn
def made_for(name: Ptr[Name], number: u64, which: usize) -> bool:
    """A thread that S-INIT has made; whether there is one."""
    thread: u64 = 0
    if look(number, INSPECT_THREAD, which, ptr(thread)) != 0:
        return False
    state = Message()
    error = calls.thread_inspect(thread, ptr(state))
    if error == Error.NONE:
        row(name, ptr(state))
    _ = calls.delete(thread)
    return error == Error.NONE


@fn
def in_slot(name: Ptr[Name], table: u64, inner: u64, slot: u64) -> None:
    """The thread that a slot names, if it does name one."""
    state = Message()
    if calls.thread_inspect_in(table, inner, slot, ptr(state)) == Error.NONE:
        row(name, ptr(state))


made_by = walker(in_slot)


@fn
def ps() -> None:
    """`ps`."""
    global listed_count
    listed_count = 0
    put("service         id state      level  base\n")
    name = Name()
    _ = made_for(ptr(name), holder(HOLDERS, ptr(name)), 0)
    for i in range(HOLDERS):
        number = holder(i, ptr(name))
        there = made_for(ptr(name), number, 0)
        if there:
            for which in range(1, MOST_THREADS):
                _ = made_for(ptr(name), number, which)
            made_by(i)
        elif number != INSPECT_PROGRAM:
            put_name(ptr(name), 13)
            put("is not running\n")
