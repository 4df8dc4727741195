"""Time limits: a binary heap of the threads that wait with one, ordered by (deadline, arrival).

Its array is fixed kernel memory; a thread knows its place in it, so a wait that ends early leaves in at most ten steps.
"""

from kernel.core.objects import Thread
from kernel.core.state import TIMERS, kernel
from kernel.lang import *

DEPTH = 11


@fn
def _before(a: Ptr[Thread], b: Ptr[Thread]) -> bool:
    if a.deadline != b.deadline:
        return a.deadline < b.deadline
    return a.arrival < b.arrival


@fn
def _put(index: u32, thread: Ptr[Thread]) -> None:
    kernel.timers[index] = thread
    thread.timer_index = index + 1


@fn
def _rise(start: u32, thread: Ptr[Thread]) -> None:
    index = start
    while bounded(index > 0, DEPTH):
        above = (index - 1) // 2
        other = some(kernel.timers[above])
        if not _before(thread, other):
            break
        _put(index, other)
        index = above
    _put(index, thread)


@fn
def _sink(start: u32, thread: Ptr[Thread]) -> None:
    index = start
    while bounded(2 * index + 1 < kernel.timer_count, DEPTH):
        below = 2 * index + 1
        if below + 1 < kernel.timer_count:
            if _before(some(kernel.timers[below + 1]), some(kernel.timers[below])):
                below += 1
        other = some(kernel.timers[below])
        if not _before(other, thread):
            break
        _put(index, other)
        index = below
    _put(index, thread)


@fn
def add(thread: Ptr[Thread], deadline: u64) -> bool:
    """Starts a time limit for a thread that has none; False when all timers are in use."""
    if kernel.timer_count == TIMERS:
        return False
    kernel.arrivals += 1
    thread.deadline = deadline
    thread.arrival = kernel.arrivals
    kernel.timer_count += 1
    _rise(kernel.timer_count - 1, thread)
    return True


@fn
def cancel(thread: Ptr[Thread]) -> None:
    """Ends the thread's time limit, if it has one."""
    if thread.timer_index == 0:
        return
    index = thread.timer_index - 1
    thread.timer_index = 0
    kernel.timer_count -= 1
    moved = some(kernel.timers[kernel.timer_count])
    kernel.timers[kernel.timer_count] = None
    if index == kernel.timer_count:
        return
    if _before(moved, thread):
        _rise(index, moved)
    else:
        _sink(index, moved)


@fn
def first_deadline() -> u64:
    """When the first time limit ends; the greatest time when there is none."""
    if kernel.timer_count == 0:
        return 0xFFFF_FFFF_FFFF_FFFF
    return some(kernel.timers[0]).deadline
