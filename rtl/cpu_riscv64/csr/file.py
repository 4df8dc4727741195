"""The control and status registers, trap entry and return, and the state the rest of the core depends on.

Everything here happens in the M stage in program order. Storage, the read multiplexer, write masks and legality come
from the table (`table.py`); what is special about a CSR (views, traps, WARL fields that look at the value) is written
out below. A register of the table is one 64-bit signal, of which only the writable bits are ever assigned: the others
keep their reset value and vanish in synthesis.
"""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..config import CoreConfig
from ..interfaces import CsrOp, Privilege, TranslationContext, TrapRequest, events_layout
from .counters import Counters
from .decode import Check, Decoder, places, select
from .interrupts import PRIORITY, InterruptChoice, dense, spread
from .table import SEI, SSI, STI, Accept, Csr, Source, csr_table, csr_values_layout

# mstatus bits
_SIE, _MIE, _SPIE, _MPIE, _SPP, _MPRV, _SUM, _MXR, _TVM, _TW, _TSR = 1, 3, 5, 7, 8, 17, 18, 19, 20, 21, 22
_MPP = slice(11, 13)
_STCE = 63  # menvcfg
_TM = 1  # mcounteren


def _runs(mask: int) -> list[slice]:
    """The runs of ones of a mask, as slices."""
    runs, low = [], 0
    while mask >> low:
        if mask >> low & 1:
            high = low
            while mask >> high & 1:
                high += 1
            runs.append(slice(low, high))
            low = high
        low += 1
    return runs


class CsrFile(wiring.Component):
    """CSRs of an M/S/U hart with Sstc and PMP (Privileged 1.12, chapters 2 to 4).

    `python -m rtl.cpu_riscv64.csr.table` prints what there is.

    State changes at the clock edge that ends a cycle with `commit`, `trap.valid`, `mret` or `sret`; at most one of them
    may be set in a cycle, and `commit` does nothing where `illegal`.

    Parameters
    ----------
    config : CoreConfig
        hart_id, asid_width, pmp_entries and hpm_counters are used.

    Members
    -------
    prepare, prepare_address : In(1), In(12)
        An instruction (of any kind) enters M at this clock edge, and its CSR field.
    look : In(1)
        A CSR instruction is in M, two cycles after its `prepare` or later: its CSR is read and its access judged, at
        the clock edge.
    access : In(1)
        With `look`, and so was the cycle before. Without it `illegal`, `flush` and the PMP outputs are 0, `read_data`
        is anything.
    address, op, operand : In(12), In(CsrOp), In(64)
        The instruction: its CSR, what it does, and rs1's value or the immediate.
    commit : In(1)
        The instruction completes in this cycle: its write takes effect.
    read_data : Out(64)
        The value before the write, a cycle ago.
    illegal : Out(1)
        The access raises an illegal-instruction exception: no such CSR, mode too low, read-only, or a guard.
    flush : Out(1)
        The write changes translation, protection, a counter, or which interrupts are taken (that is looked at again
        at once, Privileged 3.1.9): instructions behind it must be fetched again.
    refused, flushes, writes_pmp : Out(1)
        What `illegal` and `flush` say, and whether a PMP CSR is written, where there is `access`; sooner, and anything
        where there is none.
    pmp_written : Out(1)
        One cycle, with `commit`: a PMP CSR changes; TLB entries hold stale permissions.
    trap : In(TrapRequest)
        A trap is taken.
    trap_vector : Out(64)
        Where that trap goes. Combinational.
    mret, sret : In(1)
        The return completes in this cycle.
    return_supervisor : In(1)
        Selects `return_pc`: 1 sepc, 0 mepc. May be set ahead of `sret`.
    return_pc : Out(64)
        Target of the return. Combinational.
    mret_illegal, sret_illegal, wfi_illegal, sfence_illegal : Out(1)
        The instruction is illegal in the current mode (Privileged 3.1.6.5, 3.3.2, 3.3.3, 4.2.1).
    privilege : Out(Privilege)
        Current mode.
    fetch_context, data_context : Out(TranslationContext)
        What fetches and data accesses are translated with; the latter obeys mstatus.MPRV.
    interrupt_pending, interrupt_cause : Out(1), Out(6)
        An interrupt is to be taken now, and which. Combinational from registers and the interrupt inputs.
    wfi_wake : Out(1)
        An interrupt is pending and enabled in mie: WFI ends.
    software_interrupt, timer_interrupt, external_interrupt_m, external_interrupt_s : In(1)
        Lines of CLINT and PLIC, of this clock domain.
    time : In(64)
        mtime.
    retire, events : In(1), In(events_layout())
        For the counters; `retire` in the cycle in which an instruction completes in M.
    pmp_select, pmp_address, pmp_write, pmp_write_data, pmp_read_data : Out(1), Out(12), Out(1), Out(64), In(64)
        PMP CSRs, which live in the PMP component: an access, its CSR, the write (with `commit`), new and present value.
    values : Out(csr_values_layout)
        What the CSRs hold.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__(
            {
                "prepare": In(1),
                "prepare_address": In(12),
                "look": In(1),
                "access": In(1),
                "address": In(12),
                "op": In(CsrOp),
                "operand": In(64),
                "commit": In(1),
                "read_data": Out(64),
                "illegal": Out(1),
                "flush": Out(1),
                "refused": Out(1),
                "flushes": Out(1),
                "writes_pmp": Out(1),
                "pmp_written": Out(1),
                "trap": In(TrapRequest),
                "trap_vector": Out(64),
                "mret": In(1),
                "sret": In(1),
                "return_supervisor": In(1),
                "return_pc": Out(64),
                "mret_illegal": Out(1),
                "sret_illegal": Out(1),
                "wfi_illegal": Out(1),
                "sfence_illegal": Out(1),
                "privilege": Out(Privilege, init=Privilege.MACHINE),
                "fetch_context": Out(TranslationContext),
                "data_context": Out(TranslationContext),
                "interrupt_pending": Out(1),
                "interrupt_cause": Out(6),
                "wfi_wake": Out(1),
                "software_interrupt": In(1),
                "timer_interrupt": In(1),
                "external_interrupt_m": In(1),
                "external_interrupt_s": In(1),
                "time": In(64),
                "retire": In(1),
                "events": In(events_layout()),
                "pmp_select": Out(1),
                "pmp_address": Out(12),
                "pmp_write": Out(1),
                "pmp_write_data": Out(64),
                "pmp_read_data": In(64),
                "values": Out(csr_values_layout(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        table = csr_table(self._config)
        m.submodules.counters = counters = Counters(self._config)
        m.submodules.decoder = decoder = Decoder(table)
        m.submodules.interrupts = interrupts = InterruptChoice()

        # --- registers and views ---------------------------------------------------------------------------------
        registers = {c.name: Signal(64, name=c.name, init=c.reset) for c in table if c.source is Source.REGISTER}
        by_name = {c.name: c for c in table}
        mstatus = registers["mstatus"]
        menvcfg, mcounteren, satp = registers["menvcfg"], registers["mcounteren"], registers["satp"]

        # Interrupt vectors are dense, in the order of PRIORITY; `spread` gives the CSR's form.
        mie, mideleg, mip = Signal(6), Signal(6), Signal(6)
        software = Signal(3)  # the bits of mip that software sets: SEIP, SSIP, STIP
        software_seip, software_ssip, software_stip = software
        timer_passed = Signal()  # time >= stimecmp, as of the last cycle
        m.d.comb += mip.eq(
            Cat(
                self.external_interrupt_m,
                self.software_interrupt,
                self.timer_interrupt,
                software_seip | self.external_interrupt_s,
                software_ssip,
                Mux(menvcfg[_STCE], timer_passed, software_stip),
            )
        )
        m.d.sync += timer_passed.eq(self.time >= registers["stimecmp"])

        views: dict[str, Value] = {
            "mideleg": spread(mideleg),
            "mie": spread(mie),
            "mip": spread(mip),
            "sie": spread(mie & mideleg),
            "sip": spread(mip & mideleg),
            "sstatus": mstatus & sum(f.mask for f in by_name["sstatus"].fields),
            "time": self.time,
        }

        # --- what is accessed ------------------------------------------------------------------------------------
        decoded = decoder.decoded
        place = places(table)
        machine, user = self.privilege == Privilege.MACHINE, self.privilege == Privilege.USER
        number = self.address[:5]
        writes, allowed, old = Signal(), Signal(), Signal(64)
        counted = Signal()
        prepared_counter = Signal(5)  # a cycle ahead of `look`
        with m.If(self.prepare):
            m.d.sync += prepared_counter.eq(self.prepare_address[:5])
        place_read = Signal(6)  # still where nothing is accessed: that is cheap to simulate
        m.d.comb += [
            decoder.enable.eq(self.prepare),
            decoder.address.eq(self.prepare_address),
            place_read.eq(Mux(self.look, decoded.place, 0)),
            counters.number.eq(number),
            counters.read_number.eq(prepared_counter),
            writes.eq(self.op != CsrOp.READ),
        ]
        # what is read passes a register; a counter's value already did
        counting = place["mcycle"]
        m.d.sync += old.eq(
            select(
                place_read,
                {place[c.name]: self._value(c, registers, views, counters) for c in table if place[c.name] != counting},
            )
        )
        with m.Switch(decoded.check):
            with m.Case(Check.NONE):
                m.d.comb += allowed.eq(self.privilege.as_value() >= self.address[8:10])
            with m.Case(Check.COUNTER):
                enabled_for_user = registers["scounteren"].bit_select(number, 1) | ~user
                m.d.comb += allowed.eq(machine | mcounteren.bit_select(number, 1) & enabled_for_user)
            with m.Case(Check.STIMECMP):
                m.d.comb += allowed.eq(machine | ~user & menvcfg[_STCE] & mcounteren[_TM])
            with m.Case(Check.SATP):
                m.d.comb += allowed.eq(machine | ~user & ~mstatus[_TVM])
        exists = decoded.place != 0
        m.d.sync += [
            self.refused.eq(~exists | ~allowed | writes & (self.address[10:12] == 3)),
            counted.eq(decoded.place == counting),
        ]
        m.d.comb += [
            self.illegal.eq(self.access & self.refused),
            self.read_data.eq(Mux(counted, counters.value, old)),
            self.flushes.eq(writes & decoded.flush),
            self.writes_pmp.eq(writes & decoded.pmp),
            self.flush.eq(self.access & self.flushes),
            self.pmp_select.eq(self.look & decoded.pmp),
        ]

        # --- the write -------------------------------------------------------------------------------------------
        def modified(value: Value, operand: Value) -> Value:
            set_, clear = self.op == CsrOp.SET, self.op == CsrOp.CLEAR
            return Mux(clear, value & ~operand, Mux(set_, value | operand, operand))

        new = Signal(64)
        write = Signal()
        m.d.comb += [
            new.eq(modified(self.read_data, self.operand)),
            write.eq(self.access & self.commit & writes & ~self.illegal),
            counters.write_data.eq(new),
            counters.retire.eq(self.retire),
            counters.events.eq(self.events),
            self.pmp_address.eq(self.address),
            self.pmp_write_data.eq(new),
            self.pmp_write.eq(write & self.pmp_select),
            self.pmp_written.eq(write & self.pmp_select),
        ]
        with m.If(write):
            with m.Switch(Mux(write, decoded.place, 0)):
                for csr in {place[c.name]: c for c in reversed(table)}.values():
                    if csr.source in (Source.CONSTANT, Source.PMP):
                        continue
                    with m.Case(place[csr.name]):
                        if csr.source in (Source.COUNTER, Source.COUNTER_CONTROL):
                            enable = {"mcountinhibit": counters.write_inhibit, "mhpmevent": counters.write_event}
                            m.d.comb += enable.get(csr.name, counters.write).eq(1)
                        elif csr.source is Source.REGISTER:
                            with m.If(self._accepted(csr, new)):
                                m.d.sync += [registers[csr.name][run].eq(new[run]) for run in _runs(csr.write_mask)]
                        match csr.name:
                            case "mstatus":
                                with m.If(new[_MPP] != 2):
                                    m.d.sync += mstatus[_MPP].eq(new[_MPP])
                            case "sstatus":
                                m.d.sync += [mstatus[b].eq(new[b]) for b in (_SIE, _SPIE, _SPP, _SUM, _MXR)]
                            case "mie":
                                m.d.sync += mie.eq(dense(new))
                            case "mideleg":
                                m.d.sync += mideleg[3:].eq(dense(new)[3:])
                            case "sie":
                                m.d.sync += mie.eq(mie & ~mideleg | dense(new) & mideleg)
                            case "sip":
                                with m.If(mideleg[PRIORITY.index(SSI)]):
                                    m.d.sync += software_ssip.eq(new[SSI])
                            case "mip":
                                m.d.sync += software_ssip.eq(new[SSI])
                                # Set and clear must not copy the PLIC's line into the software bit (Privileged 3.1.9).
                                m.d.sync += software_seip.eq(modified(software_seip, self.operand[SEI]))
                                with m.If(~menvcfg[_STCE]):
                                    m.d.sync += software_stip.eq(new[STI])
                            case "stimecmp":
                                # The old comparison is void: no interrupt may be seen that the handler just put off.
                                m.d.sync += timer_passed.eq(0)

        # --- traps -----------------------------------------------------------------------------------------------
        trap = self.trap
        delegated = Signal()
        to_supervisor = Signal()
        vector, offset = Signal(64), Signal(6)
        m.d.comb += [
            delegated.eq(Mux(trap.interrupt, spread(mideleg), registers["medeleg"]).bit_select(trap.cause, 1)),
            to_supervisor.eq(delegated & (self.privilege != Privilege.MACHINE)),
            vector.eq(Mux(to_supervisor, registers["stvec"], registers["mtvec"])),
            offset.eq(Mux(trap.interrupt & vector[0], trap.cause, 0)),
            self.trap_vector.eq(Cat(C(0, 2), (vector[2:] + offset)[:62])),
        ]
        with m.If(trap.valid):
            cause = Cat(trap.cause, trap.interrupt)
            with m.If(to_supervisor):
                m.d.sync += [
                    registers["sepc"][1:].eq(trap.epc[1:]),
                    Cat(registers["scause"][:6], registers["scause"][63]).eq(cause),
                    registers["stval"].eq(trap.tval),
                    mstatus[_SPIE].eq(mstatus[_SIE]),
                    mstatus[_SIE].eq(0),
                    mstatus[_SPP].eq(self.privilege == Privilege.SUPERVISOR),
                    self.privilege.eq(Privilege.SUPERVISOR),
                ]
            with m.Else():
                m.d.sync += [
                    registers["mepc"][1:].eq(trap.epc[1:]),
                    Cat(registers["mcause"][:6], registers["mcause"][63]).eq(cause),
                    registers["mtval"].eq(trap.tval),
                    mstatus[_MPIE].eq(mstatus[_MIE]),
                    mstatus[_MIE].eq(0),
                    mstatus[_MPP].eq(self.privilege),
                    self.privilege.eq(Privilege.MACHINE),
                ]

        # --- returns ---------------------------------------------------------------------------------------------
        m.d.comb += self.return_pc.eq(Mux(self.return_supervisor, registers["sepc"], registers["mepc"]))
        with m.If(self.mret):
            m.d.sync += [
                mstatus[_MIE].eq(mstatus[_MPIE]),
                mstatus[_MPIE].eq(1),
                mstatus[_MPP].eq(Privilege.USER),
                self.privilege.eq(Privilege(mstatus[_MPP])),
            ]
            with m.If(mstatus[_MPP] != Privilege.MACHINE.value):
                m.d.sync += mstatus[_MPRV].eq(0)
        with m.If(self.sret):
            m.d.sync += [
                mstatus[_SIE].eq(mstatus[_SPIE]),
                mstatus[_SPIE].eq(1),
                mstatus[_SPP].eq(0),
                mstatus[_MPRV].eq(0),
                self.privilege.eq(Mux(mstatus[_SPP], Privilege.SUPERVISOR, Privilege.USER)),
            ]
        supervisor = self.privilege == Privilege.SUPERVISOR
        m.d.comb += [
            self.mret_illegal.eq(~machine),
            self.sret_illegal.eq(user | (supervisor & mstatus[_TSR])),
            self.wfi_illegal.eq(user | (supervisor & mstatus[_TW])),
            self.sfence_illegal.eq(user | (supervisor & mstatus[_TVM])),
        ]

        # --- what the rest of the core sees ----------------------------------------------------------------------
        for context in (self.fetch_context, self.data_context):
            m.d.comb += [
                context.privilege.eq(self.privilege),
                context.sv39.eq(satp[63]),
                context.asid.eq(satp[44:60]),
                context.root.eq(satp[:44]),
                context.sum.eq(mstatus[_SUM]),
                context.mxr.eq(mstatus[_MXR]),
            ]
        # MPRV can be set in M-mode only: every way out of M-mode clears it.
        with m.If(mstatus[_MPRV]):
            m.d.comb += self.data_context.privilege.eq(Privilege(mstatus[_MPP]))
        m.d.comb += [
            interrupts.pending.eq(mip),
            interrupts.enabled.eq(mie),
            interrupts.delegated.eq(mideleg),
            interrupts.privilege.eq(self.privilege),
            interrupts.mie.eq(mstatus[_MIE]),
            interrupts.sie.eq(mstatus[_SIE]),
            self.interrupt_pending.eq(interrupts.valid),
            self.interrupt_cause.eq(interrupts.cause),
            self.wfi_wake.eq(interrupts.wake),
            *(self.values[name].eq(registers.get(name, views.get(name))) for name in self.values.shape().members),
        ]
        return m

    def _value(self, csr: Csr, registers: dict[str, Signal], views: dict[str, Value], counters: Counters) -> Value:
        """What a read of this CSR gives."""
        match csr.source:
            case Source.REGISTER:
                return registers[csr.name]
            case Source.CONSTANT:
                return C(csr.reset, 64)
            case Source.VIEW:
                return views[csr.name]
            case Source.PMP:
                return self.pmp_read_data
            case Source.COUNTER:
                return counters.value
            case Source.COUNTER_CONTROL:
                return {"mcountinhibit": counters.inhibit, "mhpmevent": counters.event}[csr.name]

    @staticmethod
    def _accepted(csr: Csr, new: Value) -> Value:
        """Whether the register takes a write of this value at all."""
        match csr.accept:
            case Accept.ALWAYS:
                return C(1)
            case Accept.TVEC_MODE:
                return ~new[1]
            case Accept.SATP_MODE:
                return new[60:63] == 0
