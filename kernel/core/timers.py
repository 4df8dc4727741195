"""Time limits: a heap of the threads that wait with one, ordered by (deadline, arrival), made of themselves.

The first one is at its top; below every other are two at most, neither of them before it. A thread lies where the bits
of its arrival lead, the lowest first, as far as there are others on the way: so it is at most 64 below the top, and
nearly always much less, as arrivals are counted. Nothing of it is memory of the kernel's: nobody can use it up.
"""

from kernel.core.objects import Thread
from kernel.core.state import kernel
from kernel.lang import *

BITS = 64


@fn
def before(a: Ptr[Thread], b: Ptr[Thread]) -> bool:
    """Whose time limit ends first."""
    if a.deadline != b.deadline:
        return a.deadline < b.deadline
    return a.arrival < b.arrival


@fn
def _link(above: Ptr[Thread] | None, side: u64, thread: Ptr[Thread] | None) -> None:
    """What is below a thread on one side; None: at the top."""
    if above is None:
        kernel.timers = thread
    else:
        some(above).timer_below[side & 1] = thread
    if thread is not None:
        some(thread).timer_above = above


@fn
def add(thread: Ptr[Thread], deadline: u64) -> None:
    """Starts a time limit for a thread that has none. Who is less urgent makes room, and goes on downwards."""
    kernel.arrivals += 1
    kernel.timer_count += 1
    thread.deadline = deadline
    thread.arrival = kernel.arrivals
    thread.timed = True
    new = thread
    above: Ptr[Thread] | None = None
    side: u64 = 0
    here = kernel.timers
    for bit in range(BITS):
        if here is None:
            break
        other = some(here)
        if before(new, other):
            _link(above, side, new)
            _link(new, 0, other.timer_below[0])
            _link(new, 1, other.timer_below[1])
            other = new
            new = some(here)
        above = other
        side = new.arrival >> u64(bit) & 1
        here = other.timer_below[side]
    new.timer_below[0] = None
    new.timer_below[1] = None
    _link(above, side, new)


@fn
def cancel(thread: Ptr[Thread]) -> None:
    """Ends the thread's time limit, if it has one. The first of those below takes its place, and so on."""
    if not thread.timed:
        return
    thread.timed = False
    kernel.timer_count -= 1
    above = thread.timer_above
    side: u64 = 0
    if above is not None and some(above).timer_below[1] == thread:
        side = 1
    left = thread.timer_below[0]
    right = thread.timer_below[1]
    for _ in range(BITS):
        if left is None and right is None:
            break
        goes: u64 = 0
        if left is None or (right is not None and before(some(right), some(left))):
            goes = 1
        rises = some(right) if goes == 1 else some(left)
        _link(above, side, rises)
        next_left = rises.timer_below[0]
        next_right = rises.timer_below[1]
        _link(rises, goes ^ 1, left if goes == 1 else right)
        above = rises
        side = goes
        left = next_left
        right = next_right
    _link(above, side, None)


@fn
def first_deadline() -> u64:
    """When the first time limit ends; the greatest time when there is none."""
    if kernel.timers is None:
        return 0xFFFF_FFFF_FFFF_FFFF
    return some(kernel.timers).deadline
