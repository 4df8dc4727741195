"""Every CSR: what it holds after reset or a write, which bits are writable, and who may look.

The writable bits below are the specification's for this core's extensions; the core's own table is not asked.
"""

import pytest

from tests.isa.program import MASK, T0, T1, T4, Checks
from tests.isa.test_exceptions import in_mode
from tests.lockstep import encoding as e
from tests.lockstep import layout as at

PATTERNS = (0, MASK, 0x5555_5555_5555_5555, 0xAAAA_AAAA_AAAA_AAAA)

# number: (name, writable bits, bits that read as 1 whatever is written, QEMU 7.2 agrees)
PLAIN: dict[int, tuple[str, int, int, bool]] = {
    at.MSCRATCH: ("mscratch", MASK, 0, True),
    at.SSCRATCH: ("sscratch", MASK, 0, True),
    at.MTVAL: ("mtval", MASK, 0, True),
    at.STVAL: ("stval", MASK, 0, True),
    at.MEPC: ("mepc", MASK & ~1, 0, False),  # QEMU 7.2 keeps bit 0
    at.SEPC: ("sepc", MASK & ~1, 0, False),
    at.MIDELEG: ("mideleg", 0x222, 0, False),  # QEMU's has the hypervisor's bits
    at.MIE: ("mie", 0xAAA, 0, False),
    at.STIMECMP: ("stimecmp", MASK, 0, True),
}

READ_ONLY = {0xF11: "mvendorid", 0xF12: "marchid", 0xF13: "mimpid", 0xF14: "mhartid", 0xF15: "mconfigptr"}


@pytest.mark.parametrize("number", PLAIN, ids=[row[0] for row in PLAIN.values()])
def test_written_bits_are_read_back(number: int, everywhere) -> None:
    name, writable, ones, agrees = PLAIN[number]
    checks = Checks()
    for pattern in PATTERNS:
        checks.emit(checks.csr_write(number, pattern), e.csr("csrrs", T4, number, 0))
        checks.check_equal(f"{name} := {pattern:#x}", T4, pattern & writable | ones)
    everywhere(checks, qemu=agrees)


@pytest.mark.parametrize("number", PLAIN, ids=[row[0] for row in PLAIN.values()])
def test_set_clear_and_immediate_forms(number: int, everywhere) -> None:
    name, writable, _, agrees = PLAIN[number]
    checks = Checks()
    checks.emit(e.csr("csrrwi", 0, number, 0))
    value = 0
    for form, operand in (
        ("csrrw", 0x1234_5678_9ABC_DEF0), ("csrrs", 0x0F0F_0F0F_0F0F_0F0F), ("csrrc", 0x00FF_00FF_00FF_00FF),
        ("csrrwi", 21), ("csrrsi", 10), ("csrrci", 5), ("csrrw", 0),
    ):  # fmt: skip
        if form.endswith("i"):
            checks.emit(e.csr(form, T4, number, operand))
        else:
            checks.emit(e.li(T0, operand), e.csr(form, T4, number, T0))
        checks.check_equal(f"{name}: {form} gives the old value", T4, value)
        value = {"w": operand, "s": value | operand, "c": value & ~operand}[form[4]] & writable
        checks.emit(e.csr("csrrs", T4, number, 0))
        checks.check_equal(f"{name}: {form}", T4, value)
    everywhere(checks, qemu=agrees)


def test_read_only_csrs(everywhere) -> None:
    checks = Checks()
    for number, name in READ_ONLY.items():
        checks.emit(e.csr("csrrs", T4, number, 0))
        if name == "mhartid":
            checks.check_equal(name, T4, 0)
        write = e.csr("csrrw", 0, number, T4)
        checks.expect_trap(f"write of {name}", [write], 2, tval=write.value)
    everywhere(checks)


def test_misa_says_what_there_is(everywhere) -> None:
    checks = Checks()
    letters = sum(1 << ord(letter) - ord("A") for letter in "ACIMSU")
    checks.emit(e.csr("csrrs", T4, at.MISA, 0), e.li(T1, 3 << 62 | letters), e.register("and", T4, T4, T1))
    checks.check_equal("MXL and extensions", T4, 2 << 62 | letters)
    for letter in "DEFHQV":
        checks.emit(e.csr("csrrs", T4, at.MISA, 0), e.shift("bexti", T4, T4, ord(letter) - ord("A")))
        checks.check_equal(f"no {letter}", T4, 0)
    everywhere(checks)


def test_mstatus_fields(everywhere) -> None:
    """Each writable field alone, SXL and UXL fixed at 64 bits, sstatus as its restriction (3.1.6, 4.1.1)."""
    checks = Checks()
    lengths = 2 << 32 | 2 << 34
    checks.emit(checks.csr_write(at.MSTATUS, 0))
    for bit in (1, 3, 5, 7, 8, 17, 18, 19, 20, 21, 22):
        checks.emit(e.li(T0, 1 << bit), e.csr("csrrs", 0, at.MSTATUS, T0), e.csr("csrrs", T4, at.MSTATUS, 0))
        if bit == 17:  # MPRV is on: MPP says user mode, whose accesses are open here
            checks.emit(e.csr("csrrc", 0, at.MSTATUS, T0))
        checks.check_equal(f"mstatus bit {bit}", T4, lengths | 1 << bit)
        visible = bit in (1, 5, 8, 18, 19)
        checks.emit(e.csr("csrrs", T4, at.SSTATUS, 0))
        checks.check_equal(f"sstatus bit {bit}", T4, 2 << 32 | (1 << bit if visible else 0))
        checks.emit(e.csr("csrrc", 0, at.MSTATUS, T0))
    checks.emit(checks.csr_write(at.SSTATUS, MASK & ~(3 << 13 | 3 << 9 | 3 << 15 | 3 << 32)))
    checks.emit(e.csr("csrrs", T4, at.MSTATUS, 0))
    checks.check_equal("mstatus after sstatus := all ones", T4, lengths | 0xC0122)
    everywhere(checks)


def test_mpp_holds_no_mode_that_is_not_there(everywhere) -> None:
    checks = Checks()
    for mode in (0, 1, 3):
        checks.emit(checks.csr_write(at.MSTATUS, mode << 11), checks.csr_write(at.MSTATUS, 2 << 11))
        checks.emit(e.csr("csrrs", T4, at.MSTATUS, 0), e.shift("srli", T4, T4, 11), e.immediate("andi", T4, T4, 3))
        checks.emit(e.immediate("addi", T4, T4, -2), e.register("sltu", T4, 0, T4))
        checks.check_equal(f"MPP := 2 over {mode} is not 2", T4, 1)
    everywhere(checks, qemu=False)  # QEMU 7.2 holds 2


@pytest.mark.parametrize(("number", "name"), [(at.MTVEC, "mtvec"), (at.STVEC, "stvec")])
def test_trap_vectors(number: int, name: str, everywhere) -> None:
    checks = Checks()
    for value in (at.BODY, at.BODY | 1, 0xFFFF_FFC0_0000_1001):
        checks.emit(e.csr("csrrs", 20, number, 0), checks.csr_write(number, value), e.csr("csrrw", T4, number, 20))
        checks.check_equal(f"{name} := {value:#x}", T4, value)
    everywhere(checks)


def test_sie_and_sip_show_what_is_delegated(everywhere) -> None:
    checks = Checks()
    checks.emit(checks.csr_write(at.MIE, 0xAAA), checks.csr_write(at.STIMECMP, MASK))
    for delegated in (0, 2, 0x20, 0x200, 0x222):
        checks.emit(checks.csr_write(at.MIDELEG, delegated), e.csr("csrrs", T4, at.SIE, 0))
        checks.check_equal(f"sie under mideleg {delegated:#x}", T4, delegated)
        checks.emit(e.csr("csrrsi", 0, at.MIP, 2), e.csr("csrrs", T4, at.SIP, 0), e.csr("csrrci", 0, at.MIP, 2))
        checks.check_equal(f"sip under mideleg {delegated:#x}", T4, delegated & 2)
        checks.emit(checks.csr_write(at.MIE, 0xAAA), checks.csr_write(at.SIE, 0), e.csr("csrrs", T4, at.MIE, 0))
        checks.emit(e.immediate("andi", T4, T4, 0x222))
        checks.check_equal(f"mie after sie := 0 under {delegated:#x}", T4, 0x222 & ~delegated)
        checks.emit(checks.csr_write(at.MIE, 0xAAA))
    everywhere(checks)


@pytest.mark.parametrize("mode", [0, 1])
def test_counter_enables(mode: int, everywhere) -> None:
    """mcounteren for supervisor mode; that and scounteren for user mode (3.1.11, 4.1.5)."""
    checks = Checks()
    for bit, number in enumerate((at.CYCLE, at.TIME, at.INSTRET)):
        read = e.csr("csrrs", T4, number, 0)
        for machine in (0, 1 << bit, 7 & ~(1 << bit)):
            for supervisor in (0, 1 << bit, 7 & ~(1 << bit)):
                checks.emit(checks.csr_write(at.MCOUNTEREN, machine), checks.csr_write(at.SCOUNTEREN, supervisor))
                allowed = machine >> bit & 1 and (mode == 1 or supervisor >> bit & 1)
                name = f"counter {bit}, mcounteren {machine}, scounteren {supervisor}"
                if allowed:
                    checks.expect_trap(name, in_mode(checks, mode, [read, e.ECALL]), 8 + mode)
                else:
                    checks.expect_trap(name, in_mode(checks, mode, [read]), 2, tval=read.value)
    everywhere(checks)


def test_counters_count(everywhere) -> None:
    """minstret counts instructions exactly; mcycle goes on; both can be written and stopped."""
    checks = Checks()
    checks.emit(e.csr("csrrs", 20, 0xB02, 0), [e.NOP] * 10, e.csr("csrrs", 21, 0xB02, 0))
    checks.emit(e.register("sub", T4, 21, 20))
    checks.check_equal("minstret over 10 instructions and the read", T4, 11)
    checks.emit(e.csr("csrrs", 20, 0xB00, 0), [e.NOP] * 10, e.csr("csrrs", 21, 0xB00, 0))
    checks.emit(e.register("sltu", T4, 20, 21))
    checks.check_equal("mcycle moves", T4, 1)
    for number, name in ((0xB00, "mcycle"), (0xB02, "minstret")):
        checks.emit(checks.csr_write(number, 1 << 40), e.csr("csrrs", T4, number, 0), e.shift("srli", T4, T4, 40))
        checks.check_equal(f"{name} is writable", T4, 1)
    checks.emit(e.csr("csrrwi", 0, 0x320, 5), e.csr("csrrs", 20, 0xB02, 0), e.csr("csrrs", 22, 0xB00, 0))
    checks.emit([e.NOP] * 10, e.csr("csrrs", 21, 0xB02, 0), e.csr("csrrs", 23, 0xB00, 0), e.csr("csrrwi", 0, 0x320, 0))
    checks.emit(e.register("sub", T4, 21, 20))
    checks.check_equal("minstret stands still", T4, 0)
    checks.emit(e.register("sub", T4, 23, 22))
    checks.check_equal("mcycle stands still", T4, 0)
    everywhere(checks, qemu=False)  # QEMU counts neither exactly
