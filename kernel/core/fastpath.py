"""The two system calls that matter most, when nothing is special about them: a partner waits, and no capability, time
limit, expiry or refusal is involved. Everything else gives None, and ipc.py does it; what both do is the same, which
tests check by comparing all of the kernel's memory.

Guards come first and change nothing. Behind the line marked COMMIT there is no way back and no branch that could fail.
The words of the message are not touched: trap return loads the receiver's from the sender's save area.
"""

from kernel.abi import Kind, ThreadState
from kernel.core import machine
from kernel.core.access import endpoint_at, table_at, table_slot_fast
from kernel.core.objects import Slot, Thread
from kernel.core.state import kernel
from kernel.lang import *

NEVER_TIMES_OUT = 0xFFFF_FFFF_FFFF_FFFF


@fn
def endpoint_slot(thread: Ptr[Thread], right: u8) -> Ptr[Slot] | None:
    """The capability that the call names: alive, to an endpoint, with the right, without an end."""
    if thread.table.kind != Kind.TABLE:
        return None
    table = table_at(thread.table.object)
    handle = thread.frame.handle
    if handle & 0xFFFF_FFFF >= u64(table.count):
        return None
    slot = table_slot_fast(table, handle)
    if u64(slot.generation) != handle >> 32 or slot.kind != Kind.ENDPOINT:
        return None
    if slot.rights & right == 0 or slot.expiry != 0:
        return None
    return slot


@fn
def switch_to(thread: Ptr[Thread]) -> None:
    """Makes a thread current, in its address space."""
    thread.frame.handle = 0
    thread.frame.capability = 0
    thread.frame.option = 0
    thread.state = ThreadState.READY
    kernel.current = thread
    if thread.translation != kernel.translation:
        kernel.translation = machine.set_translation(thread.translation)


@fn(symbol="fast_call", entry=True)
def call(thread: Ptr[Thread]) -> Ptr[Thread] | None:
    """CALL with a receiver waiting; gives the receiver, whose message is in the caller's frame."""
    if thread.frame.capability != 0 or thread.frame.timeout != NEVER_TIMES_OUT:
        return None
    found = endpoint_slot(thread, 2)
    if found is None:
        return None
    slot = some(found)
    endpoint = endpoint_at(slot.object)
    if endpoint.queue.head is None or not endpoint.receivers:
        return None
    receiver = some(endpoint.queue.head)
    if receiver.waiting_slot is None or receiver.timer_index != 0:
        return None
    its = some(receiver.waiting_slot)
    if its.generation != receiver.waiting_generation or its.kind != Kind.ENDPOINT or its.expiry != 0:
        return None
    # COMMIT: from here on the call has happened.
    after = receiver.queue_next
    endpoint.queue.head = after
    if after is None:
        endpoint.queue.tail = None
    else:
        some(after).queue_previous = None
    receiver.queue = None
    receiver.queue_next = None
    receiver.waiting_slot = None
    receiver.caller = thread
    receiver.level = max(receiver.level, thread.level)
    thread.server = receiver
    thread.state = ThreadState.CALLING
    thread.quantum = 0
    receiver.frame.number = slot.badge
    switch_to(receiver)
    return receiver


@fn(symbol="fast_reply_receive", entry=True)
def reply_receive(thread: Ptr[Thread]) -> Ptr[Thread] | None:
    """REPLY_RECEIVE with a caller and no sender waiting; gives the caller, whose answer is in the server's frame."""
    if thread.frame.capability != 0 or thread.frame.timeout != NEVER_TIMES_OUT or thread.caller is None:
        return None
    found = endpoint_slot(thread, 1)
    if found is None:
        return None
    slot = some(found)
    endpoint = endpoint_at(slot.object)
    last = endpoint.queue.tail
    if last is not None and not endpoint.receivers:
        return None
    caller = some(thread.caller)
    if caller.timer_index != 0:
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
    thread.expires = False
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
