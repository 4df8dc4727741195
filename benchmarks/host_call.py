"""What a call of a kernel function from ordinary Python costs."""

import time
import timeit

from kernel.lang import Array, Ptr, fn, struct, u32, u64

CALLS, SAMPLES = 20_000, 7


@struct
class Message:
    """What is passed by pointer."""

    tag: u32
    words: Array[u64, 7]


@fn
def fill(message: Ptr[Message], tag: u32) -> u32:
    """Almost nothing: a check of an index, a store."""
    message.words[u64(tag)] = u64(tag)
    return tag


def microseconds() -> list[float]:
    """CPU time of one call with a pointer and an integer, and a result. It is compiled and bound before."""
    message = Message()
    assert fill(message, 3) == 3 and message.words[3] == 3
    taken = timeit.repeat(lambda: fill(message, 3), timer=time.process_time, number=CALLS, repeat=SAMPLES)
    return [seconds / CALLS * 1e6 for seconds in taken]
