"""From addresses in slots to typed objects.

The address was put there by `retype`, together with the kind that says what lies there; nobody else makes pointers.
"""

from kernel.abi import Kind
from kernel.arch.objects import pointer_maker
from kernel.core.objects import (
    Channel,
    ChannelEntry,
    Endpoint,
    Header,
    Line,
    Notification,
    Slice,
    Slot,
    Space,
    Table,
    Thread,
)
from kernel.lang import *

slot_at = pointer_maker(Slot)
header_at = pointer_maker(Header)
table_at = pointer_maker(Table)
thread_at = pointer_maker(Thread)
endpoint_at = pointer_maker(Endpoint)
notification_at = pointer_maker(Notification)
slice_at = pointer_maker(Slice)
space_at = pointer_maker(Space)
channel_at = pointer_maker(Channel)
entry_at = pointer_maker(ChannelEntry)
line_at = pointer_maker(Line)


@fn
def has_header(kind: Kind) -> bool:
    """Whether objects of this kind count their slots."""
    match kind:
        case Kind.TABLE | Kind.THREAD | Kind.ENDPOINT | Kind.NOTIFICATION | Kind.SPACE | Kind.CHANNEL | Kind.SLICE:
            return True
        case _:
            return False


@fn
def header_of(slot: Ptr[Slot]) -> Ptr[Header]:
    """The header of the object a slot names; its kind has one."""
    if slot.kind == Kind.THREAD:
        return ptr(thread_at(slot.object).header)
    return header_at(slot.object)


@fn
def object_of(header: Ptr[Header]) -> usize:
    """The object's address, from its header."""
    if header.kind == Kind.THREAD:
        return address_of(header) - offset_of(Thread, "header")
    return address_of(header)


@fn
def table_slot(table: Ptr[Table], index: u64) -> Ptr[Slot]:
    """Slot `index`, below table.count; the slots follow the table in memory: 64 bytes each, no sum can overflow."""
    offset = w64(index) << 6
    return slot_at(usize(u64(w64(u64(address_of(table))) + size_of(Table) + offset)))
