"""Whose urgency a thread runs with: the highest of its own, its caller's, and of those who queue for it.

Who queues at an endpoint waits for the thread that received there last, `server`: a thread serves one endpoint, an
endpoint has one server. `lent` is the highest level in its queue: exact for the first LOOK of them, and never
below the truth. A level that changes goes on along the chain of those who are waited for, at most CHAIN of them.
"""

from kernel.abi import ThreadState
from kernel.core import scheduler
from kernel.core.access import endpoint_at
from kernel.core.objects import Endpoint, Queue, Thread
from kernel.lang import *

CHAIN = 16
LOOK = 16


@fn
def endpoint_of(queue: Ptr[Queue]) -> Ptr[Endpoint]:
    """The endpoint that a queue with a SENDING thread is of."""
    return endpoint_at(address_of(queue) - offset_of(Endpoint, "queue"))


@fn
def _due(thread: Ptr[Thread]) -> u8:
    """The level that a thread has a right to."""
    level = thread.base_level
    if thread.caller is not None:
        level = max(level, some(thread.caller).level)
    if thread.serving is not None:
        level = max(level, some(thread.serving).lent)
    return level


@fn
def settle(start: Ptr[Thread]) -> None:
    """Something that a thread's level depends on has changed: gives it its level, and those it waits for theirs."""
    here = start
    for _ in range(CHAIN):
        level = _due(here)
        if level == here.level:
            return
        scheduler.set_level(here, level)
        next = here.server
        if here.state == ThreadState.SENDING:
            if here.queue is None:  # it has just left it, and waits for nobody
                return
            endpoint = endpoint_of(some(here.queue))
            _look(endpoint)
            endpoint.lent = max(endpoint.lent, level)
            next = endpoint.server
        if next is None:
            return
        here = some(next)


@fn
def _look(endpoint: Ptr[Endpoint]) -> None:
    """Finds out the highest level in the queue."""
    level: u8 = 0
    here = endpoint.queue.head
    if not endpoint.receivers:
        for _ in range(LOOK):
            if here is None:
                break
            thread = some(here)
            if thread.state == ThreadState.SENDING:
                level = max(level, thread.level)
            here = thread.queue_next
        if here is not None:
            level = max(level, endpoint.lent)
    endpoint.lent = level


@fn
def queued(thread: Ptr[Thread], endpoint: Ptr[Endpoint]) -> None:
    """A thread has begun to wait at an endpoint until its message is taken."""
    endpoint.lent = max(endpoint.lent, thread.level)
    if endpoint.server is not None:
        settle(some(endpoint.server))


@fn
def left(thread: Ptr[Thread], queue: Ptr[Queue]) -> None:
    """A thread has left this queue, in the state that it had there."""
    if thread.state == ThreadState.SENDING:
        endpoint = endpoint_of(queue)
        _look(endpoint)
        if endpoint.server is not None:
            settle(some(endpoint.server))


@fn
def serve(thread: Ptr[Thread], endpoint: Ptr[Endpoint]) -> None:
    """A thread receives: who queues there waits for it from now on."""
    if endpoint.server == thread:
        return
    end(endpoint)
    stop_serving(thread)
    endpoint.server = thread
    thread.serving = endpoint
    settle(thread)


@fn
def end(endpoint: Ptr[Endpoint]) -> None:
    """Nobody in particular is waited for at an endpoint."""
    if endpoint.server is not None:
        stop_serving(some(endpoint.server))


@fn
def stop_serving(thread: Ptr[Thread]) -> None:
    """Nobody queues for a thread any more."""
    if thread.serving is not None:
        some(thread.serving).server = None
        thread.serving = None
        settle(thread)
