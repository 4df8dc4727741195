"""Exceptions of the instruction in M, and which one counts."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .fetch.buffer import FetchFault
from .interfaces import Cause, Privilege, System, Unit


class Exceptions(wiring.Component):
    """Which exception the instruction in M raises, by priority (Privileged table 3.7).

    Whether there is one comes early, from registers: what the mode forbids is looked at in the instruction's first
    cycle, and raised in its second.

    Members
    -------
    unit : In(Unit), system : In(System)
        From its control word.
    insn : In(32), pc : In(64)
        The instruction, for xtval, and its address.
    fault : In(FetchFault), fault_in_second_half : In(1), illegal : In(1)
        It could not be fetched, or decoded.
    known : In(1)
        One of these, or ECALL or EBREAK.
    valid : In(1)
        There is one, and it did not trap yet.
    privilege : In(Privilege)
        Current mode.
    csr_illegal, mret_illegal, sret_illegal, wfi_illegal, sfence_illegal : In(1)
        What the CSRs refuse: the first is late, and the others are for the instruction in the next cycle.
    memory_fault : In(1), memory_cause : In(Cause), memory_tval : In(64)
        The access ended with one.
    raised : Out(1), cause : Out(Cause), tval : Out(64)
        The exception.
    """

    unit: In(Unit)
    system: In(System)
    insn: In(32)
    pc: In(64)
    fault: In(FetchFault)
    fault_in_second_half: In(1)
    illegal: In(1)
    known: In(1)
    valid: In(1)
    privilege: In(Privilege)
    csr_illegal: In(1)
    mret_illegal: In(1)
    sret_illegal: In(1)
    wfi_illegal: In(1)
    sfence_illegal: In(1)
    memory_fault: In(1)
    memory_cause: In(Cause)
    memory_tval: In(64)
    raised: Out(1)
    cause: Out(Cause)
    tval: Out(64)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        refused = Signal()
        was_refused = Signal()
        memory = self.unit == Unit.MEMORY
        calls = Signal()
        breaks = Signal()
        with m.If(self.unit == Unit.SYSTEM):
            with m.Switch(self.system):
                with m.Case(System.ECALL):
                    m.d.comb += calls.eq(1)
                with m.Case(System.EBREAK):
                    m.d.comb += breaks.eq(1)
                with m.Case(System.MRET):
                    m.d.comb += refused.eq(self.mret_illegal)
                with m.Case(System.SRET):
                    m.d.comb += refused.eq(self.sret_illegal)
                with m.Case(System.WFI):
                    m.d.comb += refused.eq(self.wfi_illegal)
                with m.Case(System.SFENCE_VMA):
                    m.d.comb += refused.eq(self.sfence_illegal)
        m.d.sync += was_refused.eq(refused & self.valid)
        m.d.comb += self.raised.eq(
            self.known | was_refused | (self.memory_fault & memory) | (self.csr_illegal & (self.unit == Unit.CSR))
        )

        with m.If(self.fault.valid):
            m.d.comb += [
                self.cause.eq(Mux(self.fault.page, Cause.FETCH_PAGE, Cause.FETCH_ACCESS)),
                self.tval.eq(Mux(self.fault_in_second_half, self.pc + 2, self.pc)),
            ]
        with m.Elif(self.illegal | was_refused | (self.unit == Unit.CSR)):
            m.d.comb += [self.cause.eq(Cause.ILLEGAL), self.tval.eq(self.insn)]
        with m.Elif(memory):
            m.d.comb += [
                self.cause.eq(self.memory_cause),
                self.tval.eq(self.memory_tval),
            ]
        with m.Elif(calls):
            with m.Switch(self.privilege):
                with m.Case(Privilege.USER):
                    m.d.comb += self.cause.eq(Cause.ECALL_U)
                with m.Case(Privilege.SUPERVISOR):
                    m.d.comb += self.cause.eq(Cause.ECALL_S)
                with m.Default():
                    m.d.comb += self.cause.eq(Cause.ECALL_M)
        with m.Elif(breaks):
            m.d.comb += self.cause.eq(Cause.BREAKPOINT)
        return m
