"""The fixed part of a random program: start, trap handlers of both modes, and the end.

Registers of the random code that the handlers rely on:
  gp   where to go on after an exception (the end of the current segment), or -1: an exception ends the phase
  tp   loop counter, never written by random instructions

An exception handler reads the trap CSRs, so that they are compared, and goes on at gp. An interrupt handler leaves
every register, mstatus but the previous-mode fields, and memory (but its own variables) as they were: the comparison
leaves it out. Handlers use mscratch and sscratch, which always point at their variables.
"""

from tests.lockstep import encoding as e
from tests.lockstep import layout as at
from tests.lockstep.assembler import Assembler, Label, Piece, address, branch, jump

GP, T0, T1, T2 = 3, 5, 6, 7


def write_csr(csr: int, value: int, scratch: int = T0) -> list[Piece]:
    return [*e.li(scratch, value), e.csr("csrrw", 0, csr, scratch)]


def _enter(csr: int) -> list[Piece]:
    return [e.csr("csrrw", T0, csr, T0), e.store("sd", T1, T0, at.SAVED), e.store("sd", T2, T0, at.SAVED + 8)]


def _leave(csr: int, xret: e.Instruction) -> list[Piece]:
    return [
        e.load("ld", T1, T0, at.SAVED),
        e.load("ld", T2, T0, at.SAVED + 8),
        e.csr("csrrw", T0, csr, T0),
        xret,
    ]


def _next_random() -> list[Piece]:
    """T1 := the next random number (xorshift64); T0 points at the variables."""
    out: list[Piece] = [e.load("ld", T1, T0, at.RANDOM)]
    for name, amount in (("slli", 13), ("srli", 7), ("slli", 17)):
        out += [e.shift(name, T2, T1, amount), e.register("xor", T1, T1, T2)]
    return [*out, e.store("sd", T1, T0, at.RANDOM)]


def _below(ticks: int) -> list[Piece]:
    """T1 := T1 modulo `ticks`, which is a power of two."""
    unused = 64 - (ticks.bit_length() - 1)
    return [e.shift("slli", T1, T1, unused), e.shift("srli", T1, T1, unused)]


def _rearm_machine_timer(prefix: str, ticks: int) -> list[Piece]:
    """mtimecmp := mtime + 0..ticks, or never where the timers are not armed. Now and then sets msip or SSIP too."""
    return [
        *_next_random(),
        e.load("ld", T2, T0, at.ARMED),
        branch("beq", T2, 0, f"{prefix}_never"),
        e.immediate("andi", T2, T1, 7 << 7),
        branch("bne", T2, 0, f"{prefix}_plain"),
        e.shift("bexti", T2, T1, 10),
        branch("beq", T2, 0, f"{prefix}_software"),
        e.csr("csrrsi", 0, at.MIP, 2),
        jump(0, f"{prefix}_plain"),
        Label(f"{prefix}_software"),
        e.lui(T2, at.CLINT_MSIP >> 12),
        e.immediate("addi", T1, 0, 1),
        e.store("sw", T1, T2, 0),
        e.load("ld", T1, T0, at.RANDOM),
        Label(f"{prefix}_plain"),
        *_below(ticks),
        *e.li(T2, at.CLINT_MTIME),
        e.load("ld", T2, T2, 0),
        e.register("add", T1, T1, T2),
        *e.li(T2, at.CLINT_MTIMECMP),
        e.store("sd", T1, T2, 0),
        jump(0, f"{prefix}_done"),
        Label(f"{prefix}_never"),
        e.immediate("addi", T1, 0, -1),
        *e.li(T2, at.CLINT_MTIMECMP),
        e.store("sd", T1, T2, 0),
        Label(f"{prefix}_done"),
    ]


def _rearm_supervisor_timer(prefix: str, ticks: int) -> list[Piece]:
    return [
        *_next_random(),
        e.load("ld", T2, T0, at.ARMED),
        branch("beq", T2, 0, f"{prefix}_never"),
        *_below(ticks),
        e.csr("csrrs", T2, at.TIME, 0),
        e.register("add", T1, T1, T2),
        jump(0, f"{prefix}_set"),
        Label(f"{prefix}_never"),
        e.immediate("addi", T1, 0, -1),
        Label(f"{prefix}_set"),
        e.csr("csrrw", 0, at.STIMECMP, T1),
    ]


def machine_handlers(asm: Assembler, ticks: int) -> None:
    """The vector table, the direct entry, exceptions, and the four interrupts in machine mode."""
    asm.emit(*[e.C_NOP] * ((-asm.pc & 0xFF) // 2), Label("m_vector"))
    targets = {0: "m_exception", at.SSI: "m_ssi", at.MSI: "m_msi", at.STI: "m_sti", at.MTI: "m_mti"}
    for cause in range(16):
        asm.emit(jump(0, targets.get(cause, "m_unexpected")))
    asm.emit(
        Label("m_direct"),
        *_enter(at.MSCRATCH),
        e.csr("csrrs", T1, at.MCAUSE, 0),
        branch("bge", T1, 0, "m_common"),
        e.immediate("andi", T1, T1, 15),
    )
    for cause in (at.SSI, at.MSI, at.STI, at.MTI):
        asm.emit(
            e.immediate("addi", T2, 0, cause),
            branch("beq", T1, T2, f"{targets[cause]}_entered"),
        )
    asm.emit(
        Label("m_unexpected"),
        *e.li(T0, at.TOHOST),
        e.immediate("addi", T1, 0, (77 << 1) | 1),
        e.store("sw", T1, T0, 0),
        *e.li(T0, at.FINISHER),
        *e.li(T1, 77 << 16 | 0x3333),
        e.store("sw", T1, T0, 0),
        Label("m_stuck"),
        jump(0, "m_stuck"),
        Label("m_exception"),
        *_enter(at.MSCRATCH),
        Label("m_common"),
        e.immediate("addi", T1, GP, 1),
        branch("beq", T1, 0, "m_phase_ends"),
        e.csr("csrrs", T1, at.MCAUSE, 0),
        e.csr("csrrs", T1, at.MEPC, 0),
        e.csr("csrrs", T1, at.MTVAL, 0),
        e.csr("csrrs", T1, at.MSTATUS, 0),
        e.csr("csrrw", 0, at.MEPC, GP),
        *_leave(at.MSCRATCH, e.MRET),
        Label("m_phase_ends"),
        e.csr("csrrw", 0, at.MSCRATCH, T0),
        e.load("ld", T1, T0, at.NEXT_PHASE),
        e.jalr(0, T1, 0),
    )
    bodies: dict[int, list[Piece]] = {
        at.SSI: [e.csr("csrrci", 0, at.MIP, 2)],
        at.MSI: [e.lui(T1, at.CLINT_MSIP >> 12), e.store("sw", 0, T1, 0), *_rearm_machine_timer("m_msi", ticks)],
        at.STI: _rearm_supervisor_timer("m_sti", ticks * 2),
        at.MTI: _rearm_machine_timer("m_mti", ticks),
    }
    for cause, body in bodies.items():
        name = targets[cause]
        asm.emit(Label(name), *_enter(at.MSCRATCH), Label(f"{name}_entered"), *body, *_leave(at.MSCRATCH, e.MRET))


def supervisor_handlers(asm: Assembler, ticks: int) -> None:
    """As in machine mode; an exception that ends the phase is passed on by ECALL. Position independent."""
    asm.emit(Label("s_vector"))
    targets = {0: "s_exception", at.SSI: "s_ssi", at.STI: "s_sti"}
    for cause in range(16):
        asm.emit(jump(0, targets.get(cause, "s_unexpected")))
    asm.emit(
        Label("s_direct"),
        *_enter(at.SSCRATCH),
        e.csr("csrrs", T1, at.SCAUSE, 0),
        branch("bge", T1, 0, "s_common"),
        e.immediate("andi", T1, T1, 15),
        e.immediate("addi", T2, 0, at.SSI),
        branch("beq", T1, T2, "s_ssi_entered"),
        jump(0, "s_sti_entered"),
        Label("s_exception"),
        *_enter(at.SSCRATCH),
        Label("s_common"),
        e.immediate("addi", T1, GP, 1),
        branch("beq", T1, 0, "s_unexpected"),
        e.csr("csrrs", T1, at.SCAUSE, 0),
        e.csr("csrrs", T1, at.SEPC, 0),
        e.csr("csrrs", T1, at.STVAL, 0),
        e.csr("csrrs", T1, at.SSTATUS, 0),
        e.csr("csrrw", 0, at.SEPC, GP),
        *_leave(at.SSCRATCH, e.SRET),
        Label("s_unexpected"),
        e.ECALL,
        Label("s_ssi"),
        *_enter(at.SSCRATCH),
        Label("s_ssi_entered"),
        e.csr("csrrci", 0, at.SIP, 2),
        *_leave(at.SSCRATCH, e.SRET),
        Label("s_sti"),
        *_enter(at.SSCRATCH),
        Label("s_sti_entered"),
        *_rearm_supervisor_timer("s_sti", ticks * 2),
        *_leave(at.SSCRATCH, e.SRET),
    )


def start(asm: Assembler, *, interrupts: bool, first_phase: str) -> None:
    """From reset to the first phase: known registers, trap vector, all memory open to lower modes, timers started."""
    asm.emit(Label("_start"), *[e.immediate("addi", register, 0, 0) for register in range(1, 32)])
    asm.emit(*e.li(T0, at.MACHINE_VARIABLES), e.csr("csrrw", 0, at.MSCRATCH, T0))
    asm.emit(*address(T0, "m_vector", 1), e.csr("csrrw", 0, at.MTVEC, T0))
    asm.emit(*write_csr(at.PMPADDR0 + 15, (1 << 54) - 1), *write_csr(at.PMPCFG2, 0x1F << 56))
    asm.emit(*write_csr(at.MENVCFG, 1 << 63), *write_csr(at.MCOUNTEREN, 7), *write_csr(at.SCOUNTEREN, 7))
    asm.emit(*write_csr(at.MIE, 0), *write_csr(at.MIDELEG, 0), *write_csr(at.MEDELEG, 0))
    asm.emit(*write_csr(at.SATP, 0), *address(GP, "m_unexpected"))
    if interrupts:
        # Everything timers do starts in a handler, which is not compared: only there the two sides may differ.
        asm.emit(*write_csr(at.STIMECMP, (1 << 64) - 1), *e.li(T0, at.CLINT_MTIMECMP), e.immediate("addi", T1, 0, -1))
        asm.emit(e.store("sd", T1, T0, 0), e.lui(T0, at.CLINT_MSIP >> 12), e.immediate("addi", T1, 0, 1))
        asm.emit(*write_csr(at.MIE, 1 << at.MSI, T2), e.store("sw", T1, T0, 0), e.csr("csrrsi", 0, at.MSTATUS, 8))
        asm.emit(*[e.NOP] * 16, e.csr("csrrci", 0, at.MSTATUS, 8))
    asm.emit(*address(T0, first_phase), e.jalr(0, T0, 0))


def finish(asm: Assembler) -> None:
    """Says `passed` to the harness and to QEMU's test finisher."""
    asm.emit(
        *e.li(T0, at.TOHOST),
        e.immediate("addi", T1, 0, 1),
        Label("end"),  # compared up to here: a device may stop within the store
        e.NOP,
        e.store("sw", T1, T0, 0),
        *e.li(T0, at.FINISHER),
        *e.li(T1, 0x5555),
        e.store("sw", T1, T0, 0),
        Label("stuck"),
        jump(0, "stuck"),
    )
