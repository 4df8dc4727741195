"""Every page fault, permission and update of Sv39 (Privileged 4.4), by loads, stores and fetches.

The tests run in machine mode with MPRV, so that only the access under test is translated; fetches enter the mode.
"""

import pytest

from tests.isa.program import T0, T1, T3, T4, Checks
from tests.lockstep import encoding as e
from tests.lockstep import layout as at
from tests.lockstep.assembler import Label

V, R, W, X, U, G, A, D = (1 << bit for bit in range(8))
ROOT, MIDDLE, LOW = at.TABLES, at.TABLES + 4096, at.TABLES + 8192
CODE_MIDDLE = at.TABLES + 3 * 4096
PAGE = at.DATA  # the page behind all mappings; its first words are RET, RET
VA = 0x15_4020_3000  # root entry 0x55, middle entry 1, low entry 3
ROOT_SLOT, MIDDLE_SLOT, LOW_SLOT = ROOT + 8 * 0x55, MIDDLE + 8 * 1, LOW + 8 * 3
VALUE = 0x1122_3344_5566_7788
PTE, RETURN = 20, 21
FAULTS = {"load": 13, "store": 15, "fetch": 12}
ACCESS_FAULTS = {"load": 5, "store": 7, "fetch": 1}
MODES = {"user": 0, "supervisor": 1}


def leaf(flags: int, pa: int = PAGE) -> int:
    return pa >> 12 << 10 | flags


class Paging(Checks):
    """Checks with one mapping, VA -> PAGE, that each check sets as it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.emit(e.li(10, PAGE), e.li(11, VALUE), e.store("sd", 11, 10, 64))
        self.emit(e.li(11, e.ECALL.value), e.store("sw", 11, 10, 0), e.FENCE_I)
        self.write(ROOT_SLOT, leaf(V, MIDDLE))
        self.write(MIDDLE_SLOT, leaf(V, LOW))
        # the program itself, for whoever fetches: 1 GiB at its own address
        self.write(ROOT + 8 * 2, leaf(V | R | W | X | A | D, at.FIRMWARE))
        self.emit(self.csr_write(at.SATP, 8 << 60 | ROOT >> 12), e.sfence_vma(0, 0))

    def write(self, slot: int, entry: int) -> None:
        self.emit(e.li(T0, slot), e.li(T1, entry), e.store("sd", T1, T0, 0))

    def map(self, entry: int, slot: int = LOW_SLOT) -> None:
        self.write(slot, entry)
        self.emit(e.sfence_vma(0, 0))

    def status(self, mode: int, *, sum_: bool = False, mxr: bool = False) -> None:
        bits = at.STATUS_MPRV | mode << 11 | (at.STATUS_SUM if sum_ else 0) | (at.STATUS_MXR if mxr else 0)
        self.emit(self.csr_write(at.MSTATUS, bits))

    def access(self, kind: str, mode: int, va: int, **flags: bool) -> list:
        """The pieces of one access; a fetch that works meets ECALL there."""
        self.status(mode, **flags)
        if kind == "load":
            return [*e.li(10, va), e.li(T4, 0)[0], e.load("ld", T4, 10, 64)]
        if kind == "store":
            return [*e.li(10, va), *e.li(11, VALUE), e.store("sd", 11, 10, 64)]
        # MPP says where MRET goes; MPRV is cleared first
        return [
            *e.li(T0, at.STATUS_MPRV),
            e.csr("csrrc", 0, at.MSTATUS, T0),
            *e.li(10, va),
            e.csr("csrrw", 0, at.MEPC, 10),
            e.MRET,
        ]

    def faults(
        self, name: str, kind: str, mode: int, *, va: int = VA, access_fault: bool = False, **flags: bool
    ) -> None:
        cause = (ACCESS_FAULTS if access_fault else FAULTS)[kind]
        tval = va if kind == "fetch" else va + 64
        body = self.access(kind, mode, va, **flags)
        self.expect_trap(f"{name}: {kind}", body, cause, tval=tval & (1 << 64) - 1, epc=va if kind == "fetch" else None)

    def works(self, name: str, kind: str, mode: int, *, va: int = VA, **flags: bool) -> None:
        body = self.access(kind, mode, va, **flags)
        if kind == "fetch":
            self.expect_trap(f"{name}: {kind}", body, 8 + mode, epc=va)
            return
        self.emit(body)
        if kind == "load":
            self.check_equal(f"{name}: {kind}", T4, VALUE)

    def check_entry(self, name: str, entry: int, slot: int = LOW_SLOT) -> None:
        self.emit(self.csr_write(at.MSTATUS, 0), e.li(T0, slot), e.load("ld", T4, T0, 0))
        self.check_equal(name, T4, entry)


ENTRIES = {
    "invalid": 0,
    "invalid with permissions": R | W | X | A | D,
    "write without read": V | W | A | D,
    "write and execute without read": V | W | X | A | D,
    "reserved bit 54": V | R | W | X | A | D | 1 << 54,
    "reserved bit 60": V | R | W | X | A | D | 1 << 60,
    "PBMT": V | R | W | X | A | D | 1 << 61,
    "N": V | R | W | X | A | D | 1 << 63,
    "pointer at the last level": V,
}


@pytest.mark.parametrize("mode", MODES)
def test_bad_entries_fault(mode: str, everywhere) -> None:
    checks = Paging()
    for name, flags in ENTRIES.items():
        user = U if mode == "user" and flags & (R | W | X) else 0
        checks.map(leaf(flags | user))
        for kind in FAULTS:
            checks.faults(name, kind, MODES[mode])
    everywhere(checks)


@pytest.mark.parametrize("level", [1, 2])
def test_bad_entries_above_fault(level: int, everywhere) -> None:
    checks = Paging()
    slot, table = (MIDDLE_SLOT, LOW) if level == 1 else (ROOT_SLOT, MIDDLE)
    full = V | R | W | X | A | D
    bad = {
        "invalid": leaf(0, table),
        "misaligned superpage": leaf(full, PAGE + 4096),
        "pointer with A": leaf(V | A, table),
        "pointer with D": leaf(V | D, table),
        "pointer with U": leaf(V | U, table),
        "pointer with a reserved bit": leaf(V, table) | 1 << 55,
        "write without read": leaf(V | W | A | D, at.FIRMWARE),
    }
    checks.map(leaf(full))
    for name, entry in bad.items():
        checks.map(entry, slot)
        for kind in FAULTS:
            checks.faults(name, kind, 1)
    everywhere(checks)


def test_addresses_that_are_no_sign_extension_fault(everywhere) -> None:
    checks = Paging()
    checks.write(LOW_SLOT, leaf(V | R | W | X | A | D))
    checks.emit(e.sfence_vma(0, 0))
    for va in (VA | 1 << 39, VA | 1 << 63, VA | 0xFFFF_FF80_0000_0000, VA & ~(1 << 38) | 1 << 62):
        for kind in FAULTS:
            checks.faults(f"{va:#x}", kind, 1, va=va)
    checks.works("the canonical one", "load", 1)
    everywhere(checks)


def test_permissions(everywhere) -> None:
    """R, W, X by MXR and SUM: who may do what (4.3.1)."""
    checks = Paging()
    for mode in MODES.values():
        for user in (0, U):
            for flags in (R, R | W, X, R | X, R | W | X):
                checks.map(leaf(V | A | D | flags | user))
                for sum_ in (False, True):
                    for mxr in (False, True):
                        mine = bool(user) == (mode == 0)
                        data = mine or (mode == 1 and sum_)
                        allowed = {
                            "load": data and bool(flags & R or (flags & X and mxr)),
                            "store": data and bool(flags & W),
                            "fetch": mine and bool(flags & X),
                        }
                        for kind, good in allowed.items():
                            name = f"mode {mode} flags {flags | user:#x} SUM {sum_} MXR {mxr}"
                            (checks.works if good else checks.faults)(name, kind, mode, sum_=sum_, mxr=mxr)
    everywhere(checks)


def test_accessed_and_dirty_are_set(everywhere) -> None:
    """By hardware, exactly as the access needs, and never by one that faults."""
    checks = Paging()
    full = V | R | W | X
    for kind, after in (("load", A), ("fetch", A), ("store", A | D)):
        for before in (0, A, A | D):
            checks.map(leaf(full | before))
            checks.works(f"{kind} over {before:#x}", kind, 1)
            checks.check_entry(f"{kind} over {before:#x}: entry", leaf(full | before | after))
    checks.map(leaf(V | R))
    checks.faults("read-only", "store", 1)
    checks.check_entry("a store that faults sets nothing", leaf(V | R))
    checks.map(leaf(V | R | W | A))
    checks.works("load first", "load", 1)  # now the TLB has the page
    checks.works("then a store", "store", 1)
    checks.check_entry("D after a load and a store", leaf(V | R | W | A | D))
    everywhere(checks)


@pytest.mark.parametrize("level", [1, 2])
def test_superpages(level: int, everywhere) -> None:
    checks = Paging()
    slot, size = (MIDDLE_SLOT, 1 << 21) if level == 1 else (ROOT_SLOT, 1 << 30)
    base = PAGE & -size
    va = VA & -size
    for user, mode in ((U, 0), (0, 1)):
        checks.map(leaf(V | R | W | X | user, base), slot)
        inside = va + (PAGE - base)
        for kind in ("load", "fetch", "store"):
            checks.works("superpage", kind, mode, va=inside)
        checks.check_entry("its A and D", leaf(V | R | W | X | A | D | user, base), slot)
    everywhere(checks)


def test_walks_that_nothing_answers_are_access_faults(everywhere) -> None:
    checks = Paging()
    hole = at.HOLES[0]
    for name, slot in (("middle table", ROOT_SLOT), ("low table", MIDDLE_SLOT)):
        checks.map(leaf(V, hole), slot)
        for kind in FAULTS:
            checks.faults(name, kind, 1, access_fault=True)
        checks.map(leaf(V, MIDDLE if slot == ROOT_SLOT else LOW), slot)
    checks.map(leaf(V | R | W | X | A | D, hole))
    for kind in FAULTS:
        checks.faults("the page itself", kind, 1, access_fault=True)
    everywhere(checks, qemu=False)  # QEMU 7.2 makes page faults of the first two


def test_walks_that_pmp_denies_are_access_faults(everywhere) -> None:
    checks = Paging()
    checks.map(leaf(V | R | W | X | A | D))
    checks.emit(checks.csr_write(at.PMPADDR0, LOW >> 2 | 0x1FF), checks.csr_write(at.PMPCFG0, 0x18), e.sfence_vma(0, 0))
    for kind in FAULTS:
        checks.faults("table", kind, 1, access_fault=True)
    checks.emit(checks.csr_write(at.PMPCFG0, 0), e.sfence_vma(0, 0))
    for kind in FAULTS:
        checks.works("after", kind, 1)
    everywhere(checks)


def test_crossing_into_a_bad_page_names_the_second(everywhere) -> None:
    checks = Paging()
    checks.write(LOW_SLOT + 8, 0)
    checks.map(leaf(V | R | W | X | A | D))
    checks.status(1)
    end = VA + 4096
    for off in (1, 2, 4, 7):
        checks.expect_trap(f"load -{off}", [*e.li(10, end - off), e.load("ld", T4, 10, 0)], 13, tval=end)
        checks.status(1)
        checks.expect_trap(f"store -{off}", [*e.li(10, end - off), e.store("sd", T4, 10, 0)], 15, tval=end)
        checks.status(1)
    # an instruction of four bytes whose second half is there
    checks.emit(
        checks.csr_write(at.MSTATUS, 0), e.li(10, PAGE + 4094), e.li(11, 0x0513), e.store("sh", 11, 10, 0), e.FENCE_I
    )
    body = [
        *e.li(T0, 1 << 11),
        e.csr("csrrs", 0, at.MSTATUS, T0),
        *e.li(10, end - 2),
        e.csr("csrrw", 0, at.MEPC, 10),
        e.MRET,
    ]
    checks.expect_trap("fetch", body, 12, tval=end, epc=end - 2)
    everywhere(checks)


def test_sfence_by_address_and_asid(everywhere) -> None:
    """After a change, each form of SFENCE.VMA that covers the page makes the new entry seen."""
    checks = Paging()
    other = PAGE + 4096
    checks.emit(e.li(10, other), e.li(11, 0x99), e.store("sd", 11, 10, 64))
    asid = 5
    checks.emit(checks.csr_write(at.SATP, 8 << 60 | asid << 44 | ROOT >> 12))
    for name, fence in {
        "all": e.sfence_vma(0, 0),
        "address": e.sfence_vma(12, 0),
        "asid": e.sfence_vma(0, 13),
        "address and asid": e.sfence_vma(12, 13),
    }.items():
        for target, expected in ((PAGE, VALUE), (other, 0x99)):
            checks.emit(checks.csr_write(at.MSTATUS, 0))
            checks.write(LOW_SLOT, leaf(V | R | W | A | D, target))
            checks.emit(e.li(12, VA + 64), e.li(13, asid), fence)
            checks.status(1)
            checks.emit(e.li(10, VA), e.load("ld", T4, 10, 64))
            checks.check_equal(f"{name} -> {target:#x}", T4, expected)
    everywhere(checks)


def test_address_spaces_are_kept_apart(everywhere) -> None:
    """Two ASIDs with different pages behind one address, and no fence between."""
    checks = Paging()
    root2, middle2, low2 = (at.TABLES + i * 4096 for i in (8, 9, 10))
    other = PAGE + 4096
    checks.emit(e.li(10, other), e.li(11, 0x99), e.store("sd", 11, 10, 64))
    for slot, entry in (
        (root2 + 8 * 0x55, leaf(V, middle2)), (middle2 + 8, leaf(V, low2)),
        (low2 + 8 * 3, leaf(V | R | W | A | D, other)),
        (LOW_SLOT, leaf(V | R | W | A | D)),
    ):  # fmt: skip
        checks.write(slot, entry)
    checks.emit(e.sfence_vma(0, 0))
    for _ in range(3):
        for asid, root, expected in ((1, ROOT, VALUE), (2, root2, 0x99)):
            checks.emit(checks.csr_write(at.SATP, 8 << 60 | asid << 44 | root >> 12))
            checks.status(1)
            checks.emit(e.li(10, VA), e.load("ld", T4, 10, 64))
            checks.check_equal(f"asid {asid}", T4, expected)
    everywhere(checks)


def test_satp_ignores_modes_that_are_not_there(everywhere) -> None:
    checks = Checks()
    checks.emit(checks.csr_write(at.SATP, 8 << 60 | 0x123))
    for mode in (1, 7, 9, 10, 15):
        checks.emit(checks.csr_write(at.SATP, mode << 60 | 0x456), e.csr("csrrs", T4, at.SATP, 0))
        checks.check_equal(f"mode {mode}", T4, 8 << 60 | 0x123)
    checks.emit(Label("unused"), e.immediate("addi", T3, 0, 0))
    everywhere(checks, qemu=False)  # QEMU 7.2 has Sv48 and Sv57
