"""Sv39, PMP and PMA in plain Python, written from the Privileged specification: the judge of the MMU tests."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from rtl.cpu_riscv64.interfaces import Access, Cause, Privilege, Space

PAGE = 4096
DRAM_BASE = 0x8000_0000
FETCH_REGIONS = ((0x1000, 0x1_0000), (0x2000_0000, 0x2400_0000))

V, R, W, X, U, G, A, D = (1 << bit for bit in range(8))

OFF, TOR, NA4, NAPOT = range(4)
LOCK = 0x80


def pmp_config(matching: int, flags: str = "", *, lock: bool = False) -> int:
    """A pmpcfg byte; `flags` out of "rwx"."""
    return sum(1 << "rwx".index(flag) for flag in flags) | matching << 3 | (LOCK if lock else 0)


def napot(base: int, size: int) -> int:
    """pmpaddr of a naturally aligned region of 8 bytes or more."""
    assert size >= 8 and size & (size - 1) == 0 and base % size == 0
    return (base >> 2) | (size // 8 - 1)


@dataclass
class PmpModel:
    """PMP of Privileged 3.7 with 4-byte granularity."""

    entries: int = 16
    config: list[int] = field(default_factory=lambda: [0] * 16)
    address: list[int] = field(default_factory=lambda: [0] * 16)

    def read(self, csr: int) -> int:
        """Value of a CSR."""
        if csr in (0x3A0, 0x3A2):
            first = (csr - 0x3A0) * 4
            return sum(self.config[first + byte] << 8 * byte for byte in range(8))
        if csr in range(0x3B0, 0x3C0):
            return self.address[csr - 0x3B0]
        return 0

    def write(self, csr: int, value: int) -> None:
        """Write a CSR, with locks and WARL fields."""
        if csr in (0x3A0, 0x3A2):
            first = (csr - 0x3A0) * 4
            for byte in range(8):
                number = first + byte
                if number < self.entries and not self.config[number] & LOCK:
                    self.config[number] = (value >> 8 * byte) & 0x9F
        elif csr in range(0x3B0, 0x3C0):
            number = csr - 0x3B0
            if number >= self.entries or self.config[number] & LOCK:
                return
            if number + 1 < self.entries:
                following = self.config[number + 1]
                if following & LOCK and (following >> 3) & 3 == TOR:
                    return
            self.address[number] = value & ((1 << 54) - 1)

    def region(self, number: int) -> range:
        """Byte addresses that an entry matches."""
        matching = (self.config[number] >> 3) & 3
        address = self.address[number]
        if matching == TOR:
            bottom = self.address[number - 1] if number else 0
            return range(bottom << 2, max(bottom, address) << 2)
        if matching == NA4:
            return range(address << 2, (address + 1) << 2)
        if matching == NAPOT:
            ones = 0
            while ones < 54 and address >> ones & 1:
                ones += 1
            size = 1 << (ones + 3)
            base = ((address >> ones) << ones) << 2
            base &= ~(size - 1)
            return range(base, base + size)
        return range(0)

    def check(self, address: int, length: int, privilege: Privilege) -> tuple[str, bool]:
        """What is allowed, out of "rwx", and whether the deciding entry matches only some of the bytes."""
        if self.entries == 0:
            return "rwx", False
        for number in range(self.entries):
            region = self.region(number)
            matched = max(0, min(region.stop, address + length) - max(region.start, address))
            if matched == 0:
                continue
            if matched < length:
                return "", True
            config = self.config[number]
            if privilege == Privilege.MACHINE and not config & LOCK:
                return "rwx", False
            return "".join(flag for bit, flag in enumerate("rwx") if config >> bit & 1), False
        return ("rwx" if privilege == Privilege.MACHINE else ""), False


@dataclass(frozen=True)
class Context:
    """The translation context."""

    privilege: Privilege = Privilege.SUPERVISOR
    sv39: int = 1
    asid: int = 0
    root: int = 0
    sum: int = 0
    mxr: int = 0

    def as_dict(self) -> dict:
        """For `ctx.set` of a TranslationContext."""
        return {name: getattr(self, name) for name in ("privilege", "sv39", "asid", "root", "sum", "mxr")}

    @property
    def space(self) -> Space:
        """Which addresses are translated."""
        if self.privilege == Privilege.MACHINE:
            return Space.BARE_M
        return Space.TRANSLATED if self.sv39 else Space.BARE_SU


class Fault(Exception):
    """A walk's fault; `reason` names the check, for coverage."""

    def __init__(self, cause: Cause, reason: str):
        super().__init__(f"{cause.name}: {reason}")
        self.cause = cause
        self.reason = reason


PAGE_FAULT = {Access.FETCH: Cause.FETCH_PAGE, Access.LOAD: Cause.LOAD_PAGE, Access.STORE: Cause.STORE_PAGE}
ACCESS_FAULT = {Access.FETCH: Cause.FETCH_ACCESS, Access.LOAD: Cause.LOAD_ACCESS, Access.STORE: Cause.STORE_ACCESS}


@dataclass
class Physical:
    """Memory as page tables see it.

    `changes`: what another master writes to a PTE just before the walker's next compare-and-OR, one each.
    """

    words: dict[int, int] = field(default_factory=dict)
    errors: set[int] = field(default_factory=set)
    changes: list[int | None] = field(default_factory=list)

    def copy(self) -> "Physical":
        """An independent copy."""
        return replace(self, words=dict(self.words), errors=set(self.errors), changes=list(self.changes))

    def read(self, address: int) -> int | None:
        """A doubleword, or None for a bus error."""
        return None if address in self.errors else self.words.get(address, 0)

    def set_bits(self, address: int, expected: int, bits: int) -> int | None:
        """Compare and OR; the doubleword before."""
        if address in self.errors:
            return None
        change = self.changes.pop(0) if self.changes else None
        if change is not None:
            self.words[address] = change
        before = self.words.get(address, 0)
        if before == expected:
            self.words[address] = before | bits
        return before


def walk(
    memory: Physical,
    pmp: PmpModel,
    context: Context,
    va: int,
    access: Access,
    length: int,
    *,
    ram_end: int,
    pa_width: int = 36,
    fetch_regions: Iterable[tuple[int, int]] = FETCH_REGIONS,
) -> dict:
    """Translate: the TLB entry's fields, or raise Fault. Updates A and D in `memory`."""

    def page_fault(reason: str) -> Fault:
        return Fault(PAGE_FAULT[access], reason)

    def access_fault(reason: str) -> Fault:
        return Fault(ACCESS_FAULT[access], reason)

    def in_dram(address: int) -> bool:
        return DRAM_BASE <= address < ram_end

    is_global, superpage = 1, 0
    if context.space != Space.TRANSLATED:
        if va >> pa_width:
            raise access_fault("bare address too wide")
        pte, physical = V | R | W | X | U | A | D, va
    else:
        if va >> 38 not in (0, (1 << 26) - 1):
            raise page_fault("address not canonical")
        is_global = 0
        table, level = context.root << 12, 2
        reread = True
        while True:
            if reread:
                pte_address = table + ((va >> (12 + 9 * level)) & 511) * 8
                if pte_address >> pa_width:
                    raise access_fault("PTE address too wide")
                if "r" not in pmp.check(pte_address, 8, Privilege.SUPERVISOR)[0]:
                    raise access_fault("PMP: PTE not readable")
                value = memory.read(pte_address)
                if value is None:
                    raise access_fault("bus error on a PTE")
                pte = value
            reread = True
            if not pte & V:
                raise page_fault("PTE not valid")
            if pte & W and not pte & R:
                raise page_fault("PTE writable and not readable")
            if pte >> 54:
                raise page_fault("PTE reserved bits")
            if not pte & (R | W | X):
                if pte & (U | A | D):
                    raise page_fault("pointer PTE with U, A or D")
                if level == 0:
                    raise page_fault("pointer PTE at the last level")
                is_global |= pte >> 5 & 1
                table = (pte >> 10) << 12
                level -= 1
                continue
            if context.privilege == Privilege.USER and not pte & U:
                raise page_fault("U-mode on a supervisor page")
            if context.privilege == Privilege.SUPERVISOR and pte & U:
                if access == Access.FETCH:
                    raise page_fault("S-mode fetch from a user page")
                if not context.sum:
                    raise page_fault("S-mode on a user page without SUM")
            if access == Access.FETCH and not pte & X:
                raise page_fault("not executable")
            if access == Access.LOAD and not (pte & R or (context.mxr and pte & X)):
                raise page_fault("not readable")
            if access == Access.STORE and not pte & W:
                raise page_fault("not writable")
            ppn = pte >> 10
            if ppn & ((1 << 9 * level) - 1):
                raise page_fault("misaligned superpage")
            bits = (0 if pte & A else A) | (D if access == Access.STORE and not pte & D else 0)
            if bits:
                if not in_dram(pte_address):
                    raise access_fault("A or D to set outside DRAM")
                if "w" not in pmp.check(pte_address, 8, Privilege.SUPERVISOR)[0]:
                    raise access_fault("PMP: PTE not writable")
                # A always goes with D here: OR of a bit that is set changes nothing.
                before = memory.set_bits(pte_address, pte, bits)
                if before is None:
                    raise access_fault("bus error on setting A or D")
                if before != pte:
                    pte, reread = before, False
                    continue
                pte |= bits
            is_global |= pte >> 5 & 1
            superpage = int(level > 0)
            below = (1 << (12 + 9 * level)) - 1
            physical = ((ppn << 12) & ~below) | (va & below)
            break

    if physical >> pa_width:
        raise access_fault("physical address too wide")
    page = physical & ~(PAGE - 1)
    allowed, mixed = pmp.check(page, PAGE, context.privilege)
    if mixed:
        allowed, _ = pmp.check(physical, length, context.privilege)
    may_fetch = in_dram(page) or any(start <= page < end for start, end in fetch_regions)
    if access == Access.FETCH and not may_fetch:
        raise access_fault("fetch from a region without code")
    if {Access.FETCH: "x", Access.LOAD: "r", Access.STORE: "w"}[access] not in allowed:
        raise access_fault("PMP splits the page: access denied" if mixed else "PMP: access denied")
    return {
        "valid": 1,
        "space": context.space,
        "vpn": (va >> 12) & ((1 << 27) - 1),
        "asid": context.asid,
        "is_global": is_global,
        "superpage": superpage,
        "ppn": physical >> 12,
        "user": int(bool(pte & U)),
        "read": int(bool(pte & R) and "r" in allowed),
        "write": int(bool(pte & W and pte & D) and "w" in allowed),
        "execute": int(bool(pte & X) and "x" in allowed and may_fetch),
        "execute_readable": int(bool(pte & X) and "r" in allowed),
        "cacheable": int(in_dram(page)),
        "mixed": int(mixed),
    }
