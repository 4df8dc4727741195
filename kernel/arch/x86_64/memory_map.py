"""Entries of boot loaders' memory maps on their way into BootInfo."""

from kernel.boot_info import BootInfo, RegionKind, add_region
from kernel.lang import *

FIRST = 4096
PHYSICAL_END = 1 << 52  # SDM volume 3, 4.1.4: no physical address is wider.


@fn
def add(info: Ptr[BootInfo], base: u64, size: u64, kind: RegionKind) -> bool:
    """Adds what of an entry the CPU can address, without page 0; false when the map is full.

    Page 0 is the firmware's (interrupt vectors, BIOS data), and address 0 means "none" in all these structures.
    """
    start = max(base, FIRST)
    if base >= PHYSICAL_END or size == 0 or size <= start - base:
        return True
    return add_region(info, start, min(size - (start - base), PHYSICAL_END - start), kind)
