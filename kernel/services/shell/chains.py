"""`caps NAME SLOT`: a capability, and above it, line by line, those that it was derived from, with who holds them.

A capability is known again by a number that INSPECT gives: all tables that there are to see are searched for those of
the chain. The last of them was derived from the origin, which nobody holds.
"""

from kernel.abi import Error
from kernel.core.objects import Place
from kernel.lang import *
from kernel.services.line_editor import Line
from kernel.services.names import Name, same_name
from kernel.services.shell.programs import number
from kernel.services.shell.show import HOLDERS, caps_head, holder, put_capability
from kernel.services.shell.tables import MOST_SLOTS, open_table
from kernel.services.shell.words import Words, word_name
from kernel.user import calls
from kernel.user.message import Message
from kernel.user.text import put, put_decimal, put_name, put_padded

MOST = 32
_PLACES = {
    Place.TABLE: "(a table)",
    Place.CHANNEL: "(a channel)",
    Place.INTERRUPT: "(interrupt)",
    Place.TOMB: "(ending)",
}
PLACES = constant(Array[Str, len(Place)], [_PLACES.get(place, "(a thread)") for place in Place])


@struct
class Link:
    """One capability of the chain: what INSPECT says of it, and where it is."""

    seen: Message
    found: bool
    holder: usize
    slot: u64


links = variable(Array[Link, MOST])


@fn
def find_holders(length: usize) -> None:
    """Looks through every table for the capabilities of the chain."""
    for index in range(HOLDERS + 1):
        table: u64 = 0
        name = Name()
        count = open_table(index, ptr(table), ptr(name))
        for slot in bounded(range(count), MOST_SLOTS):
            seen = Message()
            if calls.table_inspect(table, slot, ptr(seen)) == Error.NONE:
                for i in bounded(range(length), MOST):
                    if links[i].seen.number == seen.number and not links[i].found:
                        links[i].found = True
                        links[i].holder = index
                        links[i].slot = slot
        if count != 0:
            _ = calls.delete(table)


@fn
def chain_row(link: Ptr[Link]) -> None:
    """One line."""
    if link.found:
        name = Name()
        _ = holder(link.holder, ptr(name))
        put_name(ptr(name), 13)
        put_decimal(link.slot, 4)
    else:
        put_padded(PLACES[link.seen.number & 0xFF], 17)
    put_capability(ptr(link.seen))


@fn
def chain(table: u64, slot: u64) -> usize:
    """Follows the chain of the capability in a slot of a table; gives its length."""
    for i in range(MOST):
        seen = Message()
        if calls.ancestor_inspect(table, slot, u64(i), ptr(seen)) != Error.NONE:
            return i
        copy(links[i].seen, seen)
        links[i].found = False
    return MOST


@fn
def caps_of_slot(line: Ptr[Line], words: Ptr[Words]) -> None:
    """`caps NAME SLOT`."""
    wanted = Name()
    slot: u64 = 0
    good = words.count == 3 and not words.too_many and word_name(line, words, 1, ptr(wanted))
    if not good or not number(line, words.start[2], words.end[2], ptr(slot)):
        put("usage: caps [NAME SLOT]\n")
        return
    for index in range(HOLDERS + 1):
        table: u64 = 0
        name = Name()
        copy(name, wanted)
        _ = holder(index, ptr(name))
        if same_name(ptr(name), ptr(wanted)):
            if open_table(index, ptr(table), ptr(name)) == 0:
                put_name(ptr(wanted), 0)
                put(" is not running\n")
                return
            length = chain(table, slot)
            _ = calls.delete(table)
            if length == 0:
                put("that slot is empty\n")
                return
            find_holders(length)
            caps_head()
            for i in bounded(range(length), MOST):
                chain_row(ptr(links[i]))
            return
    put_name(ptr(wanted), 0)
    put(": nobody of that name holds anything\n")
