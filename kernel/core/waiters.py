"""Who waits by a capability that ends is told: REVOKED.

A slot does not know who waits by it. So when one ends, all who wait at its object are looked at, some at a time: the
queue joins the list of those to be checked, and the end of every trap goes on with the first of them. Who leaves the
queue meanwhile moves the cursor (queues.take); a capability that ends meanwhile asks for one more round.
"""

from kernel.abi import Error, Kind, ThreadState
from kernel.core import inheritance, lookup, queues, threads
from kernel.core.access import endpoint_at, notification_at
from kernel.core.objects import Notification, Queue, Thread
from kernel.core.state import kernel
from kernel.lang import *

LOOKS = 16  # waiters in one step


@fn
def live(thread: Ptr[Thread]) -> Error:
    """Whether the capability by which a thread waits is still what it was."""
    slot = some(thread.waiting_slot)
    if slot.kind == Kind.EMPTY or slot.generation != thread.waiting_generation:
        return Error.REVOKED
    return Error.EXPIRED if lookup.expired(slot) else Error.NONE


@fn
def capability_ended(kind: Kind, object: usize) -> None:
    """A capability to this object has ended, or is in another place now."""
    match kind:
        case Kind.ENDPOINT:
            endpoint = endpoint_at(object)
            _check_soon(ptr(endpoint.queue))
            inheritance.capability_ended(endpoint)
        case Kind.NOTIFICATION:
            _check_soon(ptr(notification_at(object).queue))
        case _:
            pass


@fn
def _check_soon(queue: Ptr[Queue]) -> None:
    if queue.head is None:
        return
    if queue.listed:
        queue.again = True
        return
    queue.listed = True
    queue.cursor = queue.head
    queue.next_checked = None
    if kernel.checked_last is None:
        kernel.checked = queue
    else:
        some(kernel.checked_last).next_checked = queue
    kernel.checked_last = queue


@fn
def step() -> None:
    """Looks at some waiters of the first queue that is to be checked; nothing when there is none."""
    if kernel.checked is None:
        return
    queue = some(kernel.checked)
    for _ in range(LOOKS):
        if queue.cursor is None:
            if queue.again:
                queue.again = False
                queue.cursor = queue.head
            if queue.cursor is None:
                break
        thread = some(queue.cursor)
        queue.cursor = thread.queue_next
        why = live(thread)
        if why != Error.NONE:
            queues.take(queue, thread)
            inheritance.left(thread, queue)
            threads.wake_waiter(thread, why)
    if queue.cursor is not None or queue.again:
        return
    queue.listed = False
    kernel.checked = queue.next_checked
    if kernel.checked is None:
        kernel.checked_last = None
    if queue.head is not None:
        if some(queue.head).state == ThreadState.WAITING:
            give(notification_at(address_of(queue) - offset_of(Notification, "queue")))


@fn
def give(notification: Ptr[Notification]) -> None:
    """Hands the bits, if any are set, to the first waiter whose capability is alive. When that takes too many looks, it
    is done when all of them have been looked at."""
    queue = ptr(notification.queue)
    for _ in range(LOOKS):
        if queue.head is None or notification.bits == 0:
            return
        thread = some(queue.head)
        queues.take(queue, thread)
        why = live(thread)
        if why == Error.NONE:
            thread.frame.words[0] = notification.bits
            notification.bits = 0
        threads.wake(thread, why)
    if notification.bits != 0:
        _check_soon(queue)
