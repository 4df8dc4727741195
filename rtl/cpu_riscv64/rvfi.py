"""What retires, as the RISC-V Formal Interface wants it."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .interfaces import Cause, Control, Memory, Privilege, Rvfi, Unit


class RvfiReport(wiring.Component):
    """Registers the instruction that leaves M into the RVFI port.

    Members
    -------
    retires, trapped, interrupted : In(1)
        It retires; it traps; it gives way to an interrupt (with `trapped`) and does not count.
    control, insn, pc, next_pc, rs1, rs2, result : In
        The instruction, its operands and result; where the program goes if it does not trap.
    address : In(64), store_data : In(64)
        Of a memory access; what it writes.
    privilege, cause, interrupt_cause, tval, trap_vector : In
        Current mode; the trap.
    rvfi : Out(Rvfi)
    """

    retires: In(1)
    trapped: In(1)
    interrupted: In(1)
    control: In(Control)
    insn: In(32)
    pc: In(64)
    next_pc: In(64)
    rs1: In(64)
    rs2: In(64)
    result: In(64)
    address: In(64)
    store_data: In(64)
    privilege: In(Privilege)
    cause: In(Cause)
    interrupt_cause: In(6)
    tval: In(64)
    trap_vector: In(64)
    rvfi: Out(Rvfi())

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rvfi, control, trapped = self.rvfi, self.control, self.trapped
        order = Signal(64)
        after_interrupt = Signal()
        interrupt_cause = Signal(64)
        retires = self.retires | (trapped & ~self.interrupted)
        is_memory = control.unit == Unit.MEMORY
        is_atomic = control.memory == Memory.AMO
        conditional = control.memory == Memory.STORE_CONDITIONAL
        stores = control.memory == Memory.STORE
        reads = is_memory & ~stores & ~conditional
        writes = is_memory & (stores | is_atomic | (conditional & (self.result == 0)))
        mask = (1 << (1 << control.size)) - 1
        m.d.comb += [rvfi.ixl.eq(2), rvfi.order.eq(order)]
        m.d.sync += [
            rvfi.valid.eq(retires),
            order.eq(order + rvfi.valid),
            rvfi.insn.eq(self.insn),
            rvfi.trap.eq(trapped),
            rvfi.intr.eq(after_interrupt),
            rvfi.mode.eq(self.privilege),
            rvfi.rs1_addr.eq(control.rs1),
            rvfi.rs2_addr.eq(control.rs2),
            rvfi.rs1_rdata.eq(Mux(control.rs1 != 0, self.rs1, 0)),
            rvfi.rs2_rdata.eq(Mux(control.rs2 != 0, self.rs2, 0)),
            rvfi.rd_addr.eq(Mux(trapped, 0, control.rd)),
            rvfi.rd_wdata.eq(Mux(trapped | (control.rd == 0), 0, self.result)),
            rvfi.pc_rdata.eq(self.pc),
            rvfi.pc_wdata.eq(Mux(trapped, self.trap_vector, self.next_pc)),
            rvfi.mem_addr.eq(Mux(is_memory, self.address, 0)),
            rvfi.mem_rmask.eq(Mux(reads & ~trapped, mask, 0)),
            rvfi.mem_wmask.eq(Mux(writes & ~trapped, mask, 0)),
            rvfi.mem_rdata.eq(self.result),
            rvfi.mem_wdata.eq(self.store_data),
            rvfi.cause.eq(Mux(after_interrupt, interrupt_cause, self.cause)),
            rvfi.tval.eq(self.tval),
        ]
        with m.If(trapped & self.interrupted):
            m.d.sync += [after_interrupt.eq(1), interrupt_cause.eq(Cat(self.interrupt_cause, Const(0, 57), 1))]
        with m.Elif(retires):
            m.d.sync += after_interrupt.eq(0)
        return m
