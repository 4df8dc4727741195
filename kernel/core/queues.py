"""Queues of threads. A thread is in one at most, and names it: so it can be taken out from the middle at any time."""

from kernel.core.objects import Queue, Thread
from kernel.lang import *


@fn
def append(queue: Ptr[Queue], thread: Ptr[Thread]) -> None:
    """Puts a thread that is in no queue at the end."""
    last = queue.tail
    thread.queue = queue
    thread.queue_next = None
    thread.queue_previous = last
    if last is None:
        queue.head = thread
    else:
        some(last).queue_next = thread
    queue.tail = thread


@fn
def prepend(queue: Ptr[Queue], thread: Ptr[Thread]) -> None:
    """Puts a thread that is in no queue at the front."""
    first = queue.head
    thread.queue = queue
    thread.queue_previous = None
    thread.queue_next = first
    if first is None:
        queue.tail = thread
    else:
        some(first).queue_previous = thread
    queue.head = thread


@fn
def take(queue: Ptr[Queue], thread: Ptr[Thread]) -> None:
    """Takes a thread out of the queue that it is in."""
    before = thread.queue_previous
    after = thread.queue_next
    if queue.cursor == thread:
        queue.cursor = after
    if before is None:
        queue.head = after
    else:
        some(before).queue_next = after
    if after is None:
        queue.tail = before
    else:
        some(after).queue_previous = before
    thread.queue = None
    thread.queue_next = None
    thread.queue_previous = None
