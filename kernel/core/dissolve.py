"""The end of capabilities, and of objects when their last capability goes.

`empty` is constant work: it never follows what it ends. An object without capabilities joins the list of the dying;
`step` does a bounded piece of the first one's dissolution. See docs/kernel.md, "Objects end".
"""

from kernel.abi import Error, Kind
from kernel.core import inheritance, mappings, queues, spaces, threads, tree, waiters
from kernel.core.access import (
    channel_at,
    endpoint_at,
    has_header,
    header_of,
    notification_at,
    object_of,
    space_at,
    table_at,
    table_slot,
    thread_at,
)
from kernel.core.objects import CHANNEL_PLACES, Header, Place, Queue, Slot, Thread
from kernel.core.state import kernel
from kernel.lang import *

SWEEP = 16  # slots of a table in one step
WAKES = 8  # threads of a queue in one step


@fn
def clear(slot: Ptr[Slot]) -> None:
    """Makes a slot that is in no tree an empty place. Its generation stays: the next life has the next one."""
    slot.kind = Kind.EMPTY
    slot.object = 0
    slot.badge = 0
    slot.expiry = 0
    slot.rights = 0
    slot.size = 0


@fn
def empty(slot: Ptr[Slot]) -> None:
    """Ends a capability. Its children take its place in the tree."""
    mappings.forget(slot)
    kind = slot.kind
    object = slot.object
    if has_header(kind):
        header = header_of(slot)
        header.references -= 1
        if header.references == 0:
            _bury(slot, header)
            if kind == Kind.THREAD:  # who waits for its reply is told at once
                threads.stop(thread_at(object))
        else:
            tree.remove(slot)
    else:
        tree.remove(slot)
    clear(slot)
    _left(slot)
    waiters.capability_ended(kind, object)


@fn
def _bury(slot: Ptr[Slot], header: Ptr[Header]) -> None:
    """The last capability of an object moves into it, so that its memory stays in use until it is dissolved."""
    tomb = ptr(header.tomb)
    tomb.kind = slot.kind
    tomb.object = slot.object
    tomb.size = slot.size
    tomb.place = Place.TOMB
    tree.replace(slot, tomb)
    header.kind = slot.kind
    header.dying = True
    header.next_dying = None
    if kernel.dying_last is None:
        kernel.dying = header
    else:
        some(kernel.dying_last).next_dying = header
    kernel.dying_last = header


@fn
def _left(slot: Ptr[Slot]) -> None:
    """What must follow in the object that contains the slot."""
    match slot.place:
        case Place.THREAD_TABLE:
            thread = thread_at(address_of(slot) - offset_of(Thread, "table"))
            inheritance.stop_serving(thread)
            threads.cancel_wait(thread, Error.REVOKED)
        case Place.THREAD_SPACE:
            threads.stop(thread_at(address_of(slot) - offset_of(Thread, "space")))
        case Place.THREAD_SLICE:
            threads.stop(thread_at(address_of(slot) - offset_of(Thread, "slice")))
        case Place.ORIGIN | Place.TABLE | Place.THREAD_FAULT | Place.CHANNEL | Place.INTERRUPT | Place.TOMB:
            pass


@fn
def step() -> None:
    """A bounded piece of the dissolution of the first dying object; nothing when there is none."""
    if kernel.dying is None:
        return
    header = some(kernel.dying)
    if not _dissolve(header):
        return
    kernel.dying = header.next_dying
    if kernel.dying is None:
        kernel.dying_last = None
    tomb = ptr(header.tomb)
    tree.remove(tomb)
    clear(tomb)


@fn
def _dissolve(header: Ptr[Header]) -> bool:
    """Some steps; True when nothing is left to do."""
    object = object_of(header)
    match header.kind:
        case Kind.TABLE:
            return _sweep(object)
        case Kind.ENDPOINT:
            endpoint = endpoint_at(object)
            return inheritance.end(endpoint) and _wake_some(ptr(endpoint.queue))
        case Kind.NOTIFICATION:
            return _wake_some(ptr(notification_at(object).queue))
        case Kind.THREAD:
            thread = thread_at(object)
            threads.stop(thread)
            _empty_if_filled(ptr(thread.table))
            _empty_if_filled(ptr(thread.space))
            _empty_if_filled(ptr(thread.fault))
            _empty_if_filled(ptr(thread.slice))
            if inheritance.listed(thread):  # its memory is in use until it has left the lists
                inheritance.step()
            return not inheritance.listed(thread)
        case Kind.SPACE:
            spaces.end(space_at(object))
            return True
        case Kind.CHANNEL:
            channel = channel_at(object)
            for i in range(CHANNEL_PLACES):
                _empty_if_filled(ptr(channel.entries[i].slot))
            return True
        case _:
            return True


@fn
def _empty_if_filled(slot: Ptr[Slot]) -> None:
    if slot.kind != Kind.EMPTY:
        empty(slot)


@fn
def _sweep(object: usize) -> bool:
    table = table_at(object)
    for _ in range(SWEEP):
        if table.swept == table.count:
            return True
        _empty_if_filled(table_slot(table, u64(table.swept)))
        table.swept += 1
    return table.swept == table.count


@fn
def _wake_some(queue: Ptr[Queue]) -> bool:
    for _ in range(WAKES):
        if queue.head is None:
            if queue.listed:  # its memory is in use until it has left the list
                waiters.step()
            return not queue.listed
        thread = some(queue.head)
        queues.take(queue, thread)
        inheritance.left(thread, queue)
        threads.wake_waiter(thread, Error.PEER_GONE)
    return queue.head is None and not queue.listed
