"""Messages: call, reply, send, receive. The complete paths; fastpath.py takes the common case of two of them.

A function of this file that makes the current thread wait sets kernel.current to None; who is made ready is in a queue.
The status of a call is written by `system_calls` for the thread that returns to user code at once (Error returned), and
by `threads.wake` for one that waited. WAITS means that the thread waits now, and that nothing is to be written.
"""

from kernel.abi import AuditEvent, Error, Kind, Option, ThreadState
from kernel.core import audit, capabilities, clock, inheritance, lookup, queues, scheduler, threads, timers
from kernel.core.access import endpoint_at
from kernel.core.objects import Endpoint, Slot, Thread
from kernel.core.state import kernel
from kernel.core.waiters import live
from kernel.lang import *

STALE = 8  # waiters without a valid capability that one call cleans away before it starts again
NEVER_TIMES_OUT = 0xFFFF_FFFF_FFFF_FFFF
WAITS = Error.RESTART  # see system_calls: told apart by kernel.current


@fn
def first_live(queue_of: Ptr[Endpoint]) -> Ptr[Thread] | None:
    """The first waiter whose capability is alive; others are woken with the reason. None also when there may be more:
    then kernel.error is RESTART, else NONE."""
    kernel.error = Error.NONE
    queue = ptr(queue_of.queue)
    for _ in range(STALE):
        if queue.head is None:
            return None
        thread = some(queue.head)
        why = live(thread)
        if why == Error.NONE:
            return thread
        queues.take(queue, thread)
        inheritance.left(thread, queue)
        threads.wake_waiter(thread, why)
    kernel.error = Error.RESTART
    return None


@fn
def transfer(sender: Ptr[Thread], receiver: Ptr[Thread]) -> Error:
    """Moves or derives the capability that the sender sends into the slot that the receiver named."""
    handle = sender.frame.capability
    if handle == 0:
        receiver.frame.capability = 0
        return Error.NONE
    found = lookup.find(sender, handle)
    if found is None:
        return kernel.error
    source = some(found)
    if source.rights & 8 == 0:
        audit.denied(handle, Error.DENIED)
        return Error.DENIED
    option = Option(sender.frame.option)
    accept = Option(receiver.frame.option).accept
    table = lookup.own_table(receiver)
    if accept == 0 or table is None:
        return Error.FULL
    index = u64(accept) - 1
    slot = lookup.empty_slot(some(table), index)
    if slot is None:
        return Error.FULL
    target = some(slot)
    if option.move:
        capabilities.move(source, target)
    else:
        error = capabilities.derive(source, target, option.rights & source.rights, source_badge(source), source.expiry)
        if error != Error.NONE:
            audit.denied(handle, error)
            return error
    audit.record(AuditEvent.GRANTED, target, handle, Error.NONE)
    receiver.frame.capability = lookup.handle_of(target, index)
    receiver.frame.option = u64(target.kind) << 8 | u64(target.rights)
    return Error.NONE


@fn
def source_badge(source: Ptr[Slot]) -> u64:
    """The badge to derive with: the one it has."""
    return source.badge if capabilities.badged(source.kind) else 0


@fn
def deliver(sender: Ptr[Thread], receiver: Ptr[Thread], badge: u64) -> Error:
    """Hands the message over. On an error nothing has happened."""
    error = transfer(sender, receiver)
    if error != Error.NONE:
        return error
    copy(receiver.frame.words, sender.frame.words)
    receiver.frame.number = badge
    if receiver.frame.capability == 0:
        receiver.frame.option = 0
    return Error.NONE


@fn
def link(caller: Ptr[Thread], server: Ptr[Thread]) -> None:
    """The server owes the caller a reply."""
    caller.state = ThreadState.CALLING
    caller.calling = False
    caller.waiting_slot = None
    caller.server = server
    server.caller = caller
    inheritance.called(server)


@fn
def limit(thread: Ptr[Thread], slot: Ptr[Slot]) -> None:
    """Starts the time limit of a wait by a capability, if there is one: the call's own, or the capability's end."""
    timeout = thread.frame.timeout
    deadline: u64 = NEVER_TIMES_OUT
    if timeout != NEVER_TIMES_OUT:
        time = clock.now()
        deadline = time + timeout if timeout < NEVER_TIMES_OUT - time else NEVER_TIMES_OUT
    expires = slot.expiry != 0 and slot.expiry <= deadline
    if expires:
        deadline = slot.expiry
    if deadline != NEVER_TIMES_OUT:
        thread.expires = expires
        timers.add(thread, deadline)


@fn
def wait_on(thread: Ptr[Thread], slot: Ptr[Slot], state: ThreadState) -> Error:
    """Makes the current thread wait by a capability, not longer than it lives."""
    limit(thread, slot)
    thread.waiting_slot = slot
    thread.waiting_generation = slot.generation
    thread.state = state
    scheduler.leave()
    return WAITS


@fn
def send(thread: Ptr[Thread], is_call: bool) -> Error:
    """The sending half of send and call."""
    found = lookup.lookup(thread, thread.frame.handle, Kind.ENDPOINT, 2)
    if found is None:
        return kernel.error
    slot = some(found)
    if thread.frame.capability != 0:  # Sent by nobody rather than by a queue: a bad one is the sender's error now.
        if lookup.find(thread, thread.frame.capability) is None:
            return kernel.error
    endpoint = endpoint_at(slot.object)
    if endpoint.queue.head is not None and endpoint.receivers:
        waiting = first_live(endpoint)
        if waiting is not None:
            receiver = some(waiting)
            if is_call:
                limit(thread, slot)
            error = deliver(thread, receiver, slot.badge)
            if error != Error.NONE:
                timers.cancel(thread)
                return error
            queues.take(ptr(endpoint.queue), receiver)
            receiver.frame.handle = u64(Error.NONE)
            if not is_call:
                scheduler.make_ready(receiver)
                return Error.NONE
            link(thread, receiver)
            scheduler.hand_over(receiver)
            return WAITS
        if kernel.error == Error.RESTART:
            return Error.RESTART
    if thread.frame.timeout == 0:
        return Error.TIMED_OUT
    error = wait_on(thread, slot, ThreadState.SENDING)
    if error == WAITS:
        thread.calling = is_call
        endpoint.receivers = False
        queues.append(ptr(endpoint.queue), thread)
        inheritance.queued(thread, endpoint)
    return error


@fn
def receive(thread: Ptr[Thread]) -> Error:
    """Takes a message, from the first sender or the next to come."""
    found = lookup.lookup(thread, thread.frame.handle, Kind.ENDPOINT, 1)
    if found is None:
        return kernel.error
    slot = some(found)
    threads.drop_caller(thread)
    endpoint = endpoint_at(slot.object)
    inheritance.serve(thread, endpoint, slot)
    for _ in range(STALE):
        if endpoint.queue.head is None or endpoint.receivers:
            break
        waiting = first_live(endpoint)
        if waiting is None:
            if kernel.error == Error.RESTART:
                return Error.RESTART
            break
        sender = some(waiting)
        error = deliver(sender, thread, some(sender.waiting_slot).badge)
        queues.take(ptr(endpoint.queue), sender)
        inheritance.left(sender, ptr(endpoint.queue))
        if error != Error.NONE:
            threads.wake_waiter(sender, error)
        else:
            if sender.calling:
                link(sender, thread)
            else:
                threads.wake_waiter(sender, Error.NONE)
            return Error.NONE
    if endpoint.queue.head is not None and not endpoint.receivers:
        return Error.RESTART
    if thread.frame.timeout == 0:
        return Error.TIMED_OUT
    return block_receiver(thread, slot, endpoint)


@fn
def block_receiver(thread: Ptr[Thread], slot: Ptr[Slot], endpoint: Ptr[Endpoint]) -> Error:
    """The current thread waits for a message."""
    error = wait_on(thread, slot, ThreadState.RECEIVING)
    if error == WAITS:
        endpoint.receivers = True
        queues.append(ptr(endpoint.queue), thread)
    return error


@fn
def reply(thread: Ptr[Thread]) -> Error:
    """Answers the caller. A capability that cannot be handed over leaves the caller waiting."""
    if thread.caller is None:
        return Error.NO_CALLER
    caller = some(thread.caller)
    error = deliver(thread, caller, 0)
    if error != Error.NONE:
        return error
    thread.caller = None
    caller.server = None
    inheritance.answered(thread)
    threads.wake(caller, Error.NONE)
    return Error.NONE


@fn
def reply_receive(thread: Ptr[Thread]) -> Error:
    """Answers the caller, if it still waits, and takes the next message.

    A server's loop is one call for each request; a caller that gave up meanwhile is not the server's error.
    """
    if lookup.lookup(thread, thread.frame.handle, Kind.ENDPOINT, 1) is None:
        return kernel.error
    if thread.caller is None:
        return receive(thread)
    caller = some(thread.caller)
    error = reply(thread)
    if error != Error.NONE:
        return error
    error = receive(thread)
    if kernel.current is None:
        scheduler.take_turn(caller)
    return error


@fn
def may_report(thread: Ptr[Thread]) -> bool:
    """False when more receivers without a valid capability are to be cleaned away before somebody can hear of the
    thread's end: what it did is to be done again."""
    slot = ptr(thread.fault)
    if slot.kind != Kind.ENDPOINT or slot.rights & 2 == 0:
        return True
    endpoint = endpoint_at(slot.object)
    if endpoint.queue.head is None or not endpoint.receivers:
        return True
    return first_live(endpoint) is not None or kernel.error == Error.NONE


@fn
def report(thread: Ptr[Thread], tag: u64, cause: u64, address: u64, place: u64) -> None:
    """Ends the current thread with a message to its fault endpoint, under the badge of its fault capability. The first
    who receives there, if anybody, has a valid one: may_report."""
    words = ptr(thread.frame.words)
    words[0] = tag
    words[1] = cause
    words[2] = address
    words[3] = place
    words[4] = thread.identifier
    words[5] = 0
    words[6] = 0
    words[7] = 0
    thread.frame.capability = 0
    threads.stop(thread)
    thread.state = ThreadState.FAULTED
    thread.fault_cause = cause
    thread.fault_address = address
    slot = ptr(thread.fault)
    if slot.kind != Kind.ENDPOINT or slot.rights & 2 == 0:
        return
    endpoint = endpoint_at(slot.object)
    if endpoint.queue.head is not None and endpoint.receivers:
        receiver = some(endpoint.queue.head)
        if deliver(thread, receiver, slot.badge) == Error.NONE:
            queues.take(ptr(endpoint.queue), receiver)
            receiver.frame.handle = u64(Error.NONE)
            scheduler.make_ready(receiver)
        return
    thread.waiting_slot = slot
    thread.waiting_generation = slot.generation
    endpoint.receivers = False
    queues.append(ptr(endpoint.queue), thread)
