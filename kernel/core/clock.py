"""The time, in ticks of the platform's timer."""

from kernel.core import machine
from kernel.lang import *


@fn
def now() -> u64:
    """Ticks since reset."""
    return machine.read_time()
