"""User pages in Sv39 (Privileged 4.4): the form of entries. Pure arithmetic, so the host uses it as its model too."""

from kernel.lang import *

LEVELS = 3
INDEX_BITS = 9
USER_END = 1 << 38  # the lower half
_VALID, _READ, _WRITE, _EXECUTE, _USER = 1, 2, 4, 8, 16
_ACCESSED, _DIRTY = 0x40, 0x80
_SV39 = 8 << 60
MARK = 1 << 8
"""A bit that the CPU ignores (RSW, 4.3.1), for who walks the tables."""


@fn
def leaf_entry(physical: u64, read: bool, write: bool, execute: bool, device: bool) -> u64:
    """A user page. A and D are set, so that the hardware need not write tables; write needs read (4.4.1).

    What is a device is decided by the address (physical memory attributes), not by the entry.
    """
    _ = device
    entry: u64 = physical >> 2 | (_VALID | _USER | _ACCESSED | _DIRTY)
    if read or write:
        entry |= _READ
    if write:
        entry |= _WRITE
    if execute:
        entry |= _EXECUTE
    return entry


@fn
def entry_rights(entry: u64) -> u8:
    """What user code may do with a page: READ, WRITE, EXECUTE; 0 when it is not the user's."""
    if entry & _USER == 0:
        return 0
    rights: u8 = 1 if entry & _READ != 0 else 0
    if entry & _WRITE != 0:
        rights |= 2
    if entry & _EXECUTE != 0:
        rights |= 4
    return rights


@fn
def table_entry(physical: u64) -> u64:
    """A table of the next level."""
    return physical >> 2 | _VALID


@fn
def is_present(entry: u64) -> bool:
    """Whether anything is mapped."""
    return entry & _VALID != 0


@fn
def is_table(entry: u64) -> bool:
    """Whether it is a table."""
    return entry & (_READ | _WRITE | _EXECUTE) == 0


@fn
def entry_physical(entry: u64) -> u64:
    """Where the page or table is."""
    return (entry >> 10 & 0xFFF_FFFF_FFFF) << 12


@fn
def translation(root: u64, identifier: u16) -> u64:
    """satp: Sv39, ASID, root (4.1.11)."""
    return root >> 12 | u64(identifier) << 44 | _SV39


@fn
def asid_of(translation: u64) -> u16:
    """The address space identifier in it."""
    return trunc(translation >> 44 & 0xFFFF, u16)


TAGGED = True
"""Whether entries of the TLB name their address space, and so stay when another one is used."""
