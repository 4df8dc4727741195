"""Instructions that may trap on purpose: is a CSR there, does an address answer?

Between `begin` and `failed`, a fault of the kernel skips the instruction and is noted, instead of being a panic. The
instruction must be one of four bytes, without a result that matters.
"""

from kernel.lang import *

probing = variable(bool, False)
faulted = variable(bool, False)


@fn
def begin() -> None:
    """From here on a fault is an answer."""
    write_volatile(ptr(faulted), False)
    write_volatile(ptr(probing), True)


@fn
def failed() -> bool:
    """Whether something faulted since `begin`; faults are panics again."""
    write_volatile(ptr(probing), False)
    return read_volatile(ptr(faulted))


@fn
def take() -> bool:
    """Called for a fault: whether it was expected."""
    if not read_volatile(ptr(probing)):
        return False
    write_volatile(ptr(faulted), True)
    return True
