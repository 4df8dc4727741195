"""Time limits, of waits and of capabilities by which threads serve: a heap ordered by (deadline, arrival), made of what
lies in the threads themselves.

The first one is at its top; below every other are two at most, neither of them before it. A limit lies where the bits
of its arrival lead, the lowest first, as far as there are others on the way: so it is at most 64 below the top, and
nearly always much less, as arrivals are counted. Nothing of it is memory of the kernel's: nobody can use it up.
"""

from kernel.core.access import thread_at
from kernel.core.objects import Thread, Timer
from kernel.core.state import kernel
from kernel.lang import *

BITS = 64
SERVICE = 1 << 63


@fn
def before(a: Ptr[Timer], b: Ptr[Timer]) -> bool:
    """Whose time limit ends first."""
    if a.deadline != b.deadline:
        return a.deadline < b.deadline
    return a.arrival < b.arrival


@fn
def _link(above: Ptr[Timer] | None, side: u64, timer: Ptr[Timer] | None) -> None:
    """What is below a limit on one side; None: at the top."""
    if above is None:
        kernel.timers = timer
    else:
        some(above).below[side & 1] = timer
    if timer is not None:
        some(timer).above = above


@fn
def _start(timer: Ptr[Timer], deadline: u64, service: u64) -> None:
    """Starts a time limit. Who ends later makes room, and goes on downwards."""
    kernel.arrivals += 1
    kernel.timer_count += 1
    timer.deadline = deadline
    timer.arrival = kernel.arrivals | service
    new = timer
    above: Ptr[Timer] | None = None
    side: u64 = 0
    here = kernel.timers
    for bit in range(BITS):
        if here is None:
            break
        other = some(here)
        if before(new, other):
            _link(above, side, new)
            _link(new, 0, other.below[0])
            _link(new, 1, other.below[1])
            other = new
            new = some(here)
        above = other
        side = new.arrival >> u64(bit) & 1
        here = other.below[side]
    new.below[0] = None
    new.below[1] = None
    _link(above, side, new)


@fn
def _end(timer: Ptr[Timer]) -> None:
    """Ends a time limit. The first of those below takes its place, and so on."""
    kernel.timer_count -= 1
    above = timer.above
    side: u64 = 0
    if above is not None and some(above).below[1] == timer:
        side = 1
    left = timer.below[0]
    right = timer.below[1]
    for _ in range(BITS):
        if left is None and right is None:
            break
        goes: u64 = 0
        if left is None or (right is not None and before(some(right), some(left))):
            goes = 1
        rises = some(right) if goes == 1 else some(left)
        _link(above, side, rises)
        next_left = rises.below[0]
        next_right = rises.below[1]
        _link(rises, goes ^ 1, left if goes == 1 else right)
        above = rises
        side = goes
        left = next_left
        right = next_right
    _link(above, side, None)


@fn
def add(thread: Ptr[Thread], deadline: u64) -> None:
    """Limits the wait of a thread, which has no limit yet."""
    thread.timed = True
    _start(ptr(thread.wait), deadline, 0)


@fn
def cancel(thread: Ptr[Thread]) -> None:
    """Ends the limit of a thread's wait, if it has one."""
    if thread.timed:
        thread.timed = False
        _end(ptr(thread.wait))


@fn
def limit_service(thread: Ptr[Thread], expiry: u64) -> None:
    """A thread serves from now on by a capability with this expiry; 0: it has none, or the thread serves no more."""
    if thread.limited:
        _end(ptr(thread.service))
    thread.limited = expiry != 0
    if thread.limited:
        _start(ptr(thread.service), expiry, SERVICE)


@fn
def of_service(timer: Ptr[Timer]) -> bool:
    """Whether it is not of a wait."""
    return timer.arrival & SERVICE != 0


@fn
def owner(timer: Ptr[Timer]) -> Ptr[Thread]:
    """The thread that a limit lies in."""
    offset: usize = offset_of(Thread, "service") if of_service(timer) else offset_of(Thread, "wait")
    return thread_at(address_of(timer) - offset)


@fn
def first_deadline() -> u64:
    """When the first time limit ends; the greatest time when there is none."""
    if kernel.timers is None:
        return 0xFFFF_FFFF_FFFF_FFFF
    return some(kernel.timers).deadline
