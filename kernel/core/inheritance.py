"""Whose urgency a thread runs with: the highest of its own and of all who wait for it, directly or through others.

A caller waits for the thread that has received its call; who queues to send at an endpoint waits for every thread that
serves there, as any of them may take its message. A thread serves where it received last: until it receives elsewhere,
stops, or no longer has the capability by which it received, or its table; that capability's expiry is a time limit.

An endpoint counts the senders of each level, so what it lends is known at once. A level that rises goes on to those who
are waited for. When somebody stops waiting, a level that came from it may still seem to come from others who have it
from there themselves, around a circle: so all that can have come from it is doubted first. A doubted thread that waits
has its own level again, and whom it waits for is doubted too; one that waits for nobody keeps its level. Only when
nobody is left to be doubted, they get the level that is due. PIECE chains of PIECE threads are looked at at once, the
rest at the end of the next traps.
"""

from kernel.abi import Kind, ThreadState
from kernel.core import lookup, scheduler, timers
from kernel.core.access import endpoint_at
from kernel.core.objects import Endpoint, Queue, Slot, Thread
from kernel.core.state import kernel
from kernel.lang import *

PIECE = 16


@fn
def endpoint_of(queue: Ptr[Queue]) -> Ptr[Endpoint]:
    """The endpoint that a queue with a SENDING thread is of."""
    return endpoint_at(address_of(queue) - offset_of(Endpoint, "queue"))


@fn
def _queues(thread: Ptr[Thread]) -> bool:
    """Whether it waits for whoever serves at the endpoint that its queue is of."""
    return thread.state == ThreadState.SENDING and thread.queue is not None


@fn
def due(thread: Ptr[Thread]) -> u8:
    """The level that a thread has a right to."""
    level = thread.base_level
    if thread.caller is not None:
        level = max(level, some(thread.caller).level)
    if thread.serving is not None:
        level = max(level, some(thread.serving).lent)
    return level


@fn
def _count(endpoint: Ptr[Endpoint], level: u8, comes: bool) -> None:
    """One more sender of a level, or one less."""
    at = level & 63
    if comes:
        endpoint.senders[at] += 1
        endpoint.urgent |= u64(1) << at
    else:
        endpoint.senders[at] -= 1
        if endpoint.senders[at] == 0:
            endpoint.urgent &= ~(u64(1) << at)
    endpoint.lent = 0 if endpoint.urgent == 0 else trunc(63 - clz(endpoint.urgent), u8)


@fn
def _set(thread: Ptr[Thread], level: u8) -> None:
    """Gives a thread a level, wherever it is."""
    if _queues(thread):
        endpoint = endpoint_of(some(thread.queue))
        _count(endpoint, thread.level, False)
        _count(endpoint, level, True)
    scheduler.set_level(thread, level)


# The lists


@fn
def _look_soon(endpoint: Ptr[Endpoint], doubt: u8) -> None:
    """All who serve there are to be looked at; a level of up to `doubt` may come from nobody any more."""
    if endpoint.servers is None and not endpoint.looked:
        return
    endpoint.doubt = max(endpoint.doubt, doubt)
    if endpoint.looked:
        endpoint.again = True
    else:
        endpoint.looked = True
        endpoint.cursor = endpoint.servers
        _append(endpoint)


@fn
def _append(endpoint: Ptr[Endpoint]) -> None:
    endpoint.next_looked = None
    if kernel.looked_last is None:
        kernel.looked = endpoint
    else:
        some(kernel.looked_last).next_looked = endpoint
    kernel.looked_last = endpoint


@fn
def _doubt_soon(thread: Ptr[Thread]) -> None:
    if thread.doubted:
        return
    thread.doubted = True
    thread.next_doubted = None
    if kernel.doubted_last is None:
        kernel.doubted = thread
    else:
        some(kernel.doubted_last).next_doubted = thread
    kernel.doubted_last = thread


@fn
def _settle_soon(thread: Ptr[Thread]) -> None:
    if thread.unsettled:
        return
    thread.unsettled = True
    thread.next_unsettled = None
    if kernel.unsettled_last is None:
        kernel.unsettled = thread
    else:
        some(kernel.unsettled_last).next_unsettled = thread
    kernel.unsettled_last = thread


@fn
def pending() -> bool:
    """Whether a level may not be what it must be."""
    return kernel.looked is not None or kernel.doubted is not None or kernel.unsettled is not None


@fn
def listed(thread: Ptr[Thread]) -> bool:
    """Whether a thread's memory is in use here."""
    return thread.doubted or thread.unsettled


@fn
def step() -> None:
    """A piece of what is left to do: doubts first."""
    for _ in range(PIECE):
        if kernel.looked is not None:
            _look(some(kernel.looked))
        elif kernel.doubted is not None:
            thread = some(kernel.doubted)
            kernel.doubted = thread.next_doubted
            if kernel.doubted is None:
                kernel.doubted_last = None
            thread.doubted = False
            _doubt(thread)
        elif kernel.unsettled is not None:
            thread = some(kernel.unsettled)
            kernel.unsettled = thread.next_unsettled
            if kernel.unsettled is None:
                kernel.unsettled_last = None
            thread.unsettled = False
            _settle(thread)
        else:
            return


@fn
def _look(endpoint: Ptr[Endpoint]) -> None:
    """Looks at the next of those who serve at the first endpoint of the list, which then is the last of it."""
    kernel.looked = endpoint.next_looked
    if kernel.looked is None:
        kernel.looked_last = None
    if endpoint.cursor is None and endpoint.again:
        endpoint.again = False
        endpoint.cursor = endpoint.servers
    if endpoint.cursor is None:
        endpoint.looked = False
        endpoint.doubt = 0
        return
    thread = some(endpoint.cursor)
    endpoint.cursor = thread.serving_next
    _append(endpoint)
    slot = some(thread.serving_slot)
    if slot.kind != Kind.ENDPOINT or u64(slot.generation) != thread.serving_handle >> 32 or lookup.expired(slot):
        _leave(thread)
        _doubt_soon(thread)
    elif thread.level <= endpoint.doubt:
        _doubt_soon(thread)
    else:
        _settle_soon(thread)


@fn
def _doubt(start: Ptr[Thread]) -> None:
    """A level may come from nobody any more, nor what others have from it."""
    here = start
    for _ in range(PIECE):
        level = here.level
        _settle_soon(here)
        if (here.server is None and not _queues(here)) or level == here.base_level:
            return
        _set(here, here.base_level)
        if here.server is None:
            _look_soon(endpoint_of(some(here.queue)), level)
            return
        here = some(here.server)
    _doubt_soon(here)


@fn
def _settle(start: Ptr[Thread]) -> None:
    """Gives a thread its level, and those it waits for theirs, where these rise."""
    here = start
    for _ in range(PIECE):
        level = due(here)
        if level == here.level:
            return
        if here.server is None and not _queues(here):
            scheduler.set_level(here, level)
            return
        if level < here.level:
            return  # it is doubted soon
        _set(here, level)
        if here.server is None:
            _look_soon(endpoint_of(some(here.queue)), 0)
            return
        here = some(here.server)
    _settle_soon(here)


# What happens to threads


@fn
def called(server: Ptr[Thread]) -> None:
    """A thread has received a call."""
    _settle(server)
    step()


@fn
def _lost(thread: Ptr[Thread]) -> None:
    """Somebody does not wait for a thread any more."""
    if thread.server is None and not _queues(thread):
        scheduler.set_level(thread, due(thread))
    else:
        _doubt(thread)
    step()


@fn
def answered(server: Ptr[Thread]) -> None:
    """A thread owes nobody an answer any more."""
    _lost(server)


@fn
def queued(thread: Ptr[Thread], endpoint: Ptr[Endpoint]) -> None:
    """A thread has begun to wait at an endpoint until its message is taken."""
    _count(endpoint, thread.level, True)
    _look_soon(endpoint, 0)
    step()


@fn
def left(thread: Ptr[Thread], queue: Ptr[Queue]) -> None:
    """A thread has left this queue, in the state that it had there."""
    if thread.state == ThreadState.SENDING:
        endpoint = endpoint_of(queue)
        _count(endpoint, thread.level, False)
        if endpoint.lent <= thread.level:
            _look_soon(endpoint, thread.level)
            step()


@fn
def serve(thread: Ptr[Thread], endpoint: Ptr[Endpoint], slot: Ptr[Slot]) -> None:
    """A thread receives by the capability that its call names: who queues there waits for it from now on."""
    if thread.serving is not None and thread.serving != endpoint:
        _leave(thread)
    thread.serving_slot = slot
    thread.serving_handle = thread.frame.handle
    if slot.expiry != 0 or thread.limited:
        timers.limit_service(thread, slot.expiry)
        scheduler.program_timer()  # this thread may go on at once
    if thread.serving == endpoint:
        return
    first = endpoint.servers
    thread.serving = endpoint
    thread.serving_previous = None
    thread.serving_next = first
    if first is not None:
        some(first).serving_previous = thread
    endpoint.servers = thread
    _lost(thread)


@fn
def _leave(thread: Ptr[Thread]) -> None:
    """A thread serves nowhere from now on. Its level is still what it was."""
    endpoint = some(thread.serving)
    before = thread.serving_previous
    after = thread.serving_next
    if endpoint.cursor == thread:
        endpoint.cursor = after
    if before is None:
        endpoint.servers = after
    else:
        some(before).serving_next = after
    if after is not None:
        some(after).serving_previous = before
    thread.serving = None
    thread.serving_slot = None
    thread.serving_handle = 0
    timers.limit_service(thread, 0)
    thread.serving_next = None
    thread.serving_previous = None


@fn
def stop_serving(thread: Ptr[Thread]) -> None:
    """Nobody queues for a thread any more."""
    if thread.serving is not None:
        _leave(thread)
        _lost(thread)


@fn
def end(endpoint: Ptr[Endpoint]) -> bool:
    """Nobody serves at an endpoint any more; False when some are left."""
    for _ in range(PIECE):
        if endpoint.servers is None:
            break
        stop_serving(some(endpoint.servers))
    if endpoint.looked:  # its memory is in use until it has left the list
        step()
    return endpoint.servers is None and not endpoint.looked


@fn
def capability_ended(endpoint: Ptr[Endpoint]) -> None:
    """Somebody may have received by it."""
    _look_soon(endpoint, 0)
