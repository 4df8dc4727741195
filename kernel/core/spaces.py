"""Address spaces: identifiers, and the system calls that map and unmap.

Identifiers (ASIDs) are the kernel's: 255 spaces at once. The TLB keeps what belongs to other identifiers when spaces
are switched; one that is given out again is flushed first.
"""

from kernel.abi import PAGE, Error, Kind
from kernel.core import lookup, machine, mappings
from kernel.core.access import space_at
from kernel.core.mappings import LEVELS, Mapping, entry_at, pages_of
from kernel.core.objects import Slot, Space, Thread
from kernel.core.state import SPACES, kernel
from kernel.lang import *

NO_LIVES_LEFT = 0xFFFF
FIRST_PAGE = 16  # nothing is mapped below 64 KiB: null pointers, and fields of null structs, fault


@fn
def begin(object: usize) -> bool:
    """Gives a new address space an identifier, and the kernel's half; False when no identifier is left."""
    for i in range(1, SPACES):
        row = ptr(kernel.spaces[i])
        if row.space is None and row.lives != NO_LIVES_LEFT:
            space = space_at(object)
            row.lives += 1
            row.space = space
            space.identifier = trunc(i, u16)
            space.lives = row.lives
            space.root = object - PAGE
            space.translation = machine.translation(machine.physical(space.root), space.identifier)
            machine.share_kernel_half(space.root)
            machine.flush_space(space.identifier)
            return True
    return False


@fn
def end(space: Ptr[Space]) -> None:
    """Gives the identifier back; the CPU stops using its tables."""
    row = ptr(kernel.spaces[space.identifier & 255])
    row.space = None
    if kernel.translation == space.translation:
        kernel.translation = machine.leave_spaces()


@fn
def mappable(thread: Ptr[Thread]) -> Ptr[Slot] | None:
    """The capability to memory that the thread's call names."""
    found = lookup.find(thread, thread.frame.handle)
    if found is None:
        return None
    kind = some(found).kind
    if kind != Kind.FRAME and kind != Kind.DEVICE and kind != Kind.DMA:
        kernel.error = Error.WRONG_KIND
        return None
    return found


@fn
def sys_map(thread: Ptr[Thread]) -> Error:
    """Maps memory: word0: space, word1: address, word2: READ, WRITE, EXECUTE. Never writable and executable.

    What is mapped can be read: no CPU has pages to write only, not all have pages to run only. So READ is needed.
    """
    words = ptr(thread.frame.words)
    found = mappable(thread)
    if found is None:
        return kernel.error
    slot = some(found)
    target = lookup.lookup(thread, words[0], Kind.SPACE, 2)
    if target is None:
        return kernel.error
    if words[2] == 0 or words[2] > 7 or words[2] & 6 == 6:
        return Error.OUT_OF_RANGE
    if (trunc(words[2], u8) | 1) & ~slot.rights != 0:
        return Error.DENIED
    if slot.expiry != 0:
        return Error.EXPIRED
    if slot.badge != 0:
        return Error.MAPPED
    count = pages_of(slot)
    page = words[1] // PAGE
    if words[1] % PAGE != 0 or count > 512 or page < FIRST_PAGE or page >= machine.USER_END // PAGE - count:
        return Error.OUT_OF_RANGE
    space = space_at(some(target).object)
    for i in bounded(range(count), 512):
        entry = entry_at(space, page + i, 0)
        if entry is None:
            return Error.NO_PAGE_TABLE
        if machine.is_present(some(entry).value):
            return Error.MAPPED
    physical = machine.physical(slot.object)
    device = slot.kind == Kind.DEVICE
    for i in bounded(range(count), 512):
        leaf = some(entry_at(space, page + i, 0))
        leaf.value = machine.leaf_entry(physical + i * PAGE, True, words[2] & 2 != 0, words[2] & 4 != 0, device)
    machine.publish_tables()
    slot.badge = u64(Mapping(page=page, identifier=space.identifier, lives=space.lives))
    return Error.NONE


@fn
def sys_unmap(thread: Ptr[Thread]) -> Error:
    """Ends the mapping of a capability to memory."""
    found = mappable(thread)
    if found is None:
        return kernel.error
    if some(found).badge == 0:
        return Error.NOT_MAPPED
    mappings.forget(some(found))
    return Error.NONE


@fn
def sys_map_table(thread: Ptr[Thread]) -> Error:
    """Puts a page table where the first is missing on the way to an address. word0: space, word1: address."""
    words = ptr(thread.frame.words)
    found = lookup.lookup(thread, thread.frame.handle, Kind.PAGE_TABLE, 2)
    if found is None:
        return kernel.error
    slot = some(found)
    target = lookup.lookup(thread, words[0], Kind.SPACE, 2)
    if target is None:
        return kernel.error
    if slot.badge != 0:
        return Error.MAPPED
    if words[1] >= machine.USER_END:
        return Error.OUT_OF_RANGE
    space = space_at(some(target).object)
    page = words[1] // PAGE
    for step in range(LEVELS - 1):
        level = trunc(LEVELS - 1 - step, u8)
        entry = entry_at(space, page, level)
        if entry is None:
            return Error.MAPPED
        if not machine.is_present(some(entry).value):
            clear_table(slot.object)
            some(entry).value = machine.table_entry(machine.physical(slot.object))
            machine.publish_tables()
            slot.badge = u64(Mapping(page=page, identifier=space.identifier, lives=space.lives))
            slot.size = level
            return Error.NONE
    return Error.MAPPED


@fn
def clear_table(address: usize) -> None:
    """Whatever a page table has held, it holds no more: a table that comes back must not bring old mappings."""
    for i in range(512):
        machine.word_at(address + i * 8).value = 0
