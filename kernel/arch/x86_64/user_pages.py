"""User pages in four-level tables (SDM volume 3, 4.5): the form of entries. Pure arithmetic, tested on the host.

A page of the last level looks like a table of the level above; a bit that the CPU ignores tells them apart.
"""

from kernel.lang import *

LEVELS = 4
USER_END = 1 << 39  # one entry of the root: no more than the other architectures have
"""512 GiB, far below the addresses that are not canonical."""
_PRESENT, _WRITABLE, _USER, _WRITE_THROUGH, _CACHE_DISABLE = 1, 2, 4, 8, 16
_ACCESSED, _DIRTY, _LEAF = 1 << 5, 1 << 6, 1 << 9
_NO_EXECUTE = 1 << 63
_FRAME = 0x000F_FFFF_FFFF_F000
MARK = 1 << 10
"""A bit that the CPU ignores, for who walks the tables."""


@fn
def leaf_entry(physical: u64, read: bool, write: bool, execute: bool, device: bool) -> u64:
    """A user page; what is mapped at all can be read. A device's is uncached (PCD and PWT: type UC, 11.12.4)."""
    entry: u64 = physical | (_PRESENT | _USER | _ACCESSED | _LEAF)
    if not read and not write and not execute:
        return 0
    if write:
        entry |= _WRITABLE | _DIRTY
    if not execute:
        entry |= _NO_EXECUTE
    if device:
        entry |= _CACHE_DISABLE | _WRITE_THROUGH
    return entry


@fn
def entry_rights(entry: u64) -> u8:
    """What user code may do with a page: READ, WRITE, EXECUTE; 0 when it is not the user's."""
    if entry & _USER == 0:
        return 0
    rights: u8 = 1
    if entry & _WRITABLE != 0:
        rights |= 2
    if entry & _NO_EXECUTE == 0:
        rights |= 4
    return rights


@fn
def table_entry(physical: u64) -> u64:
    """A table of the next level: rights are those of the last one."""
    return physical | (_PRESENT | _WRITABLE | _USER)


@fn
def is_present(entry: u64) -> bool:
    """Whether anything is mapped."""
    return entry & _PRESENT != 0


@fn
def is_table(entry: u64) -> bool:
    """Whether it is a table."""
    return entry & _LEAF == 0


@fn
def entry_physical(entry: u64) -> u64:
    """Where the page or table is."""
    return entry & _FRAME


@fn
def translation(root: u64, identifier: u16) -> u64:
    """CR3 (4.5, table 4-12). Without process-context identifiers, the TLB is emptied with every change of it."""
    _ = identifier
    return root


@fn
def asid_of(translation: u64) -> u16:
    """The address space identifier in it."""
    _ = translation
    return 0


TAGGED = False
"""Whether entries of the TLB name their address space, and so stay when another one is used."""
