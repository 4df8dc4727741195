"""System calls as functions: what programs are written with. Each gives the kernel's Error.

`message` is this program's one set of registers: results are in it until the next call.
"""

from kernel.abi import NEVER_TIMES_OUT, Error, Kind, SystemCall
from kernel.lang import *
from kernel.user import calls as user
from kernel.user.message import Message

message = variable(Message)


@fn
def invoke(number: SystemCall, handle: u64) -> Error:
    """The call with what is in `message`."""
    message.number = u64(number)
    message.handle = handle
    user.invoke(ptr(message))
    return Error(trunc(message.handle, u8))


@fn
def request(number: SystemCall, handle: u64, a: u64, b: u64, c: u64, d: u64) -> Error:
    """A call that takes numbers."""
    message.words[0] = a
    message.words[1] = b
    message.words[2] = c
    message.words[3] = d
    message.words[4] = 0
    message.capability = 0
    message.option = 0
    message.timeout = NEVER_TIMES_OUT
    return invoke(number, handle)


@fn
def result(index: usize) -> u64:
    """A word of the last call."""
    return message.words[index]


@fn
def retype(untyped: u64, slot: u64, kind: Kind, bits: u64) -> Error:
    """A new object; its handle is result(0)."""
    return request(SystemCall.RETYPE, untyped, 0, slot, u64(kind), bits)


@fn
def derive(source: u64, table: u64, slot: u64, rights: u64, badge: u64) -> Error:
    """A capability made of another; its handle is result(0)."""
    return request(SystemCall.DERIVE, source, table, slot, rights, badge)


@fn
def yield_now() -> None:
    """Lets others of the same level run."""
    _ = request(SystemCall.YIELD, 0, 0, 0, 0, 0)


@fn
def sleep(ticks: u64) -> None:
    """Waits for so many ticks."""
    message.timeout = ticks
    _ = invoke(SystemCall.SLEEP, 0)


@fn
def now() -> u64:
    """Ticks since reset."""
    _ = request(SystemCall.CLOCK, 0, 0, 0, 0, 0)
    return result(0)


@fn
def end(code: u64) -> None:
    """Ends this thread; whoever watches it is told the code."""
    message.capability = 0
    _ = invoke(SystemCall.EXIT, code)
