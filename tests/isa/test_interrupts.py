"""Interrupts: sources, enables, delegation, priority, vectors, WFI (Privileged 3.1.6.1, 3.1.9, 3.3.3)."""

import pytest

from tests.isa.program import CAUSE, EPC, RESUME, T0, T1, T4, Checks
from tests.lockstep import encoding as e
from tests.lockstep import layout as at
from tests.lockstep.assembler import Label, Piece, address, jump

MASK = (1 << 64) - 1


def raise_source(cause: int) -> list[Piece]:
    """Makes an interrupt pending."""
    if cause == at.MSI:
        return [*e.li(T0, at.CLINT_MSIP), e.immediate("addi", T1, 0, 1), e.store("sw", T1, T0, 0)]
    if cause == at.MTI:
        return [*e.li(T0, at.CLINT_MTIMECMP), e.store("sd", 0, T0, 0)]
    if cause == at.STI:
        return [e.csr("csrrwi", 0, at.STIMECMP, 0)]
    return [*e.li(T0, 1 << cause), e.csr("csrrs", 0, at.MIP, T0)]  # SSIP, SEIP


def quiet() -> list[Piece]:
    """Nothing pending."""
    return [
        *e.li(T0, at.CLINT_MSIP), e.store("sw", 0, T0, 0), *e.li(T0, at.CLINT_MTIMECMP), e.immediate("addi", T1, 0, -1),
        e.store("sd", T1, T0, 0), e.csr("csrrw", 0, at.STIMECMP, T1), *e.li(T0, 0x202), e.csr("csrrc", 0, at.MIP, T0),
    ]  # fmt: skip


SOURCES = {"SSI": 1, "MSI": 3, "STI": 5, "MTI": 7, "SEI": 9}


def wait_here(checks: Checks, cause: int) -> None:
    """The interrupt must arrive within a few instructions; a trap leads past this."""
    after = checks.label("after")
    checks.emit(address(RESUME, after), e.immediate("addi", CAUSE, 0, 0))
    checks.emit(e.csr("csrrsi", 0, at.MSTATUS, at.STATUS_MIE), [e.NOP] * 40)
    checks.emit(e.csr("csrrci", 0, at.MSTATUS, at.STATUS_MIE), Label(after), address(RESUME, "unexpected"))
    checks.check_equal(f"mcause of {cause}", CAUSE, 1 << 63 | cause)


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_interrupts_machine_mode_when_enabled(source: str, everywhere) -> None:
    checks = Checks()
    cause = SOURCES[source]
    checks.emit(quiet(), checks.csr_write(at.MIE, MASK & ~(1 << cause) & 0xAAA), raise_source(cause))
    checks.emit(e.csr("csrrsi", 0, at.MSTATUS, at.STATUS_MIE), [e.NOP] * 40)  # others enabled: nothing comes
    checks.emit(e.csr("csrrci", 0, at.MSTATUS, at.STATUS_MIE), checks.csr_write(at.MIE, 1 << cause))
    checks.emit([e.NOP] * 40)  # not enabled globally
    wait_here(checks, cause)
    everywhere(checks)


@pytest.mark.parametrize("enable", ["mstatus", "mie"])
@pytest.mark.parametrize("offset", [0, 4])
def test_an_interrupt_comes_in_between_an_enable_and_the_disable_right_behind_it(enable: str, offset, everywhere):
    """The conditions are looked at after the write (Privileged 3.1.9), wherever the two lie in a fetched block."""
    checks = Checks()
    cause, before, window, after = 3, *(checks.label(name) for name in ("before", "window", "after"))
    bit = at.STATUS_MIE if enable == "mstatus" else 1 << cause
    register, other, on = (
        (at.MSTATUS, at.MIE, 1 << cause) if enable == "mstatus" else (at.MIE, at.MSTATUS, at.STATUS_MIE)
    )
    checks.emit(quiet(), raise_source(cause), e.csr("csrrci", 0, register, bit), e.csr("csrrwi", 0, other, on))
    checks.emit(address(RESUME, after), jump(0, before))
    while checks.asm.pc % 64:
        checks.emit(e.C_NOP)
    checks.emit(Label(before), [e.NOP] * (4 + offset // 4), e.csr("csrrsi", 0, register, bit), Label(window))
    checks.emit(e.csr("csrrci", 0, register, bit), [e.NOP] * 20, address(RESUME, "unexpected"), Label(after))
    checks.check_equal("mcause", CAUSE, 1 << 63 | cause)
    checks.emit(address(T4, window), e.register("sub", T4, EPC, T4))
    checks.check_equal("mepc is the disable", T4, 0)
    everywhere(checks)


@pytest.mark.parametrize("mode", [0, 1])
@pytest.mark.parametrize("source", ["MSI", "MTI"])
def test_machine_interrupts_reach_lower_modes_whatever_mie_says(source: str, mode: int, everywhere) -> None:
    checks = Checks()
    cause, there, after = SOURCES[source], checks.label("there"), checks.label("after")
    checks.emit(quiet(), checks.csr_write(at.MIE, 1 << cause), raise_source(cause), [e.NOP] * 40)
    checks.emit(address(RESUME, after), checks.enter(mode, there), Label(there), [e.NOP] * 20, e.ECALL, Label(after))
    checks.check_equal("mcause", CAUSE, 1 << 63 | cause)
    checks.emit(address(T4, there), e.register("sub", T4, EPC, T4))
    checks.check_equal("mepc is the first instruction", T4, 0)
    everywhere(checks)


@pytest.mark.parametrize("source", ["SSI", "STI", "SEI"])
def test_delegated_interrupts(source: str, everywhere) -> None:
    """Never in machine mode; in supervisor mode by SIE; in user mode always."""
    checks = Checks()
    cause, handler = SOURCES[source], checks.label("handler")
    over = checks.label("over")
    checks.emit(jump(0, over), [e.C_NOP] * (checks.asm.pc % 4 // 2))
    while checks.asm.pc % 4:
        checks.emit(e.C_NOP)
    checks.emit(Label(handler), e.csr("csrrs", 20, at.SCAUSE, 0), e.csr("csrrs", 21, at.SEPC, 0), e.ECALL, Label(over))
    checks.emit(quiet(), checks.csr_write(at.MIDELEG, 1 << cause), checks.csr_write(at.MIE, 1 << cause))
    checks.emit(address(T0, handler), e.csr("csrrw", 0, at.STVEC, T0), raise_source(cause))
    checks.emit(
        e.csr("csrrsi", 0, at.MSTATUS, at.STATUS_MIE), [e.NOP] * 20, e.csr("csrrci", 0, at.MSTATUS, at.STATUS_MIE)
    )
    for mode, enabled, taken in ((1, False, False), (1, True, True), (0, False, True), (0, True, True)):
        there, after = checks.label("there"), checks.label("after")
        checks.emit(
            e.csr("csrrsi" if enabled else "csrrci", 0, at.MSTATUS, at.STATUS_SIE), e.immediate("addi", 20, 0, 0)
        )
        checks.emit(
            address(RESUME, after), checks.enter(mode, there), Label(there), [e.NOP] * 20, e.ECALL, Label(after)
        )
        checks.check_equal(f"mode {mode}, SIE {enabled}: scause", 20, 1 << 63 | cause if taken else 0)
        checks.check_equal(f"mode {mode}, SIE {enabled}: mcause", CAUSE, 9 if taken or mode == 1 else 8)
        if taken:
            checks.emit(address(T4, there), e.register("sub", T4, 21, T4))
            checks.check_equal("sepc is the first instruction", T4, 0)
    everywhere(checks)


def test_priority(everywhere) -> None:
    """MEI, MSI, MTI, SEI, SSI, STI: of all that are pending the first of these is taken (3.1.9)."""
    checks = Checks()
    order = (at.MSI, at.MTI, 9, at.SSI, at.STI)
    for first in range(len(order)):
        checks.emit(quiet(), checks.csr_write(at.MIE, 0))
        for cause in order[first:]:
            checks.emit(raise_source(cause))
        checks.emit([e.NOP] * 40, checks.csr_write(at.MIE, sum(1 << cause for cause in order[first:])))
        wait_here(checks, order[first])
        checks.emit(checks.csr_write(at.MIE, 0))
    everywhere(checks, qemu=False)  # QEMU 7.2 takes the lowest number


def test_vectored_interrupts_go_to_their_slot(everywhere) -> None:
    checks = Checks()
    table, over = checks.label("table"), checks.label("over")
    checks.emit(jump(0, over))
    while checks.asm.pc % 64:
        checks.emit(e.C_NOP)
    checks.emit(Label(table))
    for slot in range(12):
        checks.emit(e.c_immediate("c.li", 20, slot), e.c_jr(RESUME))
    checks.emit(Label(over), address(T0, table), e.immediate("ori", T0, T0, 1), e.csr("csrrw", 0, at.MTVEC, T0))
    for cause in (1, 3, 5, 7, 9):
        after = checks.label("after")
        checks.emit(quiet(), checks.csr_write(at.MIE, 1 << cause), e.immediate("addi", 20, 0, 0), raise_source(cause))
        checks.emit(address(RESUME, after), e.csr("csrrsi", 0, at.MSTATUS, at.STATUS_MIE), [e.NOP] * 40, Label(after))
        checks.check_equal(f"slot of {cause}", 20, cause)
        checks.emit(e.csr("csrrci", 0, at.MSTATUS, at.STATUS_MIE))
    checks.emit(address(T0, "trap"), e.csr("csrrw", 0, at.MTVEC, T0), address(RESUME, "unexpected"))
    everywhere(checks)


@pytest.mark.parametrize("source", SOURCES)
def test_wfi_ends_with_a_pending_interrupt_though_disabled_globally(source: str, everywhere) -> None:
    checks = Checks()
    cause = SOURCES[source]
    checks.emit(
        quiet(), checks.csr_write(at.MIE, 1 << cause), raise_source(cause), e.WFI, e.immediate("addi", T4, 0, 1)
    )
    checks.check_equal("went on", T4, 1)
    everywhere(checks)


def test_wfi_waits_for_the_timer(everywhere) -> None:
    """The interrupt taken after WFI returns behind it."""
    checks = Checks()
    after, behind = checks.label("after"), checks.label("behind")
    checks.emit(quiet(), checks.csr_write(at.MIE, 1 << at.MTI), e.li(T0, at.CLINT_MTIME), e.load("ld", T1, T0, 0))
    checks.emit(e.immediate("addi", T1, T1, 2000), e.li(T0, at.CLINT_MTIMECMP), e.store("sd", T1, T0, 0))
    checks.emit(
        address(RESUME, after), e.csr("csrrsi", 0, at.MSTATUS, at.STATUS_MIE), e.WFI, Label(behind), [e.NOP] * 40
    )
    checks.emit(Label(after))
    checks.check_equal("mcause", CAUSE, 1 << 63 | at.MTI)
    checks.emit(address(T4, behind), e.register("sub", T4, EPC, T4))
    checks.check_equal("mepc", T4, 0)
    checks.emit(address(RESUME, "unexpected"))
    everywhere(checks)
