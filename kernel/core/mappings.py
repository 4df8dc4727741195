"""Page tables, and which page a capability is mapped at.

A frame, device or DMA capability is mapped at one place at most; its badge says where: page number, and number of the
address space, which no other gets, so that what is left of a space that has ended is recognized; and with which rights
that matter for W^X. A page table likewise, with its level in `size`.

The spaces are found by their numbers in a tree that is made of themselves, so there may be as many as there is memory:
a space lies where the bits of its number lead, the lowest first, as far as there are others on the way.
"""

from kernel.abi import PAGE, Error, Kind
from kernel.core import machine
from kernel.core.objects import Slot, Space
from kernel.core.state import kernel
from kernel.core.translations import asid_of_space
from kernel.lang import *

LEVELS = machine.LEVELS
FLUSH_ONE_BY_ONE = 8
ENTRIES = 512
SPACE_BITS = 35
FAMILY = 256  # steps of a walk over the capabilities to one piece of memory


@bitfield(u64)
class Mapping:
    """The badge of a mapped capability; 0 when it is not mapped."""

    page: Bits[27]
    writable: bool
    executable: bool
    space: Bits[35]


@fn
def space_of(mapping: Mapping) -> Ptr[Space] | None:
    """The address space, unless it has ended."""
    number = u64(mapping.space)
    rest = number
    here = kernel.spaces
    for _ in range(SPACE_BITS + 1):
        if here is None or some(here).number == number:
            return here
        here = some(here).children[rest & 1]
        rest >>= 1
    return None


@fn
def entry_at(space: Ptr[Space], page: u64, level: u8) -> Ptr[u64] | None:
    """The entry for a page in the table of a level (0: leaves), or None when a table above is missing."""
    table = space.root
    for step in range(LEVELS):
        here = LEVELS - 1 - step
        index = page >> (9 * here) & 511
        entry = machine.word_at(table + exact(index, usize) * 8)
        if here == usize(level):
            return entry
        if not machine.is_present(entry.value) or not machine.is_table(entry.value):
            return None
        table = machine.virtual(machine.entry_physical(entry.value))
    return None


@fn
def pages_of(slot: Ptr[Slot]) -> u64:
    """Pages that a frame, device or DMA capability covers."""
    return u64(1) << (slot.size - 12)


@fn
def same_memory(a: Ptr[Slot], b: Ptr[Slot]) -> bool:
    """Whether two capabilities are to the same frame, device or DMA memory."""
    return a.kind == b.kind and a.object == b.object


@fn
def opposed(slot: Ptr[Slot], writable: bool, executable: bool) -> Error:
    """BUSY when the same memory is mapped executable by whatever capability, and is to be writable, or the reverse.

    All capabilities to it are neighbours in the tree: children of each other, or brothers where their parent has gone.
    LIMIT when there are too many of them to look at.
    """
    here = slot
    steps: u32 = 0
    while bounded(steps < FAMILY and same_memory(some(here.previous), slot), FAMILY):
        here = some(here.previous)
        steps += 1
    downwards = True
    while bounded(steps < FAMILY, FAMILY):
        steps += 1
        if downwards and here.badge != 0:
            mapping = Mapping(here.badge)
            if (writable and mapping.executable) or (executable and mapping.writable):
                if space_of(mapping) is not None:
                    return Error.BUSY
        if downwards and here.first is not None:
            here = some(here.first)
        else:
            after = some(here.next)
            if not same_memory(after, slot):
                return Error.NONE
            downwards = after.last != here
            here = after
    return Error.LIMIT


@fn
def forget(slot: Ptr[Slot]) -> None:
    """Ends the mapping of a capability; nothing where there is none."""
    match slot.kind:
        case Kind.FRAME | Kind.DEVICE | Kind.DMA:
            if slot.badge != 0:
                _unmap_pages(slot)
        case Kind.PAGE_TABLE:
            if slot.badge != 0:
                _unmap_table(slot)
        case _:
            pass


@fn
def _unmap_pages(slot: Ptr[Slot]) -> None:
    mapping = Mapping(slot.badge)
    slot.badge = 0
    found = space_of(mapping)
    if found is None:
        return
    space = some(found)
    count = pages_of(slot)
    physical = machine.physical(slot.object)
    for i in bounded(range(count), ENTRIES):
        entry = entry_at(space, u64(mapping.page) + i, 0)
        if entry is not None:
            here = some(entry)
            if machine.is_present(here.value) and machine.entry_physical(here.value) == physical + i * PAGE:
                here.value = 0
                if count <= FLUSH_ONE_BY_ONE:
                    machine.flush_page(asid_of_space(space.number), (u64(mapping.page) + i) * PAGE)
    if count > FLUSH_ONE_BY_ONE:
        machine.flush_space(asid_of_space(space.number))


@fn
def _unmap_table(slot: Ptr[Slot]) -> None:
    mapping = Mapping(slot.badge)
    level = slot.size
    slot.badge = 0
    slot.size = 12
    found = space_of(mapping)
    if found is None:
        return
    entry = entry_at(some(found), u64(mapping.page), level)
    if entry is None:
        return
    here = some(entry)
    if machine.is_present(here.value) and machine.entry_physical(here.value) == machine.physical(slot.object):
        here.value = 0
        machine.flush_space(asid_of_space(some(found).number))
