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
    undecoded, fetch_fault : In(1)
        It is illegal or could not be fetched, and so names no registers; it could not be fetched.
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
    undecoded: In(1)
    fetch_fault: In(1)
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
        after_trap = Signal()
        after_interrupt = Signal()
        interrupt_cause = Signal(64)
        retires = self.retires | (trapped & ~self.interrupted)
        is_memory = control.unit == Unit.MEMORY
        conditional = control.memory == Memory.STORE_CONDITIONAL
        reads = is_memory & (control.memory != Memory.STORE) & ~conditional
        writes = is_memory & (control.memory != Memory.LOAD) & (control.memory != Memory.LOAD_RESERVED)
        failed = conditional & (self.result != 0)
        mask = (1 << (1 << control.size)) - 1
        read_mask, write_mask = Mux(reads, mask, 0), Mux(writes, mask, 0)
        refused = Signal()  # by the memory accessed, and not for how it is accessed
        refused_data = Signal()
        m.d.comb += [
            rvfi.ixl.eq(2),
            rvfi.order.eq(order),
            refused_data.eq(
                trapped
                & is_memory
                & ~self.fetch_fault
                & (self.cause != Cause.LOAD_MISALIGNED)
                & (self.cause != Cause.STORE_MISALIGNED)
            ),
            refused.eq(trapped & self.fetch_fault | refused_data),
        ]
        m.d.sync += [
            rvfi.valid.eq(retires),
            order.eq(order + rvfi.valid),
            rvfi.insn.eq(Mux(self.fetch_fault, 0, self.insn)),
            rvfi.trap.eq(trapped),
            rvfi.intr.eq(after_trap),
            rvfi.mode.eq(self.privilege),
            rvfi.rs1_addr.eq(Mux(self.undecoded, 0, control.rs1)),
            rvfi.rs2_addr.eq(Mux(self.undecoded, 0, control.rs2)),
            rvfi.rs1_rdata.eq(Mux(self.undecoded | (control.rs1 == 0), 0, self.rs1)),
            rvfi.rs2_rdata.eq(Mux(self.undecoded | (control.rs2 == 0), 0, self.rs2)),
            rvfi.rd_addr.eq(Mux(trapped, 0, control.rd)),
            rvfi.rd_wdata.eq(Mux(trapped | (control.rd == 0), 0, self.result)),
            rvfi.pc_rdata.eq(self.pc),
            rvfi.pc_wdata.eq(Mux(trapped, self.trap_vector, self.next_pc)),
            rvfi.mem_addr.eq(Mux(is_memory, self.address, 0)),
            rvfi.mem_rmask.eq(Mux(trapped, 0, read_mask)),
            rvfi.mem_wmask.eq(Mux(trapped | failed, 0, write_mask)),
            rvfi.mem_rdata.eq(self.result),
            rvfi.mem_wdata.eq(self.store_data),
            rvfi.mem_fault.eq(refused),
            rvfi.mem_fault_rmask.eq(Mux(refused_data, read_mask, 0)),
            rvfi.mem_fault_wmask.eq(Mux(refused_data, write_mask, 0)),
            rvfi.cause.eq(Mux(after_interrupt, interrupt_cause, self.cause)),
            rvfi.tval.eq(self.tval),
        ]
        with m.If(trapped | retires):
            m.d.sync += after_trap.eq(trapped)
        with m.If(trapped & self.interrupted):
            m.d.sync += [after_interrupt.eq(1), interrupt_cause.eq(Cat(self.interrupt_cause, Const(0, 57), 1))]
        with m.Elif(retires):
            m.d.sync += after_interrupt.eq(0)
        return m
