"""The system calls that matter most, when nothing is special about them: a partner waits, and no time limit, expiry or
refusal is involved. Everything else gives None, and the complete path does it; what both do is the same, which tests
check by comparing all of the kernel's memory. Of capabilities in a channel: fastpath_channels.py.

Guards come first and change nothing. Behind the line marked COMMIT there is no way back and no branch that could fail.
The words of the message are not touched: trap return loads the receiver's from the sender's save area.
"""

from kernel.abi import AuditEvent, Error, Kind, Option, ThreadState
from kernel.core import audit, capabilities, clock, ipc, lookup, queues, scheduler, translations
from kernel.core.access import endpoint_at, notification_at, slice_at, table_at, table_slot
from kernel.core.objects import Endpoint, Queue, Slot, Thread
from kernel.core.state import kernel
from kernel.lang import *
from kernel.link import ENTRY_BYTES

NEVER_TIMES_OUT = 0xFFFF_FFFF_FFFF_FFFF


@fn(section=".text.hot.named")
def named(thread: Ptr[Thread], handle: u64, right: u8) -> Ptr[Slot] | None:
    """The capability that a handle names: alive, with the right, without an end."""
    if thread.table.kind != Kind.TABLE:
        return None
    table = table_at(thread.table.object)
    index = handle & 0xFFFF_FFFF
    if index >= u64(table.count):
        return None
    slot = table_slot(table, index)
    if u64(slot.generation) != handle >> 32 or slot.kind == Kind.EMPTY:
        return None
    if slot.rights & right == 0 or slot.expiry != 0:
        return None
    return slot


@fn
def free_slot(thread: Ptr[Thread], index: u64) -> Ptr[Slot] | None:
    """An empty slot of the thread's own table, not worn out."""
    if thread.table.kind != Kind.TABLE:
        return None
    table = table_at(thread.table.object)
    if index >= u64(table.count):
        return None
    slot = table_slot(table, index)
    if slot.kind != Kind.EMPTY or slot.generation == 0xFFFF_FFFF:
        return None
    return slot


@fn(inline=True)
def switch_to(thread: Ptr[Thread]) -> None:
    """Makes a thread current, in its address space."""
    thread.frame.handle = 0
    thread.frame.capability = 0
    thread.frame.option = 0
    thread.state = ThreadState.READY
    kernel.current = thread
    if thread.translation != kernel.translation:
        translations.use(thread.translation)


@fn(inline=True)
def waiter_of(queue: Ptr[Queue], kind: Kind) -> Ptr[Thread] | None:
    """Who is first in a queue, when its capability is alive, to a `kind`, without an end, and it has no time limit."""
    if queue.head is None or queue.cursor is not None:
        return None
    waiter = some(queue.head)
    if waiter.waiting_slot is None or waiter.timed:
        return None
    its = some(waiter.waiting_slot)
    if its.generation != waiter.waiting_generation or its.kind != kind or its.expiry != 0:
        return None
    return waiter


@fn(inline=True)
def receiver_at(endpoint: Ptr[Endpoint]) -> Ptr[Thread] | None:
    """A receiver that waits at an endpoint, as `waiter_of` wants it."""
    if not endpoint.receivers:
        return None
    return waiter_of(ptr(endpoint.queue), Kind.ENDPOINT)


@fn(inline=True)
def take_first(queue: Ptr[Queue], waiter: Ptr[Thread]) -> None:
    """Takes the first out of a queue: it waits no more."""
    after = waiter.queue_next
    queue.head = after
    if after is None:
        queue.tail = None
    else:
        some(after).queue_previous = None
    waiter.queue = None
    waiter.queue_next = None
    waiter.waiting_slot = None


@fn(inline=True)
def hand_call_over(thread: Ptr[Thread], endpoint: Ptr[Endpoint], receiver: Ptr[Thread], badge: u64) -> None:
    """The receiver, first in the queue, serves the caller from now on."""
    take_first(ptr(endpoint.queue), receiver)
    receiver.caller = thread
    receiver.level = max(receiver.level, thread.level)
    thread.server = receiver
    thread.state = ThreadState.CALLING
    thread.quantum = 0
    receiver.frame.number = badge
    switch_to(receiver)


@fn(symbol="fast_call", entry=True, stack=ENTRY_BYTES, section=".text.hot.fast_call")
def call(thread: Ptr[Thread]) -> Ptr[Thread] | None:
    """CALL with a receiver waiting; gives the receiver, whose message is in the caller's frame."""
    if thread.frame.capability != 0 or thread.frame.timeout != NEVER_TIMES_OUT:
        return None
    found = named(thread, thread.frame.handle, 2)
    if found is None:
        return None
    slot = some(found)
    if slot.kind != Kind.ENDPOINT:
        return None
    endpoint = endpoint_at(slot.object)
    waiting = receiver_at(endpoint)
    if waiting is None:
        return None
    receiver = some(waiting)
    # COMMIT: from here on the call has happened.
    hand_call_over(thread, endpoint, receiver, slot.badge)
    return receiver


@fn(symbol="fast_call_granting", entry=True, stack=ENTRY_BYTES, section=".text.hot.fast_call_granting")
def call_granting(thread: Ptr[Thread]) -> Ptr[Thread] | None:
    """CALL with a capability that is derived, and a receiver waiting that has a place for it."""
    option = Option(thread.frame.option)
    if thread.frame.timeout != NEVER_TIMES_OUT or option.move:
        return None
    found = named(thread, thread.frame.handle, 2)
    if found is None:
        return None
    slot = some(found)
    if slot.kind != Kind.ENDPOINT:
        return None
    granted = named(thread, thread.frame.capability, 8)
    if granted is None:
        return None
    source = some(granted)
    if not capabilities.derivable(source.kind):
        return None
    endpoint = endpoint_at(slot.object)
    waiting = receiver_at(endpoint)
    if waiting is None:
        return None
    receiver = some(waiting)
    accept = Option(receiver.frame.option).accept
    if accept == 0:
        return None
    index = u64(accept - 1)
    place = free_slot(receiver, index)
    if place is None:
        return None
    target = some(place)
    # COMMIT: from here on the call has happened.
    capabilities.fill(target, source, source.kind, source.object, source.size, option.rights & source.rights)
    target.badge = ipc.source_badge(source)
    audit.record(AuditEvent.GRANTED, target, thread.frame.capability, Error.NONE)
    hand_call_over(thread, endpoint, receiver, slot.badge)
    receiver.frame.capability = lookup.handle_of(target, index)
    receiver.frame.option = u64(target.kind) << 8 | u64(target.rights)
    return receiver


@fn(symbol="fast_notify", entry=True, stack=ENTRY_BYTES, section=".text.hot.fast_notify")
def notify(thread: Ptr[Thread]) -> Ptr[Thread] | None:
    """NOTIFY with a waiter more urgent than all who are ready; gives it, with the bits in its frame."""
    found = named(thread, thread.frame.handle, 2)
    if found is None:
        return None
    slot = some(found)
    if slot.kind != Kind.NOTIFICATION:
        return None
    notification = notification_at(slot.object)
    first = waiter_of(ptr(notification.queue), Kind.NOTIFICATION)
    if first is None:
        return None
    waiter = some(first)
    if waiter.level <= thread.level or kernel.ready >> (waiter.level & 63) != 0:
        return None
    bits = notification.bits | (thread.frame.words[0] if slot.badge == 0 else slot.badge)
    time = clock.now()
    if bits == 0 or waiter.slice.kind != Kind.SLICE or kernel.slice_end <= time:
        return None
    # COMMIT: from here on the bits are taken.
    notification.bits = 0
    take_first(ptr(notification.queue), waiter)
    waiter.state = ThreadState.READY
    waiter.frame.handle = 0
    waiter.frame.words[0] = bits
    thread.frame.handle = 0
    thread.quantum = u64(w64(kernel.slice_end) - w64(time))
    level = thread.level & 63
    queues.prepend(ptr(kernel.queues[level]), thread)
    kernel.ready |= u64(1) << level
    waiter.quantum = slice_at(waiter.slice.object).quantum
    kernel.slice_end = u64(w64(time) + w64(waiter.quantum))
    kernel.current = waiter
    scheduler.program_timer()
    if waiter.translation != kernel.translation:
        translations.use(waiter.translation)
    return waiter


@fn(symbol="fast_reply_receive", entry=True, stack=ENTRY_BYTES, section=".text.hot.fast_reply_receive")
def reply_receive(thread: Ptr[Thread]) -> Ptr[Thread] | None:
    """REPLY_RECEIVE with a caller and no sender waiting; gives the caller, whose answer is in the server's frame."""
    if thread.frame.capability != 0 or thread.frame.timeout != NEVER_TIMES_OUT or thread.caller is None:
        return None
    found = named(thread, thread.frame.handle, 1)
    if found is None:
        return None
    slot = some(found)
    if slot.kind != Kind.ENDPOINT:
        return None
    endpoint = endpoint_at(slot.object)
    last = endpoint.queue.tail
    # By another capability, or elsewhere, the thread begins to serve: the complete path notes that.
    if (last is not None and not endpoint.receivers) or thread.serving_handle != thread.frame.handle:
        return None
    caller = some(thread.caller)
    if caller.timed:
        return None
    if kernel.ready >> (caller.level & 63) > 1:  # somebody ready is more urgent
        return None
    # COMMIT: from here on the answer is given.
    caller.server = None
    caller.frame.number = 0
    thread.caller = None
    thread.level = thread.base_level
    thread.state = ThreadState.RECEIVING
    thread.waiting_slot = slot
    thread.waiting_generation = slot.generation
    thread.quantum = 0
    thread.queue = ptr(endpoint.queue)
    thread.queue_next = None
    thread.queue_previous = last
    if last is None:
        endpoint.queue.head = thread
    else:
        some(last).queue_next = thread
    endpoint.queue.tail = thread
    endpoint.receivers = True
    switch_to(caller)
    return caller


ENTRIES = [call, call_granting, reply_receive, notify]
