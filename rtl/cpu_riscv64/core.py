"""The pipeline: decode, execute, memory and write stages around fetch, the memory unit and the CSRs.

    F  fetch.instruction
    D  expand, decode, read registers, take results that are still on their way (bypass)
    X  ALU; branches resolve; addresses go to the data cache
    M  memory access, CSR, traps: what passes M has happened, in program order
    W  register file write

D, X and M move together: while M waits, nobody moves. A redirect from X (misprediction) goes to fetch in the same
cycle, one from M (trap, return, fence) in the next. Killing is clearing `valid`.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import memory as lib_memory
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..bus import axi4
from .alu import Alu
from .compressed import Expander
from .config import CoreConfig
from .csr import CsrFile
from .decoder import Decoder
from .divider import Divider
from .fetch.buffer import FetchFault
from .fetch.fetch import Fetch
from .fetch.predictor import BranchKind, Target
from .interfaces import (
    Branch,
    Cause,
    Control,
    Memory,
    OperandA,
    OperandB,
    Privilege,
    ProbeSignature,
    Rvfi,
    System,
    Unit,
    events_layout,
)
from .memory.unit import MemoryUnit
from .mmu.pmp import Pmp
from .mmu.walker import Walker
from .multiplier import Multiplier


class RegisterFile(wiring.Component):
    """32 x 64-bit registers, two combinational read ports, one write port; x0 is never written and stays 0.

    Members
    -------
    rs1, rs2 : In(5); rs1_data, rs2_data : Out(64)
        Read ports: the value before the write at this clock edge.
    write : In(1), rd : In(5), rd_data : In(64)
        Write port; the caller never writes x0.
    """

    rs1: In(5)
    rs2: In(5)
    rs1_data: Out(64)
    rs2_data: Out(64)
    write: In(1)
    rd: In(5)
    rd_data: In(64)

    def elaborate(self, platform):
        m = Module()
        m.submodules.registers = registers = lib_memory.Memory(shape=64, depth=32, init=[])
        write = registers.write_port()
        m.d.comb += [write.addr.eq(self.rd), write.data.eq(self.rd_data), write.en.eq(self.write)]
        for number, value in ((self.rs1, self.rs1_data), (self.rs2, self.rs2_data)):
            read = registers.read_port(domain="comb")
            m.d.comb += [read.addr.eq(number), value.eq(read.data)]
        return m


class Core(wiring.Component):
    """One RV64IMAC hart.

    Parameters
    ----------
    config : CoreConfig

    Members
    -------
    ibus, dbus : Out(axi4.Signature)
        Instruction line reads; data line transfers (id 0) and single accesses (id 1).
    probe : In(ProbeSignature)
        DMA's questions to the data cache.
    software_interrupt, timer_interrupt, external_interrupt_m, external_interrupt_s : In(1)
        mip.MSIP, MTIP, MEIP, SEIP lines.
    time : In(64)
        mtime.
    ram_end : In(pa_width)
        First address past DRAM.
    events : Out(events_layout), retire : Out(1)
        For statistics; an instruction retires.
    pc : Out(64), privilege : Out(2)
        Where the core is: the instruction in M, or the last one there.
    store_valid, store_address, store_data, store_mask : Out
        A cached store commits (physical doubleword address, byte lanes).
    rvfi : Out(Rvfi)
        With `config.rvfi`.
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        members = {
            "ibus": Out(axi4.Signature(addr_width=config.pa_width, data_width=64, id_width=1)),
            "dbus": Out(axi4.Signature(addr_width=config.pa_width, data_width=64, id_width=2)),
            "probe": In(ProbeSignature(config)),
            "software_interrupt": In(1),
            "timer_interrupt": In(1),
            "external_interrupt_m": In(1),
            "external_interrupt_s": In(1),
            "time": In(64),
            "ram_end": In(config.pa_width),
            "events": Out(events_layout()),
            "retire": Out(1),
            "pc": Out(64, init=config.reset_pc),
            "privilege": Out(2),
            "store_valid": Out(1),
            "store_address": Out(config.pa_width),
            "store_data": Out(64),
            "store_mask": Out(8),
        }
        if config.rvfi:
            members["rvfi"] = Out(Rvfi())
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.fetch = fetch = Fetch(config)
        m.submodules.expander = expander = Expander()
        m.submodules.decoder = decoder = Decoder()
        m.submodules.registers = registers = RegisterFile()
        m.submodules.alu = alu = Alu()
        m.submodules.multiplier = multiplier = Multiplier()
        m.submodules.divider = divider = Divider()
        m.submodules.memory = memory = MemoryUnit(config)
        m.submodules.csr = csr = CsrFile(config)
        m.submodules.pmp = pmp = Pmp(config)
        m.submodules.walker = walker = Walker(config)
        connect(m, flipped(self.ibus), fetch.bus)
        connect(m, flipped(self.dbus), memory.bus)
        connect(m, flipped(self.probe), memory.dma_probe)
        connect(m, fetch.probe, memory.fetch_probe)
        connect(m, walker.memory, memory.walker_memory)
        connect(m, walker.check, pmp.check)
        instruction = fetch.instruction

        # -- movement
        d_fire = Signal()  # D's instruction enters X
        x_fire = Signal()  # X's instruction enters M
        m_waits = Signal()  # M's instruction stays
        m_flush = Signal()  # M's instruction ends with a redirect: whatever is behind it was in vain
        x_redirect = Signal()
        m_redirect = Signal()
        m_redirect_pc = Signal(64)

        # -- stage registers
        x_valid = Signal()
        x_fresh = Signal()  # first cycle in X
        x_pc = Signal(64)
        x_next = Signal(64)
        x_insn = Signal(32)
        x_control = Signal(Control)
        x_immediate = Signal(64)
        x_rs1 = Signal(64)
        x_rs2 = Signal(64)
        x_late_rs2 = Signal()  # rs2 is the result of the instruction in M
        x_illegal = Signal()
        x_fault = Signal(FetchFault)
        x_fault_in_second_half = Signal()
        x_torn = Signal()
        x_taken = Signal()
        x_target = Signal(Target)
        x_known = Signal()
        x_way = Signal()
        x_counter = Signal(2)
        x_index = Signal(config.history_bits)
        x_history = Signal(config.history_bits)
        x_ras_top = Signal(range(config.ras_entries))

        m_valid = Signal()
        m_fresh = Signal()
        m_pc = Signal(64)
        m_next = Signal(64)
        m_insn = Signal(32)
        m_control = Signal(Control)
        m_rs1 = Signal(64)
        m_rs2 = Signal(64)
        m_address = Signal(64)
        m_value = Signal(64)
        m_illegal = Signal()
        m_fault = Signal(FetchFault)
        m_fault_in_second_half = Signal()
        m_result = Signal(64)
        m_retires = Signal()

        w_valid = Signal()
        w_rd = Signal(5)
        w_value = Signal(64)

        # ---------------------------------------------------------------------------------------------------- D
        m.d.comb += [
            expander.raw.eq(instruction.raw),
            decoder.insn.eq(expander.insn),
            decoder.compressed.eq(expander.compressed),
            decoder.compressed_illegal.eq(expander.illegal),
            registers.rs1.eq(decoder.rs1),
            registers.rs2.eq(decoder.rs2),
        ]
        x_result = Signal(64)
        x_late = Signal()  # X's result comes in M
        m.d.comb += x_late.eq((x_control.unit != Unit.ALU) & (x_control.unit != Unit.BRANCH))
        late_rs2 = Signal()
        hazards = []
        operands = []
        for number, field, value in (
            (decoder.rs1, decoder.control.rs1, registers.rs1_data),
            (decoder.rs2, decoder.control.rs2, registers.rs2_data),
        ):
            in_x = x_valid & (x_control.rd != 0) & (x_control.rd == number)
            in_m = m_valid & (m_control.rd != 0) & (m_control.rd == number)
            in_w = w_valid & (w_rd == number)
            waits = in_x & x_late & (field != 0)
            if value is registers.rs2_data:
                # what a store stores is not needed before M, when a load in front of it has ended
                m.d.comb += late_rs2.eq(waits & (decoder.control.unit == Unit.MEMORY))
                waits = waits & (decoder.control.unit != Unit.MEMORY)
            hazards.append(waits)
            operands.append(Mux(in_x, x_result, Mux(in_m, m_result, Mux(in_w, w_value, value))))
        hazard = Signal()
        d_bad = Signal()  # no instruction: operands do not matter
        m.d.comb += [
            d_bad.eq(instruction.fault.valid | instruction.torn | decoder.control.illegal),
            hazard.eq((hazards[0] | hazards[1]) & ~d_bad),
            d_fire.eq(
                instruction.valid & ~hazard & (~x_valid | x_fire) & ~m_waits & ~x_redirect & ~m_redirect & ~m_flush
            ),
            instruction.consume.eq(d_fire),
        ]
        m.d.sync += x_fresh.eq(d_fire)
        with m.If(d_fire):
            m.d.sync += [
                x_valid.eq(1),
                x_pc.eq(instruction.pc),
                x_next.eq(instruction.next_pc),
                x_insn.eq(Mux(expander.compressed, instruction.raw[:16], instruction.raw)),
                x_control.eq(decoder.control),
                x_immediate.eq(decoder.immediate),
                x_rs1.eq(operands[0]),
                x_rs2.eq(operands[1]),
                x_late_rs2.eq(late_rs2 & ~d_bad),
                x_illegal.eq(decoder.control.illegal),
                x_fault.eq(instruction.fault),
                x_fault_in_second_half.eq(instruction.fault_in_second_half),
                x_torn.eq(instruction.torn),
                x_taken.eq(instruction.taken),
                x_target.eq(instruction.target),
                x_known.eq(instruction.known),
                x_way.eq(instruction.way),
                x_counter.eq(instruction.counter),
                x_index.eq(instruction.index),
                x_history.eq(instruction.history),
                x_ras_top.eq(instruction.ras_top),
            ]
            with m.If(d_bad):
                m.d.sync += [x_control.rd.eq(0), x_control.unit.eq(Unit.ALU), x_control.branch.eq(Branch.NONE)]
        with m.Else():
            with m.If(x_late_rs2 & m_retires):
                m.d.sync += [x_rs2.eq(m_result), x_late_rs2.eq(0)]
            with m.If(x_fire | m_flush):
                m.d.sync += x_valid.eq(0)

        # ---------------------------------------------------------------------------------------------------- X
        x_is_memory = Signal()
        x_address = Signal(64)  # branch target, or memory address
        taken = Signal()
        wrong = Signal()
        length = Mux(x_control.compressed, 2, 4)
        base = Mux((x_control.branch == Branch.JALR) | (x_control.unit == Unit.MEMORY), x_rs1, x_pc)
        m.d.comb += [
            alu.op.eq(x_control.alu),
            alu.word.eq(x_control.word),
            alu.a.eq(Mux(x_control.operand_a == OperandA.PC, x_pc, x_rs1)),
            x_is_memory.eq(x_valid & (x_control.unit == Unit.MEMORY)),
            x_address.eq(base + x_immediate),
            x_result.eq(alu.result),
        ]
        with m.Switch(x_control.operand_b):
            with m.Case(OperandB.RS2):
                m.d.comb += alu.b.eq(x_rs2)
            with m.Case(OperandB.IMMEDIATE):
                m.d.comb += alu.b.eq(x_immediate)
            with m.Default():
                m.d.comb += alu.b.eq(length)

        conditional = x_control.branch == Branch.CONDITIONAL
        jump_target = Cat(Const(0, 1), x_address[1:])
        m.d.comb += [
            taken.eq(
                (x_control.branch == Branch.JAL) | (x_control.branch == Branch.JALR) | (conditional & alu.condition)
            ),
            wrong.eq((taken != x_taken) | (taken & (x_target.address()[1:] != x_address[1:]))),
            x_redirect.eq(x_valid & x_fresh & (x_torn | (wrong & ~x_illegal & ~x_fault.valid))),
        ]
        # training
        train = fetch.training
        is_branch = x_control.branch != Branch.NONE
        links = (x_control.rd == 1) | (x_control.rd == 5)
        returns = (x_control.branch == Branch.JALR) & ~links & ((x_control.rs1 == 1) | (x_control.rs1 == 5))
        teach = Signal()
        m.d.comb += [
            teach.eq(x_valid & x_fresh & ~x_fault.valid & ~x_illegal & (is_branch | x_known | x_torn)),
            train.address.eq(Mux(x_torn, x_pc, Cat(x_pc[0], x_next[1:] - 1))),
            train.counter_index.eq(x_index),
            train.entry_known.eq(x_known),
            train.entry_way.eq(x_way),
            train.entry_valid.eq(is_branch & ~x_torn),
            train.target.bits.eq(x_address[1:]),
            train.conditional.eq(conditional & (x_known | taken)),
            train.taken.eq(taken),
            train.history.eq(x_history),
            train.ras_top.eq(x_ras_top),
            train.link.bits.eq(x_next[1:]),
            train.repair.eq(x_redirect),
        ]
        with m.If(conditional):
            m.d.comb += train.kind.eq(BranchKind.CONDITIONAL)
        with m.Elif(links):
            m.d.comb += train.kind.eq(BranchKind.CALL)
        with m.Elif(returns):
            m.d.comb += train.kind.eq(BranchKind.RETURN)
        with m.Else():
            m.d.comb += train.kind.eq(BranchKind.JUMP)
        with m.If(teach):
            m.d.comb += [
                train.counter_write.eq(conditional & (x_known | taken)),
                train.entry_write.eq(Mux(is_branch & ~x_torn, taken & (wrong | ~x_known), x_known)),
            ]
        with m.If(~x_known):
            m.d.comb += train.counter.eq(2)
        with m.Elif(taken):
            m.d.comb += train.counter.eq(Mux(x_counter == 3, 3, x_counter + 1))
        with m.Else():
            m.d.comb += train.counter.eq(Mux(x_counter == 0, 0, x_counter - 1))

        m.d.comb += [
            multiplier.a.eq(x_rs1),
            multiplier.b.eq(x_rs2),
            multiplier.op.eq(x_control.mul),
            multiplier.word.eq(x_control.word),
            multiplier.start.eq(x_fire & (x_control.unit == Unit.MULTIPLY)),
            memory.x_memory.eq(x_is_memory),
            memory.x_address.eq(x_address),
            memory.x_enters.eq(x_fire & x_is_memory),
            x_fire.eq(x_valid & ~m_waits & ~(x_is_memory & memory.busy_port) & ~m_flush),
        ]
        m.d.sync += m_fresh.eq(x_fire)
        with m.If(x_fire):
            m.d.sync += [
                m_valid.eq(~x_torn),
                m_pc.eq(x_pc),
                m_next.eq(Mux(taken & ~x_illegal & ~x_fault.valid, jump_target, x_next)),
                m_insn.eq(x_insn),
                m_control.eq(x_control),
                m_rs1.eq(x_rs1),
                m_rs2.eq(Mux(x_late_rs2, m_result, x_rs2)),
                m_address.eq(x_address),
                m_value.eq(x_result),
                m_illegal.eq(x_illegal),
                m_fault.eq(x_fault),
                m_fault_in_second_half.eq(x_fault_in_second_half),
            ]
        with m.Elif(~m_waits):
            m.d.sync += m_valid.eq(0)

        # ---------------------------------------------------------------------------------------------------- M
        interrupted = Signal()
        excepted = Signal()
        cause = Signal(Cause)
        tval = Signal(64)
        go = Signal()  # executes: no exception known from before, not interrupted
        trapped = Signal()
        system = m_control.system
        is_system = m_control.unit == Unit.SYSTEM
        is_csr = m_control.unit == Unit.CSR
        is_memory = m_control.unit == Unit.MEMORY
        m.d.comb += [
            interrupted.eq(m_valid & m_fresh & csr.interrupt_pending),
            go.eq(m_valid & ~interrupted & ~m_illegal & ~m_fault.valid),
            csr.prepare.eq(x_fire),
            csr.prepare_address.eq(x_insn[20:32]),
            csr.access.eq(go & is_csr),
            csr.address.eq(m_insn[20:32]),
            csr.op.eq(m_control.csr),
            csr.operand.eq(Mux(m_control.csr_immediate, m_insn[15:20], m_rs1)),
            csr.return_supervisor.eq(system == System.SRET),
            memory.m_valid.eq(go & is_memory),
            memory.m_address.eq(m_address),
            memory.m_data.eq(m_rs2),
            memory.m_memory.eq(m_control.memory),
            memory.m_size.eq(m_control.size),
            memory.m_unsigned.eq(m_control.unsigned),
            memory.m_amo.eq(m_control.amo),
            memory.context.eq(csr.data_context),
            memory.ram_end.eq(self.ram_end),
            walker.ram_end.eq(self.ram_end),
            fetch.context.eq(csr.fetch_context),
            divider.a.eq(m_rs1),
            divider.b.eq(m_rs2),
            divider.op.eq(m_control.div),
            divider.word.eq(m_control.word),
            divider.start.eq(go & m_fresh & (m_control.unit == Unit.DIVIDE)),
        ]

        # exceptions, in order of priority (Privileged table 3.7)
        m.d.comb += tval.eq(0)
        with m.If(m_fault.valid):
            m.d.comb += [
                excepted.eq(1),
                cause.eq(Mux(m_fault.page, Cause.FETCH_PAGE, Cause.FETCH_ACCESS)),
                tval.eq(Mux(m_fault_in_second_half, m_pc + 2, m_pc)),
            ]
        with m.Elif(m_illegal | (is_csr & csr.illegal)):
            m.d.comb += [excepted.eq(1), cause.eq(Cause.ILLEGAL), tval.eq(m_insn)]
        with m.Elif(is_memory):
            m.d.comb += [
                excepted.eq(memory.done & memory.fault),
                cause.eq(memory.cause),
                tval.eq(memory.tval),
            ]
        with m.Elif(is_system):
            refused = Signal()
            with m.Switch(system):
                with m.Case(System.ECALL):
                    m.d.comb += excepted.eq(1)
                    with m.Switch(csr.privilege):
                        with m.Case(Privilege.USER):
                            m.d.comb += cause.eq(Cause.ECALL_U)
                        with m.Case(Privilege.SUPERVISOR):
                            m.d.comb += cause.eq(Cause.ECALL_S)
                        with m.Default():
                            m.d.comb += cause.eq(Cause.ECALL_M)
                with m.Case(System.EBREAK):
                    m.d.comb += [excepted.eq(1), cause.eq(Cause.BREAKPOINT)]
                with m.Case(System.MRET):
                    m.d.comb += refused.eq(csr.mret_illegal)
                with m.Case(System.SRET):
                    m.d.comb += refused.eq(csr.sret_illegal)
                with m.Case(System.WFI):
                    m.d.comb += refused.eq(csr.wfi_illegal)
                with m.Case(System.SFENCE_VMA):
                    m.d.comb += refused.eq(csr.sfence_illegal)
            with m.If(refused):
                m.d.comb += [excepted.eq(1), cause.eq(Cause.ILLEGAL), tval.eq(m_insn)]
        m.d.comb += [
            trapped.eq(m_valid & (interrupted | excepted)),
            csr.trap.valid.eq(trapped),
            csr.trap.interrupt.eq(interrupted),
            csr.trap.cause.eq(Mux(interrupted, csr.interrupt_cause, cause)),
            csr.trap.epc.eq(m_pc),
            csr.trap.tval.eq(Mux(interrupted, 0, tval)),
        ]

        # what takes its time
        ends = Signal()  # the instruction in M is over, if it does not trap
        refetch = Signal()  # and what follows is to be fetched again
        returning = Signal()
        m.d.comb += ends.eq(1)
        fence = Signal()
        fence_ends = Signal()
        fence_pmp = Signal()
        pmp_started = Signal()  # a PMP CSR was written, the TLBs are not flushed yet
        pmp_old = Signal(64)
        with m.Switch(m_control.unit):
            with m.Case(Unit.MEMORY):
                m.d.comb += ends.eq(memory.done)
            with m.Case(Unit.DIVIDE):
                m.d.comb += ends.eq(divider.done & ~m_fresh)  # `done` stays from the last division
            with m.Case(Unit.CSR):
                m.d.comb += [
                    ends.eq(Mux(csr.pmp_written | pmp_started, fence_ends, 1)),
                    refetch.eq(csr.flush | pmp_started),
                    fence_pmp.eq(csr.pmp_written),
                ]
            with m.Case(Unit.SYSTEM):
                with m.Switch(system):
                    with m.Case(System.MRET, System.SRET):
                        m.d.comb += returning.eq(1)
                    with m.Case(System.WFI):
                        m.d.comb += ends.eq(csr.wfi_wake)
                    with m.Case(System.FENCE):
                        m.d.comb += ends.eq(memory.drained)
                    with m.Case(System.FENCE_I, System.SFENCE_VMA):
                        m.d.comb += [fence.eq(go & ~excepted), ends.eq(fence_ends), refetch.eq(1)]
        m.d.comb += [
            m_waits.eq(m_valid & ~trapped & ~ends),
            m_retires.eq(m_valid & ~trapped & ends),
            m_flush.eq(trapped | (m_retires & (refetch | returning))),
            csr.commit.eq(go & is_csr & ~excepted & ~pmp_started),
            csr.mret.eq(m_retires & is_system & (system == System.MRET)),
            csr.sret.eq(m_retires & is_system & (system == System.SRET)),
            csr.retire.eq(m_retires),
        ]
        m.d.sync += [
            m_redirect.eq(m_flush),
            m_redirect_pc.eq(Mux(trapped, csr.trap_vector, Mux(returning, csr.return_pc, m_next))),
        ]
        m.d.comb += [
            fetch.redirect.eq(m_redirect | x_redirect),
            fetch.redirect_pc.eq(Mux(m_redirect, m_redirect_pc, Mux(x_torn, x_pc, Mux(taken, jump_target, x_next)))),
        ]

        # fences: nothing new is fetched, what is under way ends, then the flush
        sfence = memory.sfence
        m.d.comb += [
            sfence.by_address.eq((m_control.rs1 != 0) & ~pmp_started),
            sfence.by_asid.eq((m_control.rs2 != 0) & ~pmp_started),
            sfence.all_spaces.eq(pmp_started),
            sfence.va.eq(m_rs1),
            sfence.asid.eq(m_rs2[:16]),
            fetch.sfence.eq(sfence),
        ]
        with m.FSM(name="fence"):
            with m.State("No fence"):
                with m.If(csr.commit & fence_pmp):
                    m.d.sync += [pmp_started.eq(1), pmp_old.eq(csr.read_data)]
                    m.next = "Wait for the front end and the stores"
                with m.Elif(fence):
                    m.next = "Wait for the front end and the stores"
            with m.State("Wait for the front end and the stores"):
                m.d.comb += fetch.hold.eq(1)
                with m.If(fetch.idle & memory.drained & ~fetch.flushing & ~memory.flushing):
                    with m.If(~pmp_started & (system == System.FENCE_I)):
                        m.d.comb += fetch.flush_cache.eq(1)
                    with m.Else():
                        m.d.comb += [fetch.sfence_valid.eq(1), memory.sfence_valid.eq(1)]
                    m.next = "Flush"
            with m.State("Flush"):
                m.d.comb += fetch.hold.eq(1)
                with m.If(~fetch.flushing & ~memory.flushing):
                    m.d.comb += fence_ends.eq(1)
                    m.d.sync += pmp_started.eq(0)
                    m.next = "No fence"

        m.d.comb += m_result.eq(m_value)
        with m.Switch(m_control.unit):
            with m.Case(Unit.MEMORY):
                m.d.comb += m_result.eq(memory.result)
            with m.Case(Unit.MULTIPLY):
                m.d.comb += m_result.eq(multiplier.result)
            with m.Case(Unit.DIVIDE):
                m.d.comb += m_result.eq(divider.result)
            with m.Case(Unit.CSR):
                m.d.comb += m_result.eq(Mux(pmp_started, pmp_old, csr.read_data))

        # PMP CSRs live beside the walker
        m.d.comb += [
            pmp.select.eq(csr.pmp_select),
            pmp.address.eq(csr.pmp_address),
            pmp.write.eq(csr.pmp_write),
            pmp.write_data.eq(csr.pmp_write_data),
            csr.pmp_read_data.eq(pmp.read_data),
        ]

        # -- the walker serves data before fetch
        for_fetch = Signal()
        walking = Signal()
        m.d.comb += [
            walker.request.valid.eq(~walking & (memory.walk_valid | fetch.walk_valid)),
            walker.request.payload.eq(Mux(memory.walk_valid, memory.walk, fetch.walk)),
            walker.response.ready.eq(1),
            memory.walk_response.eq(walker.response.payload),
            fetch.walk_response.eq(walker.response.payload),
            memory.walk_done.eq(walking & ~for_fetch & walker.response.valid),
            fetch.walk_done.eq(walking & for_fetch & walker.response.valid),
        ]
        with m.If(walker.request.valid & walker.request.ready):
            m.d.sync += [walking.eq(1), for_fetch.eq(~memory.walk_valid)]
        with m.If(walking & walker.response.valid):
            m.d.sync += walking.eq(0)

        # ---------------------------------------------------------------------------------------------------- W
        m.d.sync += w_valid.eq(m_retires & (m_control.rd != 0))
        with m.If(m_retires):
            m.d.sync += [w_rd.eq(m_control.rd), w_value.eq(m_result)]
        m.d.comb += [
            registers.write.eq(w_valid),
            registers.rd.eq(w_rd),
            registers.rd_data.eq(w_value),
        ]

        # -- interrupts, time, status
        m.d.comb += [
            csr.software_interrupt.eq(self.software_interrupt),
            csr.timer_interrupt.eq(self.timer_interrupt),
            csr.external_interrupt_m.eq(self.external_interrupt_m),
            csr.external_interrupt_s.eq(self.external_interrupt_s),
            csr.time.eq(self.time),
            csr.events.eq(self.events),
            self.events.icache_miss.eq(fetch.miss_cache),
            self.events.itlb_miss.eq(fetch.miss_tlb),
            self.events.dcache_miss.eq(memory.miss),
            self.events.dtlb_miss.eq(memory.miss_tlb),
            self.events.dcache_writeback.eq(memory.write_back),
            self.events.branch.eq(m_retires & (m_control.unit == Unit.BRANCH)),
            self.events.branch_miss.eq(x_redirect),
            self.events.load.eq(m_retires & is_memory & (m_control.memory != Memory.STORE)),
            self.events.store.eq(m_retires & is_memory & (m_control.memory == Memory.STORE)),
            self.events.stall_frontend.eq(~instruction.valid & ~m_waits),
            self.events.stall_hazard.eq(instruction.valid & hazard & ~m_waits),
            self.events.stall_memory.eq(m_waits & is_memory),
            self.retire.eq(m_retires),
            self.privilege.eq(csr.privilege),
            self.store_valid.eq(memory.store_valid),
            self.store_address.eq(memory.store_address),
            self.store_data.eq(memory.store_data),
            self.store_mask.eq(memory.store_mask),
            self.pc.eq(m_pc),
        ]
        if config.rvfi:
            rvfi = self.rvfi
            order = Signal(64)
            after_interrupt = Signal()
            interrupt_cause = Signal(64)
            retires = m_retires | (trapped & ~interrupted)
            reads = is_memory & (m_control.memory != Memory.STORE) & (m_control.memory != Memory.STORE_CONDITIONAL)
            writes = is_memory & (
                (m_control.memory == Memory.STORE)
                | (m_control.memory == Memory.AMO)
                | ((m_control.memory == Memory.STORE_CONDITIONAL) & (m_result == 0))
            )
            mask = (1 << (1 << m_control.size)) - 1
            m.d.comb += [rvfi.ixl.eq(2), rvfi.order.eq(order)]
            m.d.sync += [
                rvfi.valid.eq(retires),
                order.eq(order + rvfi.valid),
                rvfi.insn.eq(m_insn),
                rvfi.trap.eq(trapped),
                rvfi.intr.eq(after_interrupt),
                rvfi.mode.eq(csr.privilege),
                rvfi.rs1_addr.eq(m_control.rs1),
                rvfi.rs2_addr.eq(m_control.rs2),
                rvfi.rs1_rdata.eq(Mux(m_control.rs1 != 0, m_rs1, 0)),
                rvfi.rs2_rdata.eq(Mux(m_control.rs2 != 0, m_rs2, 0)),
                rvfi.rd_addr.eq(Mux(trapped, 0, m_control.rd)),
                rvfi.rd_wdata.eq(Mux(trapped | (m_control.rd == 0), 0, m_result)),
                rvfi.pc_rdata.eq(m_pc),
                rvfi.pc_wdata.eq(Mux(trapped, csr.trap_vector, Mux(is_system & returning, csr.return_pc, m_next))),
                rvfi.mem_addr.eq(Mux(is_memory, m_address, 0)),
                rvfi.mem_rmask.eq(Mux(reads & ~trapped, mask, 0)),
                rvfi.mem_wmask.eq(Mux(writes & ~trapped, mask, 0)),
                rvfi.mem_rdata.eq(m_result),
                rvfi.mem_wdata.eq(Mux(m_control.memory == Memory.AMO, memory.amo_result, m_rs2)),
                rvfi.cause.eq(Mux(after_interrupt, interrupt_cause, cause)),
                rvfi.tval.eq(tval),
            ]
            with m.If(trapped & interrupted):
                m.d.sync += [after_interrupt.eq(1), interrupt_cause.eq(Cat(csr.interrupt_cause, Const(0, 57), 1))]
            with m.Elif(retires):
                m.d.sync += after_interrupt.eq(0)
        return m
