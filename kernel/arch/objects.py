"""The one place where an address that the kernel keeps in a capability becomes a typed pointer."""

from typing import Any

from kernel.lang import *


def pointer_maker(T: Any) -> Any:
    """The kernel function that gives the T at an address."""

    @fn
    def at(address: usize) -> Ptr[T]:
        return pointer_at(address, T)

    return at
