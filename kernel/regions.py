"""The memory map of BootInfo: sorted, without overlaps, whatever a boot loader says and in whatever order.

Where two ranges overlap, the stronger kind stays: what somebody reserved is never free.
"""

from kernel.boot_info import MAX_REGIONS, BootInfo, Region, RegionKind
from kernel.lang import *

STRENGTH = (
    RegionKind.FREE,
    RegionKind.BOOT_DATA,
    RegionKind.ACPI,
    RegionKind.MODULES,
    RegionKind.KERNEL,
    RegionKind.RESERVED,
)
"""Weakest first."""

strength = constant(Array[u8, len(STRENGTH)], [STRENGTH.index(kind) for kind in RegionKind])
PAGE = 4096
LAST = (1 << 52) - PAGE  # beyond every physical address of the three architectures

scratch = variable(Array[Region, MAX_REGIONS])
scratch_count = variable(usize, 0)
scratch_full = variable(bool, False)


@fn
def stronger(left: RegionKind, right: RegionKind) -> RegionKind:
    """The kind that memory has which both claim."""
    return left if strength[u8(left)] >= strength[u8(right)] else right


@fn
def emit(start: u64, end: u64, kind: RegionKind) -> None:
    """Appends a range to the new list; one that continues the last range of the same kind makes that longer."""
    global scratch_count, scratch_full
    if start >= end:
        return
    if scratch_count > 0:
        last = ptr(scratch[scratch_count - 1])
        if last.kind == kind and last.base + last.size == start:
            last.size += end - start
            return
    if scratch_count == MAX_REGIONS:
        scratch_full = True
        return
    place = ptr(scratch[scratch_count])
    place.base = start
    place.size = end - start
    place.kind = kind
    scratch_count += 1


@fn
def add(info: Ptr[BootInfo], base: u64, size: u64, kind: RegionKind) -> bool:
    """Adds a range, in whole pages: a free one loses its broken pages, any other one gains them.

    False when the map has no room for it; it is then as it was before.
    """
    global scratch_count, scratch_full
    start = min(base, LAST)
    end = start + min(size, LAST - start)
    if kind == RegionKind.FREE:
        start = (start + PAGE - 1) & ~u64(PAGE - 1)
        end = end & ~u64(PAGE - 1)
    else:
        start = start & ~u64(PAGE - 1)
        end = (end + PAGE - 1) & ~u64(PAGE - 1)
    if size == 0 or start >= end:
        return True
    scratch_count = 0
    scratch_full = False
    done = start  # How far the new range has been written.
    for i in bounded(range(info.region_count), MAX_REGIONS):
        old = ptr(info.regions[i])
        old_end = old.base + old.size
        emit(done, min(end, old.base), kind)
        emit(old.base, min(old_end, start), old.kind)
        emit(max(old.base, start), min(old_end, end), stronger(old.kind, kind))
        emit(max(old.base, end), old_end, old.kind)
        done = max(done, min(old_end, end))
    emit(done, end, kind)
    if scratch_full:
        return False
    for i in bounded(range(scratch_count), MAX_REGIONS):
        copy(info.regions[i], scratch[i])
    info.region_count = scratch_count
    return True


@fn
def total(info: Ptr[BootInfo]) -> u64:
    """Bytes of memory that is not reserved: what the machine has, as far as it says."""
    sum: u64 = 0
    for i in bounded(range(info.region_count), MAX_REGIONS):
        if info.regions[i].kind != RegionKind.RESERVED:
            sum += info.regions[i].size
    return sum
