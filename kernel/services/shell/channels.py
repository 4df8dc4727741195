"""`channels`: every channel that a service or the running program holds, in its table or in one that is in that."""

from kernel.abi import Error, Rights
from kernel.lang import *
from kernel.services.names import Name
from kernel.services.shell.show import HOLDERS
from kernel.services.shell.tables import OWN, walker
from kernel.user import calls
from kernel.user.message import Message
from kernel.user.text import put, put_decimal, put_name, put_padded

rows = variable(u64, 0)


@fn
def end_of(rights: u64) -> Str:
    """Which end a capability is to."""
    if rights & (Rights.READ | Rights.WRITE) == Rights.READ | Rights.WRITE:
        return "both"
    return "receive" if rights & Rights.READ != 0 else "send"


@fn
def row(name: Ptr[Name], inner: u64, slot: u64, seen: Ptr[Message]) -> None:
    """One capability to a channel."""
    global rows
    if rows == 0:
        put("channel  holder       table  slot end      waiting    shared     moved\n")
    rows += 1
    put_decimal(seen.words[0], 7)
    put("  ")
    put_name(name, 13)
    if inner == OWN:
        put("  own")
    else:
        put_decimal(inner - 1, 5)
    put_decimal(slot, 6)
    put(" ")
    put_padded(end_of(seen.words[5]), 7)
    put_decimal(seen.words[1], 9)
    put_decimal(seen.words[2], 10)
    put_decimal(seen.words[3], 10)
    put("\n")


@fn
def in_slot(name: Ptr[Name], table: u64, inner: u64, slot: u64) -> None:
    """The channel that a slot names, if it does name one."""
    seen = Message()
    if calls.channel_inspect(table, inner, slot, ptr(seen)) == Error.NONE:
        row(name, inner, slot, ptr(seen))


held_by = walker(in_slot)


@fn
def channels() -> None:
    """`channels`."""
    global rows
    rows = 0
    for i in range(HOLDERS):
        held_by(i)
    if rows == 0:
        put("nobody holds a channel\n")
