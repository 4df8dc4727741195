"""Random Sv39 address spaces: code that always runs, and data windows with every kind of entry."""

import random
from dataclasses import dataclass, field

from tests.lockstep import layout as at

V, R, W, X, U, G, A, D = (1 << bit for bit in range(8))
USER_CODE, SUPERVISOR_CODE = 0, 1


def extend(va: int) -> int:
    """Sign-extends a 39-bit virtual address to 64 bits."""
    return (va | ~((1 << 39) - 1)) & ((1 << 64) - 1) if va >> 38 & 1 else va


def leaf(physical: int, flags: int) -> int:
    return physical >> 12 << 10 | flags


@dataclass
class Page:
    """A virtual page of data, and who may usefully touch it. `slot` is the physical address of its entry."""

    va: int
    slot: int
    user: bool
    good: bool


@dataclass
class Space:
    """One address space.

    code[USER_CODE], code[SUPERVISOR_CODE] : offset to add to a physical address of the program to get its virtual one
    pages : windows onto the data pages, any alignment may be used there
    strict : windows that may lead to addresses where nothing answers; aligned accesses only
    no_fetch : addresses whose fetch faults, whatever is changed later
    """

    asid: int
    root: int
    tables: dict[int, list[int]] = field(default_factory=dict)
    code: list[int] = field(default_factory=lambda: [0, 0])
    pages: list[Page] = field(default_factory=list)
    strict: list[Page] = field(default_factory=list)
    no_fetch: list[int] = field(default_factory=list)

    @property
    def satp(self) -> int:
        return 8 << 60 | self.asid << 44 | self.root >> 12


class Allocator:
    """Hands out pages for page tables."""

    def __init__(self) -> None:
        self.next = at.TABLES

    def page(self) -> int:
        page, self.next = self.next, self.next + 4096
        if self.next > at.TABLES_END:
            raise ValueError("no room for another page table")
        return page


def random_data_flags(rng: random.Random) -> tuple[int, bool]:
    """Flags of an entry of a data page, and whether it is a good one."""
    flags = V | rng.choice((0, U)) | rng.choice((0, A, A | D, A | D)) | rng.choice((0, 0, 0x100, 0x200))
    kind = rng.random()
    if kind < 0.75:
        return flags | R | W, True
    if kind < 0.85:
        return flags | R | rng.choice((0, X)), True
    if kind < 0.88:
        return flags | X, False
    if kind < 0.91:
        return flags | W | rng.choice((0, X)), False  # reserved
    if kind < 0.94:
        return flags & ~V | R | W, False
    if kind < 0.96:
        return flags & ~(R | W | X), False  # a pointer where there must be none
    if kind < 0.98:
        return flags | R | W | 1 << rng.randrange(54, 64), False  # reserved bits
    return 0, False


def random_data_entry(rng: random.Random) -> tuple[int, bool, bool]:
    """An entry for one of the data pages: (entry, belongs to user mode, good)."""
    flags, good = random_data_flags(rng)
    return leaf(at.DATA + 4096 * rng.randrange(at.DATA_PAGES), flags), bool(flags & U), good


def build(rng: random.Random, allocator: Allocator, asid: int, supervisor_index: int, global_code: bool) -> Space:
    """Builds a space. `supervisor_index` (256..511) is where code is mapped for supervisor mode, in all spaces."""
    space = Space(asid, allocator.page())
    root = space.tables[space.root] = [0] * 512

    def table(parent: list[int], index: int) -> tuple[int, list[int]]:
        page = allocator.page()
        parent[index] = leaf(page, V)
        space.tables[page] = [0] * 512
        return page, space.tables[page]

    free = [i for i in range(64, 250)] + [i for i in range(258, 511) if i != supervisor_index]
    rng.shuffle(free)

    # --- code, in both colours, as one page of 1 GiB, of 2 MiB, or many of 4 KiB
    for which, index, extra in (
        (SUPERVISOR_CODE, supervisor_index, G if global_code else 0),
        (USER_CODE, free.pop(), U),
    ):
        flags = V | R | X | extra | rng.choice((0, A))
        size = rng.choice((1, 2, 2, 3, 3))
        offset = extend(index << 30) - at.FIRMWARE
        if size == 3:
            root[index] = leaf(at.FIRMWARE, flags | W | rng.choice((0, D)))
        else:
            slot = 0 if which == SUPERVISOR_CODE else rng.randrange(512)
            offset += slot << 21
            _, middle = table(root, index)
            if size == 2:
                middle[slot] = leaf(at.FIRMWARE, flags | W | rng.choice((0, D)))
            else:
                _, low = table(middle, slot)
                for page in range(512):
                    pa = at.FIRMWARE + 4096 * page
                    # Each page has its own A and D; all are writable, as self-modifying code wants it.
                    low[page] = leaf(pa, flags & ~A | W | rng.choice((0, A, A | D)))
        space.code[which] = offset

    # --- a window of single pages, and one of which some lead nowhere
    for windows, strict in ((space.pages, False), (space.strict, True)):
        index, slot = free.pop(), rng.randrange(512)
        _, middle = table(root, index)
        page, low = table(middle, slot)
        first = rng.randrange(1, 460)
        for i in range(first, first + 48):
            entry, user, good = random_data_entry(rng)
            if strict and rng.random() < 0.5:
                entry = leaf(rng.choice(at.HOLES[:4]), V | R | W | A | D | (U if user else 0))
            low[i] = entry
            windows.append(Page(extend(index << 30 | slot << 21 | i << 12), page + 8 * i, user, good))
        space.no_fetch += [extend(index << 30 | slot << 21), extend(index << 30 | slot << 21 | 511 << 12)]

    # --- superpages: good, misaligned, and table pointers that are wrong in every way
    for user in (False, True):
        index = free.pop()
        page, middle = table(root, index)
        flags = V | R | W | (U if user else 0) | rng.choice((0, A, A | D))
        for slot, entry, good in (
            (3, leaf(at.DATA, flags), True),
            (5, leaf(at.DATA + 4096, flags), False),  # misaligned superpage
            (6, leaf(at.TABLES, V | rng.choice((A, D, U))), False),  # bits that a pointer must not have
            (7, leaf(at.TABLES, V) | 1 << rng.randrange(54, 64), False),
        ):
            middle[slot] = entry
            va = extend(index << 30 | slot << 21)
            for _ in range(6 if good else 1):
                windows = va + 4096 * rng.randrange(at.DATA_PAGES)
                space.pages.append(Page(windows, page + 8 * slot, user, good))
            space.no_fetch.append(va)
        # A table where nothing answers is left to tests/isa: QEMU 7.2 makes a page fault of it.
        giga = free.pop()
        root[giga] = leaf(at.FIRMWARE, flags)
        space.no_fetch.append(extend(giga << 30))
        for _ in range(6):
            va = extend(giga << 30 | (at.DATA - at.FIRMWARE) + 4096 * rng.randrange(at.DATA_PAGES))
            space.pages.append(Page(va, 0, user, True))
        crooked = free.pop()
        root[crooked] = leaf(at.DATA, flags)  # misaligned 1 GiB page
        space.pages.append(Page(extend(crooked << 30), 0, user, False))
    missing = extend(free.pop() << 30)
    space.pages.append(Page(missing, 0, False, False))
    odd = rng.getrandbits(24) << 40 | rng.getrandbits(39)
    for va in (missing, (odd | 1 << 63) & ~(1 << 62)):
        space.no_fetch.append(va & ~0xFFF)
    space.strict.append(Page((odd | 1 << 62) & ~(1 << 63) & ~0xFFF, 0, False, False))  # not canonical
    return space
