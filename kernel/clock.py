"""Ticks of the kernel's own: a timer interrupt every TICK_MILLISECONDS, each setting the deadline of the next."""

from kernel.arch import timer
from kernel.lang import *

TICKS_PER_SECOND = 100

ticks = variable(u64, 0)
_deadline = variable(u64, 0)
_interval = variable(u64, 0)


@fn
def start(hz: u64) -> None:
    """The first deadline; `hz` is the timer's frequency."""
    global _deadline, _interval
    _interval = hz // TICKS_PER_SECOND
    _deadline = timer.now() + _interval
    timer.set_deadline(_deadline)


@fn
def interrupt() -> None:
    """The timer reached the deadline."""
    global ticks, _deadline
    ticks += 1
    # Never a deadline in the past: after a long pause, ticks are lost rather than made up for.
    _deadline = max(_deadline + _interval, timer.now())
    timer.set_deadline(_deadline)


@fn
def count() -> u64:
    """Ticks so far; the interrupt changes it behind the compiler's back."""
    return read_volatile(ptr(ticks))
