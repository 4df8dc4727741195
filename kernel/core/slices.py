"""Time slices: the capability to run, and how urgently.

A fresh slice is the least: background, level 0. It is raised by showing a slice that one may grant and that is at least
as high. So urgency, like memory, only comes from who has it.
"""

from kernel.abi import CLASS_FIRST, Error, Kind, SliceClass
from kernel.core import lookup
from kernel.core.access import slice_at
from kernel.core.objects import Thread
from kernel.core.state import kernel
from kernel.lang import *

MIN_QUANTUM = 1_000  # 0.1 ms
MAX_QUANTUM = 10_000_000  # 1 s
FIRST = constant(Array[u8, 4], [*(CLASS_FIRST[c] for c in SliceClass), 64])


@fn
def sys_slice_configure(thread: Ptr[Thread]) -> Error:
    """word0: class, word1: level within the class, word2: quantum in ticks, word3: a slice as authority."""
    words = ptr(thread.frame.words)
    slot = lookup.lookup(thread, thread.frame.handle, Kind.SLICE, 2)
    if slot is None:
        return kernel.error
    authority = lookup.lookup(thread, words[3], Kind.SLICE, 8)
    if authority is None:
        return kernel.error
    if words[0] > 2 or words[1] > 63 or words[2] < MIN_QUANTUM or words[2] > MAX_QUANTUM:
        return Error.OUT_OF_RANGE
    level = u64(FIRST[words[0]]) + words[1]
    if level >= u64(FIRST[words[0] + 1]):
        return Error.OUT_OF_RANGE
    if level > u64(slice_at(some(authority).object).level):
        return Error.DENIED
    slice = slice_at(some(slot).object)
    slice.slice_class = SliceClass(trunc(words[0], u8))
    slice.level = trunc(level, u8)
    slice.quantum = words[2]
    return Error.NONE
