"""Random numbers: xorshift64* (Marsaglia; Vigna), so that a seed gives the same calls on every machine."""

from kernel.lang import *

state = variable(w64, 1)


@fn
def seed(value: u64) -> None:
    """Starts again."""
    global state
    state = w64(value) * 0x9E37_79B9_7F4A_7C15 + 1
    if state == 0:
        state = 1


@fn
def any_number() -> u64:
    """64 bits."""
    global state
    x = state
    x = x ^ (x >> 12)
    x = x ^ (x << 25)
    x = x ^ (x >> 27)
    state = x
    return u64(x * 0x2545_F491_4F6C_DD1D)


@fn
def below(limit: u64) -> u64:
    """0..limit - 1."""
    return (any_number() >> 11) % limit


@fn
def one_in(count: u64) -> bool:
    """True once in so many."""
    return below(count) == 0
