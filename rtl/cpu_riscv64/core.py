"""The pipeline: decode, execute, memory and write stages around fetch, the memory unit and the CSRs.

    F  fetch.instruction: aligned, expanded, in a register
    D  decode, read registers, take results that are still on their way (bypass)
    X  ALU; branches resolve; addresses go to the data cache
    M  memory access, second ALU, CSR, traps: what passes M has happened, in program order
    W  register file write

D, X and M move together: while M waits, nobody moves. Every redirect (X: misprediction; M: trap, return, fence,
misprediction) passes one register, so fetch hears of it in the next cycle. Killing is clearing `valid`. What is read
and ready when is the table in `resources`.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..bus import axi4
from .alu import Alu, AluControl, Comparator, alu_control
from .bits import Bits, is_bits
from .branches import BranchUnit, predicted_members
from .config import CoreConfig
from .csr import CsrFile, csr_values_layout
from .decoder import Decoder
from .divider import Divider
from .exceptions import Exceptions
from .fences import Fences
from .fetch.buffer import FetchFault
from .fetch.fetch import Fetch
from .interfaces import (
    Branch,
    Cause,
    Control,
    Memory,
    ProbeSignature,
    Rvfi,
    System,
    TrapRequest,
    Unit,
    events_layout,
)
from .memory.unit import MemoryUnit
from .mmu.pmp import Pmp
from .mmu.walker import Walker
from .multiplier import Multiplier
from .operands import Operands
from .register_file import RegisterFile
from .resources import result_in_m
from .rvfi import RvfiReport


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
    events : Out(events_layout)
        For statistics.
    retire, exception : Out(1)
        The instruction at `pc` retires; it raises an exception instead.
    pc : Out(64), privilege : Out(2)
        Where the core is: the instruction in M, or the last one there.
    csrs : Out(csr_values_layout)
        What the CSRs hold.
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
            "exception": Out(1),
            "csrs": Out(csr_values_layout(config)),
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
        m.submodules.decoder = decoder = Decoder()
        m.submodules.registers = registers = RegisterFile()
        m.submodules.operands = operands = Operands()
        m.submodules.alu = alu = Alu()
        m.submodules.late_alu = late_alu = Alu(reduced=True)
        m.submodules.comparator = comparator = Comparator()
        m.submodules.late_comparator = late_comparator = Comparator()
        m.submodules.bits = bits = Bits()
        m.submodules.branches = branches = BranchUnit(config)
        m.submodules.multiplier = multiplier = Multiplier()
        m.submodules.divider = divider = Divider()
        m.submodules.memory = memory = MemoryUnit(config)
        m.submodules.exceptions = exceptions = Exceptions()
        m.submodules.fences = fences = Fences()
        m.submodules.csr = csr = CsrFile(config)
        m.submodules.pmp = pmp = Pmp(config)
        m.submodules.walker = walker = Walker(config)
        connect(m, flipped(self.ibus), fetch.bus)
        connect(m, flipped(self.dbus), memory.bus)
        connect(m, flipped(self.probe), memory.dma_probe)
        connect(m, fetch.probe, memory.fetch_probe)
        connect(m, walker.memory, memory.walker_memory)
        connect(m, walker.check, pmp.check)
        connect(m, branches.training, fetch.training)
        connect(m, branches.repair, fetch.repair)
        instruction = fetch.instruction
        predicted = predicted_members(config)

        # -- movement
        d_fire = Signal()  # D's instruction enters X
        x_fire = Signal()  # X's instruction enters M
        x_blocked = Signal()  # it cannot yet
        m_waits = Signal()  # M's instruction stays
        m_flush = Signal()  # M's instruction ends with a redirect: whatever is behind it was in vain
        redirect = Signal()  # to fetch, a cycle later; what is in D then came the wrong way, too
        by_m = Signal()  # it is M's
        redirect_pc = Signal(64)
        m_redirect_pc = Signal(64)  # the two are kept apart: which counts is known last
        x_redirect_pc = Signal(64)

        # -- stage registers
        x_valid = Signal()
        x_fresh = Signal()  # first cycle in X
        x_pc = Signal(64)
        x_next = Signal(64)
        x_insn = Signal(32)
        x_control = Signal(Control)
        x_alu = Signal(AluControl)
        x_immediate = Signal(64)
        x_target = Signal(64)  # of a branch that is not indirect
        x_rs1 = Signal(64)
        x_rs2 = Signal(64)
        x_rs1_late = Signal()  # the operand is the result of the instruction in M
        x_rs2_late = Signal()
        x_needs = Signal()  # it is needed here: wait until it is an operand
        x_result_in_m = Signal()
        x_illegal = Signal()
        x_fault = Signal(FetchFault)
        x_fault_in_second_half = Signal()
        x_torn = Signal()

        m_valid = Signal()
        m_fresh = Signal()
        m_pc = Signal(64)
        m_insn = Signal(32)
        m_control = Signal(Control)
        m_alu = Signal(AluControl)
        m_rs1 = Signal(64)
        m_rs2 = Signal(64)
        m_address = Signal(64)
        m_value = Signal(64)
        m_deferred = Signal()  # the result comes from the second ALU
        m_bits = Signal()  # or from `bits`
        m_illegal = Signal()
        m_fault = Signal(FetchFault)
        m_fault_in_second_half = Signal()
        m_is_csr = Signal()
        m_raises = Signal()  # an exception whatever happens
        m_result = Signal(64)
        m_retires = Signal()

        w_valid = Signal()
        w_rd = Signal(5)
        w_value = Signal(64)

        # ---------------------------------------------------------------------------------------------------- D
        bad = Signal()  # no instruction: operands do not matter
        late = Signal()
        x_takes = Signal()  # X is free as soon as M moves
        m.d.comb += [
            decoder.insn.eq(instruction.insn),
            decoder.compressed.eq(instruction.compressed),
            decoder.compressed_illegal.eq(instruction.illegal),
            registers.rs1.eq(decoder.rs1),
            registers.rs2.eq(decoder.rs2),
            operands.control.eq(decoder.control),
            operands.rs1.eq(decoder.rs1),
            operands.rs2.eq(decoder.rs2),
            operands.rs1_data.eq(registers.rs1_data),
            operands.rs2_data.eq(registers.rs2_data),
            operands.x.valid.eq(x_valid),
            operands.x.rd.eq(x_control.rd),
            operands.x_result_in_m.eq(x_result_in_m),
            operands.m.valid.eq(m_valid),
            operands.m.rd.eq(m_control.rd),
            operands.w.valid.eq(w_valid),
            operands.w.rd.eq(w_rd),
            operands.w_value.eq(w_value),
            operands.immediate.eq(decoder.immediate),
            operands.pc.eq(instruction.pc),
            operands.next_pc.eq(instruction.next_pc),
            late.eq(operands.rs1_late | operands.rs2_late),
            bad.eq(instruction.fault.valid | instruction.torn | decoder.control.illegal),
            # what a redirect overtakes is killed where it arrives: the redirect comes too late to stop it
            d_fire.eq(instruction.valid & x_takes & ~m_waits),
            x_takes.eq(~x_valid | ~x_blocked),
            instruction.consume.eq(d_fire),
        ]
        m.d.sync += x_fresh.eq(d_fire)
        with m.If(d_fire):
            m.d.sync += [
                x_valid.eq(~branches.redirect & ~redirect),
                x_pc.eq(instruction.pc),
                x_next.eq(instruction.next_pc),
                x_insn.eq(instruction.raw),
                x_control.eq(decoder.control),
                *(x_alu[k].eq(v) for k, v in alu_control(decoder.control.alu, decoder.control.word).items()),
                x_immediate.eq(decoder.immediate),
                x_target.eq(instruction.pc + decoder.immediate),
                x_rs1_late.eq(operands.rs1_late & ~bad),
                x_rs2_late.eq(operands.rs2_late & ~bad),
                x_needs.eq(operands.hazard & ~bad),
                x_result_in_m.eq(result_in_m(decoder.control, late)),
                x_illegal.eq(decoder.control.illegal),
                x_fault.eq(instruction.fault),
                x_fault_in_second_half.eq(instruction.fault_in_second_half),
                x_torn.eq(instruction.torn),
                *(getattr(branches.predicted, name).eq(getattr(instruction, name)) for name in predicted),
            ]
            with m.If(bad):
                m.d.sync += [x_control.rd.eq(0), x_control.unit.eq(Unit.ALU), x_control.branch.eq(Branch.NONE)]
        with m.Else():
            with m.If(~m_waits):  # X stays where it is, or leaves: what it waited for is there now
                m.d.sync += [x_rs1_late.eq(0), x_rs2_late.eq(0), x_needs.eq(0)]
            with m.If(x_fire):
                m.d.sync += x_valid.eq(0)
        # Operands. Whenever M moves, X's may be written: they come from D, or are what the instruction in M gave, or
        # stay. So one signal enables them, the latest of all, and what it waits for is chosen before.
        takes = instruction.valid & x_takes
        for register, is_late, source in (
            (x_rs1, x_rs1_late, operands.rs1_source),
            (x_rs2, x_rs2_late, operands.rs2_source),
        ):
            from_m = Signal(name=f"{register.name}_from_m")
            stays = Signal(name=f"{register.name}_stays")
            m.d.comb += [
                from_m.eq(Mux(takes, source.from_m, is_late)),
                stays.eq(~takes & ~is_late),
            ]
            with m.If(~m_waits):
                m.d.sync += register.eq(
                    (m_result & from_m.replicate(64))
                    | (alu.result & (takes & source.from_x).replicate(64))
                    | (source.settled & takes.replicate(64))
                    | (register & stays.replicate(64))
                )

        # ---------------------------------------------------------------------------------------------------- X
        is_csr = m_control.unit == Unit.CSR
        x_is_memory = Signal()
        x_deferred = Signal()
        x_second = Signal(64)  # second operand, for M
        m.d.comb += [
            alu.control.eq(x_alu),
            alu.a.eq(x_rs1),
            x_is_memory.eq(x_valid & (x_control.unit == Unit.MEMORY)),
            x_deferred.eq(x_rs1_late | x_rs2_late),
            x_second.eq(Mux(x_control.branch == Branch.JALR, x_immediate, x_rs2)),
            alu.b.eq(x_rs2),
        ]

        m.d.comb += [
            branches.valid.eq(x_valid),
            branches.fresh.eq(x_fresh),
            branches.fire.eq(x_fire),
            branches.moves.eq(~m_waits),
            branches.sound.eq(~x_illegal & ~x_fault.valid),
            branches.torn.eq(x_torn),
            branches.late.eq(x_deferred & (x_control.unit == Unit.BRANCH)),
            branches.branch.eq(x_control.branch),
            branches.rd.eq(x_control.rd),
            branches.rs1.eq(x_control.rs1),
            comparator.op.eq(x_control.alu),
            comparator.a.eq(x_rs1),
            comparator.b.eq(x_rs2),
            branches.condition.eq(comparator.condition),
            branches.target.eq(x_target),
            branches.address.eq(memory.x_address),
            branches.pc.eq(x_pc),
            branches.next_pc.eq(x_next),
            multiplier.a.eq(x_rs1),
            multiplier.b.eq(x_rs2),
            multiplier.op.eq(x_control.mul),
            multiplier.word.eq(x_control.word),
            multiplier.start.eq(x_valid & (x_control.unit == Unit.MULTIPLY)),  # again and again while it cannot move
            bits.op.eq(x_control.alu),
            bits.word.eq(x_control.word),
            bits.a.eq(x_rs1),
            bits.condition.eq(comparator.condition),
            bits.hold.eq(~x_valid | (x_control.unit != Unit.ALU) | ~is_bits(x_control.alu)),
            memory.x_memory.eq(x_is_memory),
            memory.x_address.eq(x_rs1 + x_immediate),
            memory.x_size.eq(x_control.size),
            memory.x_kind.eq(x_control.memory),
            memory.x_enters.eq(x_fire & x_is_memory),
            memory.moves.eq(~m_waits),
            x_blocked.eq(x_needs | (x_is_memory & memory.busy_port)),
            x_fire.eq(x_valid & ~x_blocked & ~m_waits),
        ]
        m.d.sync += m_fresh.eq(x_fire)
        with m.If(x_fire):
            m.d.sync += m_pc.eq(x_pc)
        with m.If(~m_waits):
            m.d.sync += [
                m_valid.eq(x_fire & ~x_torn),
                m_insn.eq(x_insn),
                m_control.eq(x_control),
                m_alu.eq(x_alu),
                m_rs1.eq(Mux(x_rs1_late, m_result, x_rs1)),
                m_rs2.eq(Mux(x_rs2_late, m_result, x_second)),
                m_address.eq(memory.x_address),
                m_value.eq(alu.result),
                m_deferred.eq(x_deferred & (x_control.unit == Unit.ALU)),
                m_bits.eq((x_control.unit == Unit.ALU) & is_bits(x_control.alu)),
                m_illegal.eq(x_illegal),
                m_fault.eq(x_fault),
                m_fault_in_second_half.eq(x_fault_in_second_half),
                m_is_csr.eq(x_valid & (x_control.unit == Unit.CSR)),
                m_raises.eq(
                    x_illegal
                    | x_fault.valid
                    | (
                        (x_control.unit == Unit.SYSTEM)
                        & ((x_control.system == System.ECALL) | (x_control.system == System.EBREAK))
                    )
                ),
            ]

        # ---------------------------------------------------------------------------------------------------- M
        go = Signal()  # executes: no exception known from before, not interrupted
        m_settled = Signal()  # not in its second cycle, but in its first anything
        m_looked = ~m_fresh & m_settled  # so that a CSR was looked at
        # an exception or interrupt is noted in one cycle, and is taken in the next
        interrupted = Signal()
        raised = Signal()
        trapped = Signal()
        trap = Signal(TrapRequest)
        # decided a cycle ahead; not from what this cycle's instruction is about to change
        interrupt_pending = Signal()
        interrupt_cause = Signal(4)  # none is above 15
        m.d.sync += [
            interrupt_pending.eq(csr.interrupt_pending & ~csr.commit & ~csr.mret & ~csr.sret & ~trapped),
            interrupt_cause.eq(csr.interrupt_cause),
        ]
        system = m_control.system
        is_system = m_control.unit == Unit.SYSTEM
        is_memory = m_control.unit == Unit.MEMORY
        m.d.comb += [
            interrupted.eq(m_valid & m_fresh & interrupt_pending),
            raised.eq(m_valid & ~trapped & (interrupted | exceptions.raised)),
            go.eq(m_valid & ~interrupted & ~trapped & ~m_illegal & ~m_fault.valid),
            csr.prepare.eq(x_fire),
            csr.prepare_address.eq(x_insn[20:32]),
            csr.look.eq(m_is_csr & ~m_fresh),  # in its second cycle the CSR's address is decoded
            csr.access.eq(go & is_csr & m_looked),
            csr.address.eq(m_insn[20:32]),
            csr.op.eq(m_control.csr),
            csr.operand.eq(Mux(m_control.csr_immediate, m_insn[15:20], m_rs1)),
            csr.return_supervisor.eq(system == System.SRET),
            memory.m_valid.eq(m_valid & ~interrupted & ~trapped & is_memory),
            memory.m_data.eq(m_rs2),
            memory.m_memory.eq(m_control.memory),
            memory.m_size.eq(m_control.size),
            memory.m_unsigned.eq(m_control.unsigned),
            memory.m_amo.eq(m_control.amo),
            memory.ram_end.eq(self.ram_end),
            walker.ram_end.eq(self.ram_end),
            divider.a.eq(m_rs1),
            divider.b.eq(m_rs2),
            divider.op.eq(m_control.div),
            divider.word.eq(m_control.word),
            divider.start.eq(go & m_fresh & (m_control.unit == Unit.DIVIDE)),
            late_alu.control.eq(m_alu),
            late_alu.a.eq(m_rs1),
            late_alu.b.eq(m_rs2),
            bits.later_op.eq(m_control.alu),
            bits.later_word.eq(m_control.word),
            bits.later_a.eq(m_rs1),
            bits.later_b.eq(m_rs2),
            branches.retires.eq(m_retires),
            late_comparator.op.eq(m_control.alu),
            late_comparator.a.eq(m_rs1),
            late_comparator.b.eq(m_rs2),
            branches.late_condition.eq(late_comparator.condition),
            branches.late_address.eq(m_rs1 + m_rs2),  # (as the second ALU would, without its choices)
            exceptions.unit.eq(m_control.unit),
            exceptions.system.eq(system),
            exceptions.insn.eq(m_insn),
            exceptions.pc.eq(m_pc),
            exceptions.fault.eq(m_fault),
            exceptions.fault_in_second_half.eq(m_fault_in_second_half),
            exceptions.illegal.eq(m_illegal),
            exceptions.known.eq(m_raises),
            exceptions.valid.eq(m_valid & ~trapped),
            exceptions.privilege.eq(csr.privilege),
            exceptions.csr_illegal.eq(m_looked & csr.refused),
            exceptions.mret_illegal.eq(csr.mret_illegal),
            exceptions.sret_illegal.eq(csr.sret_illegal),
            exceptions.wfi_illegal.eq(csr.wfi_illegal),
            exceptions.sfence_illegal.eq(csr.sfence_illegal),
            exceptions.memory_fault.eq(memory.fault),
            exceptions.memory_cause.eq(memory.cause),
            exceptions.memory_tval.eq(memory.tval),
            csr.trap.eq(trap),
            csr.trap.valid.eq(trapped),
        ]
        m.d.sync += [
            m_settled.eq(~m_fresh),
            trapped.eq(raised),
            trap.interrupt.eq(interrupted),
            trap.cause.eq(Mux(interrupted, interrupt_cause, exceptions.cause)),
            trap.epc.eq(m_pc),
            trap.tval.eq(Mux(interrupted, 0, exceptions.tval)),
        ]

        # Both take them into registers, a cycle late: whatever changes them, fetch begins anew behind it.
        m.d.comb += [memory.context.eq(csr.data_context), fetch.context.eq(csr.fetch_context)]

        # what takes its time
        ends = Signal()  # the instruction in M is over, if it does not trap and is no load or store that hits
        refetch = Signal()  # and what follows is to be fetched again
        returning = Signal()
        m.d.comb += ends.eq(1)
        with m.Switch(m_control.unit):
            with m.Case(Unit.MEMORY):
                m.d.comb += ends.eq(memory.reply)
            with m.Case(Unit.DIVIDE):
                m.d.comb += ends.eq(divider.done & ~m_fresh)  # `done` stays from the last division
            with m.Case(Unit.CSR):
                m.d.comb += [
                    # (all this does not wait for `csr.access`)
                    ends.eq(Mux(csr.writes_pmp | fences.pmp_started, fences.ends, m_looked)),
                    refetch.eq((m_looked & csr.flushes) | fences.pmp_started),
                    fences.pmp_written.eq(csr.commit & csr.pmp_written),
                ]
            with m.Case(Unit.SYSTEM):
                with m.Switch(system):
                    # (what may be refused waits for that: a cycle)
                    with m.Case(System.MRET, System.SRET):
                        m.d.comb += [ends.eq(~m_fresh), returning.eq(1)]
                    with m.Case(System.WFI):
                        m.d.comb += ends.eq(~m_fresh & csr.wfi_wake)
                    with m.Case(System.FENCE):
                        m.d.comb += ends.eq(memory.drained)
                    with m.Case(System.FENCE_I, System.SFENCE_VMA):
                        m.d.comb += [
                            fences.fence.eq(go & ~m_fresh & ~exceptions.raised),
                            ends.eq(fences.ends),
                            refetch.eq(1),
                        ]
        m.d.comb += [
            # `memory.fast` comes late: all else is decided before
            m_waits.eq((m_valid & ~trapped & (raised | ~ends)) & ~memory.fast),
            m_retires.eq((m_valid & ~trapped & ~raised & ends) | memory.fast),
            m_flush.eq(trapped | (m_valid & ~raised & ends & (refetch | returning))),
            csr.commit.eq(csr.access & ~csr.illegal & ~fences.pmp_started),
            csr.mret.eq(m_retires & is_system & (system == System.MRET)),
            csr.sret.eq(m_retires & is_system & (system == System.SRET)),
            csr.retire.eq(m_retires),
        ]
        m_leaves = m_valid & (refetch | returning)  # what is in X will not be executed, wherever it goes
        m.d.comb += branches.overtaken.eq(m_leaves)
        m.d.sync += redirect.eq(m_flush | branches.wrong | branches.redirect)
        m.d.sync += [by_m.eq(trapped | m_leaves | branches.wrong), x_redirect_pc.eq(branches.redirect_pc)]
        with m.If(trapped):
            m.d.sync += m_redirect_pc.eq(csr.trap_vector)
        with m.Elif(m_leaves & returning):
            m.d.sync += m_redirect_pc.eq(csr.return_pc)
        with m.Else():
            m.d.sync += m_redirect_pc.eq(branches.otherwise)
        m.d.comb += redirect_pc.eq(Mux(by_m, m_redirect_pc, x_redirect_pc))
        with m.If(m_flush | branches.wrong):
            m.d.sync += [x_valid.eq(0), m_valid.eq(0)]
        m.d.comb += [fetch.redirect.eq(redirect), fetch.redirect_pc.eq(redirect_pc)]

        sfence = memory.sfence
        m.d.comb += [
            fences.instruction.eq(system == System.FENCE_I),
            fences.csr_value.eq(csr.read_data),
            fences.quiet.eq(fetch.idle & memory.drained),
            fences.flushing.eq(fetch.flushing | memory.flushing),
            fetch.hold.eq(fences.hold),
            fetch.flush_cache.eq(fences.flush_cache),
            fetch.sfence_valid.eq(fences.flush_translations),
            memory.sfence_valid.eq(fences.flush_translations),
            sfence.by_address.eq((m_control.rs1 != 0) & ~fences.pmp_started),
            sfence.by_asid.eq((m_control.rs2 != 0) & ~fences.pmp_started),
            sfence.all_spaces.eq(fences.pmp_started),
            sfence.va.eq(m_rs1),
            sfence.asid.eq(m_rs2[:16]),
            fetch.sfence.eq(sfence),
        ]

        early_result = Signal(64)  # the second ALU's comes later, and a load's that hits last
        m.d.comb += [
            early_result.eq(Mux(m_bits, bits.result, m_value)),
            m_result.eq(
                (memory.loaded & (is_memory & ~memory.reply).replicate(64))
                | Mux(m_deferred, late_alu.result, early_result)
            ),
        ]
        with m.Switch(m_control.unit):
            with m.Case(Unit.MEMORY):
                m.d.comb += early_result.eq(Mux(memory.reply, memory.reply_data, 0))
            with m.Case(Unit.MULTIPLY):
                m.d.comb += early_result.eq(multiplier.result)
            with m.Case(Unit.DIVIDE):
                m.d.comb += early_result.eq(divider.result)
            with m.Case(Unit.CSR):
                m.d.comb += early_result.eq(Mux(fences.pmp_started, fences.pmp_value, csr.read_data))

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
        m.d.sync += csr.events.eq(self.events)  # counted a cycle late: some come late in theirs
        m.d.comb += [
            csr.software_interrupt.eq(self.software_interrupt),
            csr.timer_interrupt.eq(self.timer_interrupt),
            csr.external_interrupt_m.eq(self.external_interrupt_m),
            csr.external_interrupt_s.eq(self.external_interrupt_s),
            csr.time.eq(self.time),
            self.events.icache_miss.eq(fetch.miss_cache),
            self.events.itlb_miss.eq(fetch.miss_tlb),
            self.events.dcache_miss.eq(memory.miss),
            self.events.dtlb_miss.eq(memory.miss_tlb),
            self.events.dcache_writeback.eq(memory.write_back),
            self.events.branch.eq(m_retires & (m_control.unit == Unit.BRANCH)),
            self.events.branch_miss.eq(branches.redirect | branches.wrong),
            self.events.load.eq(m_retires & is_memory & (m_control.memory != Memory.STORE)),
            self.events.store.eq(m_retires & is_memory & (m_control.memory == Memory.STORE)),
            self.events.stall_frontend.eq(~instruction.valid & ~m_waits),
            self.events.stall_hazard.eq(x_valid & x_needs & ~m_waits),
            self.events.stall_memory.eq(m_waits & is_memory),
            self.retire.eq(m_retires),
            self.exception.eq(trapped & ~trap.interrupt),
            self.csrs.eq(csr.values),
            self.privilege.eq(csr.privilege),
            self.store_valid.eq(memory.store_valid),
            self.store_address.eq(memory.store_address),
            self.store_data.eq(memory.store_data),
            self.store_mask.eq(memory.store_mask),
            self.pc.eq(m_pc),
        ]
        if config.rvfi:
            m.submodules.report = report = RvfiReport()
            connect(m, report.rvfi, flipped(self.rvfi))
            m.d.comb += [
                report.retires.eq(m_retires),
                report.trapped.eq(trapped),
                report.interrupted.eq(trap.interrupt),
                report.undecoded.eq(m_illegal | m_fault.valid),
                report.fetch_fault.eq(m_fault.valid),
                report.control.eq(m_control),
                report.insn.eq(m_insn),
                report.pc.eq(m_pc),
                report.next_pc.eq(Mux(is_system & returning, csr.return_pc, branches.follows)),
                report.rs1.eq(m_rs1),
                report.rs2.eq(m_rs2),
                report.result.eq(m_result),
                report.address.eq(m_address),
                report.store_data.eq(Mux(m_control.memory == Memory.AMO, memory.amo_result, m_rs2)),
                report.privilege.eq(csr.privilege),
                report.cause.eq(Cause(trap.cause[:4])),
                report.interrupt_cause.eq(trap.cause),
                report.tval.eq(trap.tval),
                report.trap_vector.eq(csr.trap_vector),
            ]
        return m
