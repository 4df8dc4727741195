"""The one place where an address that the kernel keeps in a capability becomes a typed pointer."""

from typing import Any

from kernel.lang import *


def pointer_maker(T: Any) -> Any:
    """The kernel function that gives the T at an address."""

    @fn
    def at(address: usize) -> Ptr[T]:
        return pointer_at(address, T)

    return at


@fn
def bytes_of(address: usize, length: usize) -> Span[u8]:
    """Memory as bytes; what it is, the caller knows."""
    return span(pointer_at(address, Array[u8, 1 << 30]))[0:length]
