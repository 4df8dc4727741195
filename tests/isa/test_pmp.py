"""Physical memory protection (Privileged 3.7): matching, permissions, priority, locking."""

import pytest

from tests.isa.program import MASK, T0, T1, T4, Checks
from tests.lockstep import encoding as e
from tests.lockstep import layout as at
from tests.lockstep.assembler import Label, Piece

PAGE = at.DATA
TOR, NA4, NAPOT, LOCK = 0x08, 0x10, 0x18, 0x80
R, W, X = 1, 2, 4
CAUSES = {"load": 5, "store": 7, "fetch": 1}


def access(checks: Checks, kind: str, mode: int, address: int, size: int = 8) -> list[Piece]:
    """One access; loads and stores with MPRV, fetches of an ECALL in the mode."""
    name = {1: "b", 2: "h", 4: "w", 8: "d"}[size]
    if kind == "fetch":
        return [
            *checks.csr_write(at.MSTATUS, mode << 11), *e.li(10, address), e.csr("csrrw", 0, at.MEPC, 10), e.MRET,
        ]  # fmt: skip
    checks.emit(checks.csr_write(at.MSTATUS, at.STATUS_MPRV | mode << 11))
    instruction = e.load(f"l{name}", T4, 10, 0) if kind == "load" else e.store(f"s{name}", 0, 10, 0)
    return [*e.li(10, address), instruction]


def check(checks: Checks, name: str, kind: str, mode: int, address: int, allowed: bool, size: int = 8) -> None:
    body = access(checks, kind, mode, address, size)
    epc = address if kind == "fetch" else None
    if not allowed:
        checks.expect_trap(f"{name}: {kind} in mode {mode}", body, CAUSES[kind], tval=address, epc=epc)
    elif kind == "fetch":
        checks.expect_trap(f"{name}: fetch in mode {mode}", body, 8 + mode if mode < 3 else 11, epc=epc)
    else:
        checks.emit(body)
    checks.emit(checks.csr_write(at.MSTATUS, 0))


def start() -> Checks:
    checks = Checks()
    checks.emit(e.li(10, PAGE), e.li(11, e.ECALL.value))
    for offset in range(0, 64, 4):
        checks.emit(e.store("sw", 11, 10, offset))
    checks.emit(e.FENCE_I)
    return checks


def program(checks: Checks, *entries: tuple[int, int]) -> None:
    """Sets entries 0, 1, ...: (configuration, address register)."""
    for number, (_, address) in enumerate(entries):
        checks.emit(checks.csr_write(at.PMPADDR0 + number, address))
    config = sum(config << 8 * number for number, (config, _) in enumerate(entries))
    checks.emit(checks.csr_write(at.PMPCFG0, config), e.sfence_vma(0, 0))


@pytest.mark.parametrize("mode", [0, 1])
def test_permissions(mode: int, everywhere) -> None:
    checks = start()
    for flags in (0, R, R | W, X, R | X, R | W | X):
        program(checks, (NAPOT | flags, PAGE >> 2 | 0x1FF))
        for kind, bit in (("load", R), ("store", W), ("fetch", X)):
            if kind == "store" and flags & W:
                continue  # would overwrite what is fetched
            check(checks, f"flags {flags}", kind, mode, PAGE + 16, bool(flags & bit))
    everywhere(checks)


def test_machine_mode_is_bound_by_locked_entries_only(everywhere) -> None:
    checks = start()
    program(checks, (NAPOT, PAGE >> 2 | 0x1FF))
    for kind in ("load", "fetch"):
        check(checks, "unlocked", kind, 3, PAGE + 16, True)
    program(checks, (LOCK | NAPOT, PAGE >> 2 | 0x1FF))
    for kind in CAUSES:
        check(checks, "locked", kind, 3, PAGE + 16, False)
    everywhere(checks)


def test_regions_match_exactly(everywhere) -> None:
    """NA4, NAPOT of all small sizes and TOR: the last byte inside and the first outside, by every size of access."""
    checks = start()
    base = PAGE + 0x400
    regions = [("NA4", ((NA4, base >> 2),), base, base + 4)]
    for bits in (3, 4, 6, 9):
        regions.append((f"NAPOT {1 << bits}", ((NAPOT, base >> 2 | (1 << bits - 3) - 1),), base, base + (1 << bits)))
    regions.append(("TOR", ((0, base >> 2), (TOR, (base + 24) >> 2)), base, base + 24))
    regions.append(("empty TOR", ((0, base >> 2), (TOR, base >> 2)), base, base))
    for name, entries, first, end in regions:
        program(checks, *entries)
        for size in (1, 2, 4, 8):
            for where in (first - size, first, end - size, end):
                if where % size:
                    continue
                touches = where < end and where + size > first
                check(checks, f"{name} {where - base:#x}", "load", 0, where, not touches, size)
    everywhere(checks)


def test_the_first_entry_decides(everywhere) -> None:
    checks = start()
    program(checks, (NAPOT | R, PAGE >> 2 | 0x1), (NAPOT, PAGE >> 2 | 0x1FF))
    check(checks, "inner region", "load", 0, PAGE, True)
    check(checks, "outer region", "load", 0, PAGE + 16, False)
    program(checks, (NAPOT, PAGE >> 2 | 0x1), (NAPOT | R, PAGE >> 2 | 0x1FF))
    check(checks, "inner region", "load", 0, PAGE, False)
    check(checks, "outer region", "load", 0, PAGE + 16, True)
    everywhere(checks)


def test_what_no_entry_matches_is_denied_below_machine_mode(everywhere) -> None:
    checks = start()
    checks.emit(checks.csr_write(at.PMPCFG2, 0))
    program(checks, (NAPOT | R | W | X, at.FIRMWARE >> 2 | (1 << 17) - 1))  # the program's first MiB
    check(checks, "unmatched", "load", 0, PAGE, False)
    check(checks, "unmatched", "load", 1, PAGE, False)
    check(checks, "unmatched", "load", 3, PAGE, True)
    everywhere(checks)


def test_locked_entries_stay(everywhere) -> None:
    checks = start()
    program(checks, (0, PAGE >> 2), (LOCK | TOR | R, (PAGE + 64) >> 2))
    for number in (0, 1):  # a locked TOR entry holds the address below too
        checks.emit(checks.csr_write(at.PMPADDR0 + number, MASK >> 10), e.csr("csrrs", T4, at.PMPADDR0 + number, 0))
        checks.check_equal(f"pmpaddr{number}", T4, (PAGE + 64 * number) >> 2)
    checks.emit(checks.csr_write(at.PMPCFG0, 0), e.csr("csrrs", T4, at.PMPCFG0, 0))
    checks.check_equal("pmpcfg0", T4, (LOCK | TOR | R) << 8)
    everywhere(checks)


def test_registers(everywhere) -> None:
    checks = Checks()
    for number in range(15):
        checks.emit(checks.csr_write(at.PMPADDR0 + number, PAGE >> 2 | number))
    for number in range(15):
        checks.emit(e.csr("csrrs", T4, at.PMPADDR0 + number, 0))
        checks.check_equal(f"pmpaddr{number}", T4, PAGE >> 2 | number)
    checks.emit(checks.csr_write(at.PMPCFG0, 0x1B_19_0F_0D_0B_09_00_1F), e.csr("csrrs", T4, at.PMPCFG0, 0))
    checks.check_equal("pmpcfg0", T4, 0x1B_19_0F_0D_0B_09_00_1F)
    checks.emit(e.csr("csrrs", T4, at.PMPCFG2, 0), Label("unused"), e.li(T0, 0), e.li(T1, 0))
    checks.check_equal("pmpcfg2", T4, 0x1F << 56)
    checks.expect_trap("pmpcfg1 is RV32's", [e.csr("csrrs", T4, 0x3A1, 0)], 2)
    everywhere(checks)


@pytest.mark.parametrize("mode", [0, 1, 3])
def test_entries_split_a_fetched_block(mode: int, everywhere) -> None:
    """The halves of an aligned doubleword have entries of their own: each instruction is fetched by its own right.

    The jump between the halves is for QEMU, which asks PMP once for a run of instructions.
    """
    checks = start()
    lock = LOCK if mode == 3 else 0
    lower, upper = (X, 0), (0, X)
    for number, (first, second) in enumerate([(X, X), lower, upper]):
        where = PAGE + 16 * number
        checks.emit(e.li(10, where), e.li(11, e.jal(0, 4).value), e.store("sw", 11, 10, 0), e.FENCE_I)
        # locked entries stay: each case has its own
        base = 2 * number
        for half, flags in enumerate((first, second)):
            checks.emit(checks.csr_write(at.PMPADDR0 + base + half, (where >> 2) + half))
            config = (lock | NA4 | flags) << 8 * (base + half)
            checks.emit(e.li(T0, config), e.csr("csrrs", 0, at.PMPCFG0, T0), e.sfence_vma(0, 0))
        ecall = 8 + mode if mode < 3 else 11
        name = f"halves {first}, {second}"
        enters = access(checks, "fetch", mode, where)
        if not first:
            checks.expect_trap(f"{name}: lower", enters, 1, tval=where, epc=where)
            enters = access(checks, "fetch", mode, where + 4)
        if second:
            checks.expect_trap(f"{name}: to the end", enters, ecall, epc=where + 4)
        else:
            checks.expect_trap(f"{name}: upper", enters, 1, tval=where + 4, epc=where + 4)
    everywhere(checks)
