"""From a handle to a capability: the one check that stands before every operation.

All of these give None and set kernel.error when there is no such capability; the refusal is audited.
"""

from kernel.abi import Error, Kind
from kernel.core import audit, clock
from kernel.core.access import table_at, table_slot
from kernel.core.objects import Slot, Table, Thread
from kernel.core.state import kernel
from kernel.lang import *


@fn
def own_table(thread: Ptr[Thread]) -> Ptr[Table] | None:
    """The table whose handles the thread uses; None when it was taken away."""
    if thread.table.kind != Kind.TABLE:
        return None
    return table_at(thread.table.object)


@fn
def expired(slot: Ptr[Slot]) -> bool:
    """Whether the capability's time is over."""
    return slot.expiry != 0 and clock.now() >= slot.expiry


@fn
def find(thread: Ptr[Thread], handle: u64) -> Ptr[Slot] | None:
    """The live capability that a handle of the thread names, whatever it is to."""
    slot = find_dead(thread, handle)
    if slot is not None:
        if expired(some(slot)):
            audit.denied(handle, Error.EXPIRED)
            return None
    return slot


@fn
def find_dead(thread: Ptr[Thread], handle: u64) -> Ptr[Slot] | None:
    """The capability that a handle names, even when its time is over: good for deleting it only."""
    table = own_table(thread)
    if table is None:
        audit.denied(handle, Error.INVALID_HANDLE)
        return None
    index = handle & 0xFFFF_FFFF
    if index >= u64(some(table).count):
        audit.denied(handle, Error.INVALID_HANDLE)
        return None
    slot = table_slot(some(table), index)
    if u64(slot.generation) != handle >> 32 or slot.kind == Kind.EMPTY:
        audit.denied(handle, Error.INVALID_HANDLE)
        return None
    return slot


@fn
def peek(table: Ptr[Table] | None, handle: u64) -> Ptr[Slot] | None:
    """What a handle names, for looking at it only: expired too, and of any generation when the handle's is 0."""
    if table is None or handle & 0xFFFF_FFFF >= u64(some(table).count):
        kernel.error = Error.INVALID_HANDLE
        return None
    slot = table_slot(some(table), handle & 0xFFFF_FFFF)
    if slot.kind == Kind.EMPTY or (handle >> 32 != 0 and handle >> 32 != u64(slot.generation)):
        kernel.error = Error.INVALID_HANDLE
        return None
    return slot


@fn
def inspected(thread: Ptr[Thread]) -> Ptr[Slot] | None:
    """The slot that INSPECT looks at: of the own table, of one that the thread may read, or of one that is in that."""
    words = ptr(thread.frame.words)
    table = own_table(thread)
    if words[0] != 0:
        named = lookup(thread, words[0], Kind.TABLE, 1)
        if named is None:
            return None
        table = table_at(some(named).object)
    if words[1] != 0:
        inner = peek(table, words[1] - 1 & 0xFFFF_FFFF)
        if inner is None:
            return None
        if some(inner).kind != Kind.TABLE or some(inner).rights & 1 == 0 or expired(some(inner)):
            kernel.error = Error.DENIED
            return None
        if some(table) == table_at(some(inner).object):
            kernel.error = Error.OUT_OF_RANGE  # a table in itself: nothing new to see
            return None
        table = table_at(some(inner).object)
    return peek(table, thread.frame.handle)


@fn
def lookup(thread: Ptr[Thread], handle: u64, kind: Kind, rights: u8) -> Ptr[Slot] | None:
    """The live capability to a `kind` with at least these rights."""
    slot = find(thread, handle)
    if slot is None:
        return None
    if some(slot).kind != kind:
        audit.denied(handle, Error.WRONG_KIND)
        return None
    if some(slot).rights & rights != rights:
        audit.denied(handle, Error.DENIED)
        return None
    return slot


@fn
def destination(thread: Ptr[Thread], table_handle: u64, index: u64) -> Ptr[Slot] | None:
    """An empty slot for a new capability: `index` in the thread's own table (handle 0) or in one it may write to."""
    table = own_table(thread)
    if table_handle != 0:
        slot = lookup(thread, table_handle, Kind.TABLE, 2)
        if slot is None:
            return None
        table = table_at(some(slot).object)
    if table is None:
        audit.denied(table_handle, Error.INVALID_HANDLE)
        return None
    return empty_slot(some(table), index)


@fn
def empty_slot(table: Ptr[Table], index: u64) -> Ptr[Slot] | None:
    """Slot `index`, when it is empty and not worn out."""
    if index >= u64(table.count):
        kernel.error = Error.OUT_OF_RANGE
        return None
    slot = table_slot(table, index)
    if slot.kind != Kind.EMPTY or slot.generation == 0xFFFF_FFFF:
        kernel.error = Error.OCCUPIED
        return None
    return slot


@fn
def handle_of(slot: Ptr[Slot], index: u64) -> u64:
    """The handle by which the table's owner names the slot."""
    return u64(slot.generation) << 32 | index
