"""Address spaces: their numbers, and the system calls that map and unmap.

4,095 spaces at once; each takes 4,160 bytes of its maker's memory, so that is 17 MB of them. What the TLB calls them:
translations.py.
"""

from kernel.abi import PAGE, Error, Kind
from kernel.core import lookup, machine, mappings
from kernel.core.access import space_at
from kernel.core.mappings import LEVELS, Mapping, entry_at, pages_of
from kernel.core.objects import Slot, Space, Thread
from kernel.core.state import SPACES, kernel
from kernel.core.translations import asid_of_space
from kernel.lang import *

NO_LIVES_LEFT = 0x7FFF
FIRST_PAGE = 16  # nothing is mapped below 64 KiB: null pointers, and fields of null structs, fault


@fn
def begin(object: usize) -> bool:
    """Gives a new address space a number, and the kernel's half; False when no number is left."""
    index = kernel.spaces_free
    if index != 0:
        kernel.spaces_free = kernel.spaces[index % SPACES].next_free
    elif kernel.spaces_used < SPACES - 1:
        kernel.spaces_used += 1
        index = kernel.spaces_used
    else:
        return False
    row = ptr(kernel.spaces[index % SPACES])
    space = space_at(object)
    row.lives += 1
    row.space = space
    row.next_free = 0
    space.identifier = index
    space.lives = row.lives
    space.root = object - PAGE
    asid = asid_of_space(index)
    space.translation = machine.translation(machine.physical(space.root), asid)
    machine.share_kernel_half(space.root)
    machine.flush_space(asid)
    return True


@fn
def end(space: Ptr[Space]) -> None:
    """Gives the number back; the CPU stops using its tables."""
    index = space.identifier
    row = ptr(kernel.spaces[index % SPACES])
    row.space = None
    if row.lives != NO_LIVES_LEFT:
        row.next_free = kernel.spaces_free
        kernel.spaces_free = index
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
    """Maps memory: word0: space, word1: address, word2: READ, WRITE, EXECUTE. Never writable and executable,
    nor one of them while the same memory is mapped as the other by any capability.

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
    writable = words[2] & 2 != 0
    executable = words[2] & 4 != 0
    if writable or executable:
        error = mappings.opposed(slot, writable, executable)
        if error != Error.NONE:
            return error
    physical = machine.physical(slot.object)
    device = slot.kind == Kind.DEVICE
    for i in bounded(range(count), 512):
        leaf = some(entry_at(space, page + i, 0))
        leaf.value = machine.leaf_entry(physical + i * PAGE, True, writable, executable, device)
    machine.publish_tables()
    slot.badge = u64(
        Mapping(page=page, writable=writable, executable=executable, identifier=space.identifier, lives=space.lives)
    )
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
