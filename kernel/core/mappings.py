"""Which page a frame capability is mapped at. Filled in by spaces.py; a capability is mapped at one place at most."""

from kernel.abi import Kind
from kernel.core.objects import Slot
from kernel.lang import *


@fn
def forget(slot: Ptr[Slot]) -> None:
    """Ends the mapping of a frame, device or page-table capability; nothing for others."""
    if slot.kind == Kind.FRAME:
        slot.badge = 0
