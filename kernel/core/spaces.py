"""Address spaces: their numbers, and the system calls that map and unmap.

Each takes its maker's memory and nothing else, so nobody can use them up for others. What the TLB calls them:
translations.py. There are 2^35 numbers: after as many spaces, those that no space has are given again.
"""

from kernel.abi import PAGE, Error, Kind
from kernel.core import lookup, machine, mappings
from kernel.core.access import space_at
from kernel.core.mappings import LEVELS, SPACE_BITS, Mapping, entry_at, pages_of
from kernel.core.objects import Slot, Space, Thread
from kernel.core.state import kernel
from kernel.core.translations import asid_of_space
from kernel.lang import *

LAST_NUMBER = (1 << SPACE_BITS) - 1
FIRST_PAGE = 16  # nothing is mapped below 64 KiB: null pointers, and fields of null structs, fault


@fn
def begin(object: usize) -> bool:
    """Gives a new address space a number, and the kernel's half; False when another one has the next number."""
    kernel.spaces_made += 1
    space = space_at(object)
    space.number = kernel.spaces_made & LAST_NUMBER
    if not _insert(space):
        space.number = 0  # this memory is still known to be zero
        return False
    kernel.spaces_count += 1
    space.root = object - PAGE
    asid = asid_of_space(space.number)
    space.translation = machine.translation(machine.physical(space.root), asid)
    machine.share_kernel_half(space.root)
    machine.flush_space(asid)
    return True


@fn
def end(space: Ptr[Space]) -> None:
    """Nobody finds it any more; the CPU stops using its tables."""
    _remove(space)
    kernel.spaces_count -= 1
    if kernel.translation == space.translation:
        kernel.translation = machine.leave_spaces()


@fn
def _link(above: Ptr[Space] | None, bit: u64, space: Ptr[Space] | None) -> None:
    """What is below a space of the tree on one side; None: at its root."""
    if above is None:
        kernel.spaces = space
    else:
        some(above).children[bit & 1] = space


@fn
def _insert(space: Ptr[Space]) -> bool:
    """Puts it where the bits of its number lead; False when there is one with this number."""
    above: Ptr[Space] | None = None
    here = kernel.spaces
    bit: u64 = 0
    rest = space.number
    for _ in range(SPACE_BITS + 1):
        if here is None:
            break
        if some(here).number == space.number:
            return False
        above = here
        bit = rest & 1
        here = some(here).children[bit]
        rest >>= 1
    space.children[0] = None
    space.children[1] = None
    _link(above, bit, space)
    return True


@fn
def _remove(space: Ptr[Space]) -> None:
    """Takes it out; any one that has no others below takes its place, whose bits lead there too."""
    above: Ptr[Space] | None = None
    here = kernel.spaces
    bit: u64 = 0
    rest = space.number
    for _ in range(SPACE_BITS + 1):
        if here is None or here == space:
            break
        above = here
        bit = rest & 1
        here = some(here).children[bit]
        rest >>= 1
    leaf = space
    leaf_above = above
    leaf_bit = bit
    for _ in range(SPACE_BITS + 1):
        side: u64 = 0 if leaf.children[0] is not None else 1
        below = leaf.children[side]
        if below is None:
            break
        leaf_above = leaf
        leaf_bit = side
        leaf = some(below)
    _link(leaf_above, leaf_bit, None)
    if leaf != space:
        leaf.children[0] = space.children[0]
        leaf.children[1] = space.children[1]
        _link(above, bit, leaf)


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
    slot.badge = u64(Mapping(page=exact(page, u32), writable=writable, executable=executable, space=space.number))
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
            slot.badge = u64(Mapping(page=exact(page, u32), space=space.number))
            slot.size = level
            return Error.NONE
    return Error.MAPPED


@fn
def clear_table(address: usize) -> None:
    """Whatever a page table has held, it holds no more: a table that comes back must not bring old mappings."""
    for i in range(512):
        machine.word_at(address + i * 8).value = 0
