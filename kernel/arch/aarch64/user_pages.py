"""User pages of the 4 KiB granule and 39 bits (DDI 0487 D8.3): the form of descriptors. Pure arithmetic.

A page of the last level looks like a table of the level above; a bit that the CPU ignores in both tells them apart.
"""

from kernel.lang import *

LEVELS = 3
USER_END = 1 << 39  # what TTBR0 covers (TCR_EL1.T0SZ is 25)
_TABLE_OR_PAGE = 3
_DEVICE = 1 << 2  # AttrIndx 1 of paging.MAIR; 0 is normal memory
_USER, _READ_ONLY = 1 << 6, 1 << 7  # AP
_INNER_SHAREABLE, _ACCESSED, _NOT_GLOBAL = 3 << 8, 1 << 10, 1 << 11
_PXN, _UXN, _LEAF = 1 << 53, 1 << 54, 1 << 55
_ADDRESS = 0xFFFF_FFFF_F000
MARK = 1 << 56
"""A bit that the CPU ignores (D8.3.2), for who walks the tables."""


@fn
def leaf_entry(physical: u64, read: bool, write: bool, execute: bool, device: bool) -> u64:
    """A user page, never executable for the kernel; what is mapped at all can be read."""
    if not read and not write and not execute:
        return 0
    entry: u64 = physical | (_TABLE_OR_PAGE | _USER | _ACCESSED | _NOT_GLOBAL | _PXN | _LEAF)
    if device:
        entry |= _DEVICE
    else:
        entry |= _INNER_SHAREABLE
    if not write:
        entry |= _READ_ONLY
    if not execute:
        entry |= _UXN
    return entry


@fn
def entry_rights(entry: u64) -> u8:
    """What user code may do with a page: READ, WRITE, EXECUTE; 0 when it is not the user's."""
    if entry & _USER == 0:
        return 0
    rights: u8 = 1
    if entry & _READ_ONLY == 0:
        rights |= 2
    if entry & _UXN == 0:
        rights |= 4
    return rights


@fn
def table_entry(physical: u64) -> u64:
    """A table of the next level."""
    return physical | _TABLE_OR_PAGE


@fn
def is_present(entry: u64) -> bool:
    """Whether anything is mapped."""
    return entry & 1 != 0


@fn
def is_table(entry: u64) -> bool:
    """Whether it is a table."""
    return entry & _LEAF == 0


@fn
def entry_physical(entry: u64) -> u64:
    """Where the page or table is."""
    return entry & _ADDRESS


@fn
def translation(root: u64, identifier: u16) -> u64:
    """TTBR0_EL1: the root and the address space identifier (D17.2.144)."""
    return root | u64(identifier) << 48


@fn
def asid_of(translation: u64) -> u16:
    """The address space identifier in it."""
    return trunc(translation >> 48, u16)


TAGGED = True
"""Whether entries of the TLB name their address space, and so stay when another one is used."""
