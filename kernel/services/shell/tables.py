"""Looking through what a service or the running program holds: its table, and the tables in it that it may read."""

from collections.abc import Callable
from typing import Any

from kernel.abi import Error, Kind
from kernel.lang import *
from kernel.services.names import Name
from kernel.services.protocol import INSPECT_TABLE
from kernel.services.shell.show import holder, is_there, look
from kernel.user import calls
from kernel.user.message import Message

MOST_SLOTS = 1 << 12
OWN = 0
"""Instead of 1 + a slot: the table itself."""


@fn
def slots(of: Ptr[Message]) -> u64:
    """How many slots an inspected table has."""
    return u64(1) << min(of.words[4], 12)


@fn
def open_table(index: usize, table: Ptr[u64], name: Ptr[Name]) -> u64:
    """The table of a holder (see show.holder), whoever asks deletes it afterwards; how many slots it has, 0 where there
    is none."""
    number = holder(index, name)
    if not is_there(number) or look(number, INSPECT_TABLE, 0, table) != 0:
        return 0
    whole = Message()
    if calls.inspect(table.value, ptr(whole)) != Error.NONE:
        _ = calls.delete(table.value)
        return 0
    return slots(ptr(whole))


def walker(visit: Callable[[Any, Any, Any, Any], None]) -> Any:
    """A function that has each slot of a holder (see show.holder) visited: its name, the table, OWN or 1 + the slot of
    that table which names another one, and the slot in the table so named."""

    @fn
    def in_table(name: Ptr[Name], table: u64, inner: u64, count: u64) -> None:
        for slot in bounded(range(count), MOST_SLOTS):
            visit(name, table, inner, slot)

    @fn
    def walk(index: usize) -> None:
        table: u64 = 0
        name = Name()
        count = open_table(index, ptr(table), ptr(name))
        if count == 0:
            return
        in_table(ptr(name), table, OWN, count)
        for slot in bounded(range(count), MOST_SLOTS):
            seen = Message()
            if calls.table_inspect(table, slot, ptr(seen)) == Error.NONE and seen.words[0] == u64(Kind.TABLE):
                in_table(ptr(name), table, slot + 1, slots(ptr(seen)))
        _ = calls.delete(table)

    return walk
