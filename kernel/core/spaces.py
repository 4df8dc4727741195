"""Address spaces: identifiers, page tables, mappings."""

from kernel.core.access import space_at
from kernel.core.objects import Space
from kernel.core.state import SPACES, kernel
from kernel.lang import *

NO_LIVES_LEFT = 0xFFFF


@fn
def begin(object: usize) -> bool:
    """Gives a new address space an identifier; False when there is none left."""
    for i in range(1, SPACES):
        row = ptr(kernel.spaces[i])
        if row.space is None and row.lives != NO_LIVES_LEFT:
            space = space_at(object)
            row.lives += 1
            row.space = space
            space.identifier = trunc(i, u16)
            space.lives = row.lives
            return True
    return False


@fn
def end(space: Ptr[Space]) -> None:
    """Gives the identifier back."""
    row = ptr(kernel.spaces[space.identifier & 255])
    row.space = None
