"""`channels`: every channel that a service or the running program holds, in its table or in one that is in that."""

from kernel.abi import Error, Kind, Rights
from kernel.lang import *
from kernel.services.names import Name
from kernel.services.protocol import INSPECT_TABLE
from kernel.services.shell.show import HOLDERS, holder, is_there, look
from kernel.user import calls
from kernel.user.message import Message
from kernel.user.text import put, put_decimal, put_name, put_padded

MOST_SLOTS = 1 << 12
OWN = 0
"""Instead of 1 + a slot: the table itself."""

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
def slots(of: Ptr[Message]) -> u64:
    """How many slots an inspected table has."""
    return u64(1) << min(of.words[4], 12)


@fn
def in_table(name: Ptr[Name], table: u64, inner: u64, count: u64) -> None:
    """The channels that one table names."""
    for slot in bounded(range(count), MOST_SLOTS):
        seen = Message()
        if calls.channel_inspect(table, inner, slot, ptr(seen)) == Error.NONE:
            row(name, inner, slot, ptr(seen))


@fn
def held_by(index: usize) -> None:
    """Those of one holder."""
    table: u64 = 0
    name = Name()
    number = holder(index, ptr(name))
    if not is_there(number) or look(number, INSPECT_TABLE, 0, ptr(table)) != 0:
        return
    whole = Message()
    if calls.inspect(table, ptr(whole)) == Error.NONE:
        count = slots(ptr(whole))
        in_table(ptr(name), table, OWN, count)
        for slot in bounded(range(count), MOST_SLOTS):
            seen = Message()
            if calls.table_inspect(table, slot, ptr(seen)) == Error.NONE and seen.words[0] == u64(Kind.TABLE):
                in_table(ptr(name), table, slot + 1, slots(ptr(seen)))
    _ = calls.delete(table)


@fn
def channels() -> None:
    """`channels`."""
    global rows
    rows = 0
    for i in range(HOLDERS):
        held_by(i)
    if rows == 0:
        put("nobody holds a channel\n")
