"""Every exception cause, with mcause, mepc and mtval, from every mode it can come from, and delegated.

Clauses: Privileged 3.1.15 (mcause), 3.1.16 (mtval), 3.1.8 (delegation), 3.3.1 (ECALL, EBREAK), 3.1.6 (TVM, TW, TSR).
"""

from collections.abc import Iterable

import pytest

from tests.isa.program import T0, T1, T3, T4, Checks
from tests.lockstep import encoding as e
from tests.lockstep import layout as at
from tests.lockstep.assembler import Label, Piece, address, jump

HOLE = at.HOLES[0]
MODES = {"user": 0, "supervisor": 1, "machine": 3}


def in_mode(checks: Checks, mode: int, body: Iterable[Piece]) -> list[Piece]:
    """Enters the mode (untranslated) and runs the body there."""
    if mode == 3:
        return list(body)
    there = checks.label("there")
    return [*checks.enter(mode, there), Label(there), *body]


ILLEGAL = {
    "all zeros": e.raw(0, 2),
    "all ones": e.raw(0xFFFF_FFFF),
    "48-bit": e.raw(0x0000_001F),
    "custom-0": e.raw(0x0000_000B),
    "floating-point load": e.raw(0x0000_2007),
    "floating-point add": e.raw(0x0000_7053),
    "c.fld": e.raw(0x2000, 2),
    "c.addi4spn 0": e.raw(0x0004, 2),
    "c.addiw x0": e.raw(0x2001, 2),
    "c.lui 0": e.raw(0x6281, 2),
    "c.addi16sp 0": e.raw(0x6101, 2),
    "c.lwsp x0": e.raw(0x4002, 2),
    "c.ldsp x0": e.raw(0x6002, 2),
    "c.jr x0": e.raw(0x8002, 2),
    "reserved quadrant 0": e.raw(0x8000, 2),
    "reserved c arithmetic": e.raw(0x9C41, 2),
    "load of width 7": e.raw(0x0000_7003),
    "store of width 4": e.raw(0x0000_4023),
    "branch 2": e.raw(0x0000_2063),
    "jalr with funct3": e.raw(0x0000_1067),
    "amo of width 1": e.raw(0x0000_102F),
    "amo reserved": e.raw(0x2800_202F),
    "lr with rs2": e.raw(0x1011_202F),
    "op reserved": e.raw(0x0400_0033),
    "op-32 reserved": e.raw(0x0000_203B),
    "slli of 64 in a w form": e.raw(0x0200_101B),
    "clmul": e.raw(0x0A00_1033),
    "ecall with rd": e.raw(0x0000_00F3),
    "mret with rs1": e.raw(0x3020_8073),
    "uret": e.raw(0x0020_0073),
    "dret": e.raw(0x7B20_0073),
    "sfence.vma with rd": e.raw(0x1200_00F3),
    "hfence": e.raw(0x6200_0073),
    "csr of funct3 4": e.raw(0x3000_4073),
    "cbo.zero": e.raw(0x0040_200F),
    "absent csr": e.csr("csrrs", 5, 0x5C0, 0),
    "debug csr": e.csr("csrrs", 5, 0x7B0, 0),
    "fcsr": e.csr("csrrs", 5, 0x003, 0),
    "write of cycle": e.csr("csrrw", 0, 0xC00, 0),
    "set of mhartid": e.csr("csrrs", 0, 0xF14, 24),
    "clear of mhartid by immediate": e.csr("csrrci", 0, 0xF14, 1),
}


@pytest.mark.parametrize("mode", MODES)
def test_illegal_instructions_trap_with_their_encoding(mode: str, everywhere) -> None:
    checks = Checks()
    for name, instruction in ILLEGAL.items():
        checks.expect_trap(name, in_mode(checks, MODES[mode], [instruction]), 2, tval=instruction.value)
    everywhere(checks)


PRIVILEGED = {
    "mret": (e.MRET, 3),
    "sret": (e.SRET, 1),
    "wfi": (e.WFI, 1),
    "sfence.vma": (e.sfence_vma(0, 0), 1),
    "mstatus": (e.csr("csrrs", 5, at.MSTATUS, 0), 3),
    "mscratch": (e.csr("csrrw", 5, at.MSCRATCH, 0), 3),
    "mcycle": (e.csr("csrrs", 5, 0xB00, 0), 3),
    "mhpmcounter3": (e.csr("csrrs", 5, 0xB03, 0), 3),
    "pmpcfg0": (e.csr("csrrs", 5, at.PMPCFG0, 0), 3),
    "mhartid": (e.csr("csrrs", 5, 0xF14, 0), 3),
    "menvcfg": (e.csr("csrrs", 5, at.MENVCFG, 0), 3),
    "sstatus": (e.csr("csrrs", 5, at.SSTATUS, 0), 1),
    "sscratch": (e.csr("csrrw", 5, at.SSCRATCH, 0), 1),
    "satp": (e.csr("csrrs", 5, at.SATP, 0), 1),
    "senvcfg": (e.csr("csrrs", 5, 0x10A, 0), 1),
    "stimecmp": (e.csr("csrrs", 5, at.STIMECMP, 0), 1),
}


@pytest.mark.parametrize("mode", ["user", "supervisor"])
def test_what_needs_more_privilege_traps(mode: str, everywhere) -> None:
    checks = Checks()
    for name, (instruction, needed) in PRIVILEGED.items():
        if MODES[mode] < needed:
            checks.expect_trap(name, in_mode(checks, MODES[mode], [instruction]), 2, tval=instruction.value)
    everywhere(checks)


@pytest.mark.parametrize(
    ("bit", "instruction"),
    [
        (at.STATUS_TVM, e.sfence_vma(0, 0)),
        (at.STATUS_TVM, e.csr("csrrs", 5, at.SATP, 0)),
        (at.STATUS_TVM, e.csr("csrrw", 5, at.SATP, 0)),
        (at.STATUS_TW, e.WFI),
        (at.STATUS_TSR, e.SRET),
    ],
    ids=["TVM sfence.vma", "TVM satp read", "TVM satp write", "TW", "TSR"],
)
def test_machine_mode_can_trap_what_supervisor_mode_does(bit: int, instruction: e.Instruction, everywhere) -> None:
    checks = Checks()
    checks.emit(e.li(T0, bit), e.csr("csrrs", 0, at.MSTATUS, T0))
    checks.expect_trap("trapped", in_mode(checks, 1, [instruction]), 2, tval=instruction.value)
    if bit != at.STATUS_TSR:  # without the bit it runs
        checks.emit(e.li(T0, bit), e.csr("csrrc", 0, at.MSTATUS, T0))
        checks.emit(e.csr("csrrwi", 0, at.MIE, 2), e.csr("csrrsi", 0, at.MIP, 2), e.csr("csrrwi", 0, at.MIDELEG, 2))
        checks.expect_trap("allowed", in_mode(checks, 1, [instruction, e.ECALL]), 9, tval=0)
    everywhere(checks)


@pytest.mark.parametrize(("mode", "cause"), [("user", 8), ("supervisor", 9), ("machine", 11)])
def test_environment_calls(mode: str, cause: int, everywhere) -> None:
    checks = Checks()
    checks.expect_trap("ecall", in_mode(checks, MODES[mode], [e.ECALL]), cause, tval=0)
    everywhere(checks)


@pytest.mark.parametrize("mode", MODES)
def test_breakpoints(mode: str, everywhere) -> None:
    checks = Checks()
    for instruction in (e.EBREAK, e.C_EBREAK):
        checks.expect_trap(instruction.text, in_mode(checks, MODES[mode], [instruction]), 3)
    everywhere(checks)


@pytest.mark.parametrize("mode", MODES)
def test_access_faults(mode: str, everywhere) -> None:
    checks = Checks()
    for hole in at.HOLES:
        for name in e.LOADS:
            body = [*e.li(10, hole + 64), e.load(name, 5, 10, 0)]
            checks.expect_trap(f"{name} {hole:#x}", in_mode(checks, MODES[mode], body), 5, tval=hole + 64)
        for name in e.STORES:
            body = [*e.li(10, hole + 64), e.store(name, 5, 10, 8)]
            checks.expect_trap(f"{name} {hole:#x}", in_mode(checks, MODES[mode], body), 7, tval=hole + 72)
        body = [*e.li(10, hole + 66), e.jalr(0, 10, 0)]
        checks.expect_trap(f"fetch {hole:#x}", in_mode(checks, MODES[mode], body), 1, tval=hole + 66, epc=hole + 66)
    everywhere(checks)


def test_a_store_after_a_faulting_one_is_not_made(everywhere) -> None:
    checks = Checks()
    checks.emit(e.li(10, HOLE), e.li(11, at.DATA), e.li(12, 0x1234), e.store("sd", 12, 11, 0))
    trapping, label = e.store("sd", 0, 10, 0), checks.label("fault")
    checks.expect_trap(
        "store", [Label(label), trapping, e.store("sd", 0, 11, 0), e.store("sd", 0, 11, 8)], 7, epc=label
    )
    checks.emit(e.load("ld", T4, 11, 0))
    checks.check_equal("memory", T4, 0x1234)
    everywhere(checks)


def test_a_trapping_instruction_writes_no_register(everywhere) -> None:
    checks = Checks()
    checks.emit(e.li(10, HOLE), e.li(12, 0x1234))
    for name, body in {
        "load": e.load("ld", 12, 10, 0),
        "amo": e.amo("amoadd", True, 12, 10, 12),
        "csr": e.csr("csrrw", 12, 0x5C0, 12),
    }.items():
        cause = {"load": 5, "amo": 7, "csr": 2}[name]
        checks.expect_trap(name, [body], cause)
        checks.check_equal(f"{name}: rd", 12, 0x1234)
    everywhere(checks, qemu=False)  # QEMU 7.2 makes the amo's fault a load's where only an I/O region could answer


@pytest.mark.parametrize("double", [False, True])
def test_misaligned_atomics_trap(double: bool, everywhere) -> None:
    checks = Checks()
    for off in (1, 2, 3) if not double else (1, 2, 3, 4, 5, 6, 7):
        checks.emit(e.li(10, at.DATA + 128 + off), e.li(12, 0x55))
        for name in e.ATOMICS:
            checks.expect_trap(f"{name} +{off}", [e.amo(name, double, 12, 10, 11)], 6, tval=at.DATA + 128 + off)
        checks.expect_trap(f"lr +{off}", [e.lr(double, 12, 10)], 4, tval=at.DATA + 128 + off)
        checks.check_equal("rd", 12, 0x55)
    everywhere(checks)


def test_misaligned_loads_and_stores_work(everywhere) -> None:
    """In memory every alignment works, across lines and pages too."""
    checks = Checks()
    base = at.DATA + 4096
    pattern = bytes((i * 37 + 11) & 0xFF for i in range(256))
    checks.emit(e.li(10, base - 128))
    for i in range(0, 256, 8):
        checks.emit(e.li(11, int.from_bytes(pattern[i : i + 8], "little")), e.store("sd", 11, 10, i))
    for name, code in e.LOADS.items():
        size = e.access_size(name)
        for start in (*range(56, 72), *range(120, 136)):
            value = int.from_bytes(pattern[start : start + size], "little", signed=code < 4)
            checks.emit(e.load(name, T4, 10, start))
            checks.check_equal(f"{name} at {start}", T4, value & (1 << 64) - 1)
    memory = bytearray(pattern)
    for name in e.STORES:
        size = e.access_size(name)
        for start in (*range(57, 72), *range(121, 136)):
            value = start * 0x0123_4567_89AB_CDEF & (1 << 64) - 1
            memory[start : start + size] = value.to_bytes(8, "little")[:size]
            low = start & -8
            checks.emit(e.li(11, value), e.store(name, 11, 10, start))
            checks.emit(e.load("ld", T4, 10, low), e.load("ld", T0, 10, low + 8), e.register("xor", T4, T4, T0))
            both = [int.from_bytes(memory[at : at + 8], "little") for at in (low, low + 8)]
            checks.check_equal(f"{name} at {start}", T4, both[0] ^ both[1])
    everywhere(checks)


def _delegated(checks: Checks, mode: int, body: list[Piece], cause: int, tval: int | None) -> None:
    """The trap must arrive in supervisor mode, with its CSRs; ECALL leads back to machine mode."""
    handler, after, back = checks.label("handler"), checks.label("after"), checks.label("back")
    here = checks.label("here")
    checks.emit(checks.csr_write(at.MEDELEG, 1 << cause), address(T0, handler), e.csr("csrrw", 0, at.STVEC, T0))
    checks.emit(checks.csr_write(at.SCAUSE, 0), address(27, after))
    checks.emit(in_mode(checks, mode, [*body[:-1], Label(here), body[-1]]))
    checks.emit([e.C_NOP] * (checks.asm.pc % 4 // 2), Label(handler))
    checks.emit(e.csr("csrrs", 10, at.SCAUSE, 0), e.csr("csrrs", 11, at.SEPC, 0), e.csr("csrrs", 12, at.STVAL, 0))
    checks.emit(e.csr("csrrs", 13, at.SSTATUS, 0), Label(back), e.ECALL, Label(after))
    checks.check_equal("from supervisor mode", 24, 9)
    checks.check_equal("scause", 10, cause)
    checks.emit(address(T3, here))
    checks.check_equal("sepc", 11)
    if tval is not None:
        checks.check_equal("stval", 12, tval)
    checks.emit(e.immediate("andi", 13, 13, at.STATUS_SPP | at.STATUS_SIE))
    checks.check_equal("sstatus", 13, at.STATUS_SPP if mode else 0)
    checks.emit(address(27, "unexpected"), checks.csr_write(at.MEDELEG, 0))


@pytest.mark.parametrize("mode", ["user", "supervisor"])
def test_delegated_exceptions_go_to_supervisor_mode(mode: str, everywhere) -> None:
    checks = Checks()
    number = MODES[mode]
    _delegated(checks, number, [e.raw(0)], 2, 0)
    _delegated(checks, number, [e.EBREAK], 3, None)
    _delegated(checks, number, [*e.li(14, HOLE), e.load("lw", 5, 14, 4)], 5, HOLE + 4)
    _delegated(checks, number, [*e.li(14, HOLE), e.store("sw", 5, 14, 4)], 7, HOLE + 4)
    _delegated(checks, number, [*e.li(14, at.DATA + 1), e.lr(True, 5, 14)], 4, at.DATA + 1)
    _delegated(checks, number, [*e.li(14, at.DATA + 1), e.amo("amoor", True, 5, 14, 5)], 6, at.DATA + 1)
    if number == 0:
        _delegated(checks, number, [e.ECALL], 8, 0)
    everywhere(checks)


def test_machine_mode_traps_are_never_delegated(everywhere) -> None:
    checks = Checks()
    checks.emit(checks.csr_write(at.MEDELEG, 0xB1FF))
    checks.expect_trap("illegal", [e.raw(0)], 2, tval=0)
    checks.expect_trap("load", [*e.li(10, HOLE), e.load("ld", 5, 10, 0)], 5, tval=HOLE)
    everywhere(checks)


def test_trap_and_return_move_the_status_bits(everywhere) -> None:
    """MIE, MPIE, MPP (3.1.6.1) through a trap and MRET; SIE, SPIE, SPP through SRET."""
    checks = Checks()
    mask = at.STATUS_MIE | at.STATUS_MPIE | at.STATUS_MPP
    for mode in (0, 1, 3):
        for enabled in (0, at.STATUS_MIE):
            checks.emit(e.li(T0, mask), e.csr("csrrc", 0, at.MSTATUS, T0))
            if mode == 3:
                checks.emit(e.immediate("addi", T0, 0, enabled), e.csr("csrrs", 0, at.MSTATUS, T0))
                checks.expect_trap("ecall", [e.ECALL], 11)
            else:
                there = checks.label("there")
                body = [*e.li(T0, mode << 11 | (enabled << 4)), e.csr("csrrs", 0, at.MSTATUS, T0), *address(T0, there)]
                checks.expect_trap(
                    "ecall", [*body, e.csr("csrrw", 0, at.MEPC, T0), e.MRET, Label(there), e.ECALL], 8 + mode
                )
            checks.emit(e.csr("csrrs", T4, at.MSTATUS, 0), e.li(T0, mask), e.register("and", T4, T4, T0))
            checks.check_equal(f"mode {mode}, MIE {enabled}", T4, enabled << 4 | mode << 11)
    there = checks.label("there")
    checks.emit(
        e.li(T0, mask), e.csr("csrrs", 0, at.MSTATUS, T0), address(T0, there), e.csr("csrrw", 0, at.MEPC, T0), e.MRET
    )
    checks.emit(Label(there), e.csr("csrrs", T4, at.MSTATUS, 0), e.li(T0, mask), e.register("and", T4, T4, T0))
    checks.check_equal("after mret: MIE from MPIE, MPIE 1, MPP least", T4, at.STATUS_MIE | at.STATUS_MPIE)
    everywhere(checks)


def test_mret_to_a_lower_mode_clears_mprv(everywhere) -> None:
    checks = Checks()
    for mode in (0, 1, 3):
        there = checks.label("there")
        checks.emit(e.li(T0, at.STATUS_MPP), e.csr("csrrc", 0, at.MSTATUS, T0))
        checks.emit(e.li(T0, at.STATUS_MPRV | mode << 11), e.csr("csrrs", 0, at.MSTATUS, T0))
        checks.emit(address(T0, there), e.csr("csrrw", 0, at.MEPC, T0))
        checks.expect_trap("ecall", [e.MRET, Label(there), e.ECALL], 8 + mode)
        checks.emit(e.csr("csrrs", T4, at.MSTATUS, 0), e.li(T1, at.STATUS_MPRV), e.register("and", T4, T4, T1))
        checks.check_equal(f"MPRV after mret to {mode}", T4, at.STATUS_MPRV if mode == 3 else 0)
        checks.emit(e.csr("csrrc", 0, at.MSTATUS, T1))
    everywhere(checks, qemu=False)  # QEMU 7.2 keeps the bit


def test_vectored_mode_sends_exceptions_to_the_base(everywhere) -> None:
    checks = Checks()
    checks.emit(address(T0, "trap"), e.immediate("ori", T0, T0, 1), e.csr("csrrw", 0, at.MTVEC, T0))
    checks.expect_trap("illegal", [e.raw(0)], 2)
    checks.emit(jump(0, over := checks.label("over")), Label(over))
    everywhere(checks)
