"""Platform-level interrupt controller (sifive,plic-1.0.0; RISC-V PLIC specification 1.0.0).

    interrupt lines --> gateways (pending, claimed) --> scan --> one external interrupt a context
                                                               |
                                                               +--> the source a claim will take

Nothing is arbitrated while nothing changes. When a line or a register has changed, the scan visits the pending sources,
one a cycle, and keeps the best of each context; an access is answered after its scan, so that software never sees an
interrupt that its own store or claim has ended.

A gateway makes a source pending when its line is high and no earlier interrupt of it is in service; from then on it
stays pending until it is claimed, whatever the line does, and a line that is still high at completion makes it pending
again (chapter 5 of the specification). Completion does not look at the enable bits (QEMU's does not either). Only wired
sources have gateways; priority and enable bits of the others hold what software writes, and do nothing.
"""

from collections.abc import Sequence

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from rtl.bus import register_bus
from rtl.registers import plic
from rtl.registers.decoder import RegisterDecoder

ADDRESS_WIDTH = (plic.Registers.size - 1).bit_length()
PRIORITY_WIDTH = plic.Registers.priority.fields["level"].width


class Plic(wiring.Component):
    """Platform-level interrupt controller.

    Parameters
    ----------
    sources : sequence of int
        Source numbers that are wired, in the order of `lines`.

    Members
    -------
    bus : In(register_bus)
        The registers; 32-bit accesses only.
    lines : In
        Level interrupts, one bit a wired source.
    external : Out(contexts)
        External interrupt of each context: even ones mip.MEIP, odd ones mip.SEIP of hart n / 2.
    """

    def __init__(self, *, sources: Sequence[int]):
        self.sources = tuple(sources)
        if not self.sources or len(set(self.sources)) != len(self.sources):
            raise ValueError(f"sources must be distinct numbers, at least one, not {sources!r}")
        for source in self.sources:
            if source not in range(1, plic.SOURCES):
                raise ValueError(f"a source is 1..{plic.SOURCES - 1}, not {source!r}")
        super().__init__(
            {
                "bus": In(register_bus.Signature(addr_width=ADDRESS_WIDTH)),
                "lines": In(len(self.sources)),
                "external": Out(plic.CONTEXTS),
            }
        )

    def _pending_words(self, pending: Signal) -> list[Cat]:
        """The gateways' pending bits at their places in the PENDING registers."""
        places = {source: pending[n] for n, source in enumerate(self.sources)}
        return [Cat(places.get(32 * word + bit, Const(0, 1)) for bit in range(32)) for word in range(plic.WORDS)]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.registers = registers = RegisterDecoder(plic.Registers, addr_width=ADDRESS_WIDTH)

        # Gateways
        pending = Signal(len(self.sources))
        claimed = Signal(len(self.sources))
        requests = Signal(len(self.sources))
        m.d.comb += requests.eq(self.lines & ~claimed & ~pending)

        # What the scan looks at: one source a cycle, the lowest number first.
        remaining = Signal(len(self.sources))
        scanned_bit = Signal(len(self.sources))
        scanned = Signal(range(plic.SOURCES))
        by_number = sorted(range(len(self.sources)), key=lambda n: self.sources[n])
        with m.If(remaining[by_number[0]]):
            m.d.comb += [scanned.eq(self.sources[by_number[0]]), scanned_bit.eq(1 << by_number[0])]
        for n in by_number[1:]:
            with m.Elif(remaining[n]):
                m.d.comb += [scanned.eq(self.sources[n]), scanned_bit.eq(1 << n)]

        # Priorities and enable bits are memories: written and read by software, read by the scan.
        m.submodules.priorities = priorities = Memory(shape=PRIORITY_WIDTH, depth=128, init=[])
        m.submodules.enables = enables = Memory(shape=32 * plic.CONTEXTS, depth=4, init=[])
        priority_write, priority_read = priorities.write_port(), priorities.read_port(domain="comb")
        enable_write, enable_read = enables.write_port(granularity=32), enables.read_port(domain="comb")
        priority, enable = registers.priority, registers.enable
        scanning = Signal()
        clearing = Signal(init=1)
        clear_at = Signal(range(priorities.depth))
        m.d.comb += [
            priority_read.addr.eq(Mux(scanning, scanned, priority.index_0 + 1)),
            priority_write.addr.eq(Mux(clearing, clear_at, priority.index_0 + 1)),
            priority_write.data.eq(Mux(clearing, 0, priority.write_value.level)),
            priority_write.en.eq(clearing | priority.write),
            priority.value.level.eq(priority_read.data),
            enable_read.addr.eq(Mux(scanning, scanned[5:], enable.index_1)),
            enable_write.addr.eq(Mux(clearing, clear_at, enable.index_1)),
            enable_write.data.eq(Mux(clearing, 0, enable.write_value.replicate(plic.CONTEXTS))),
            enable.value.eq(enable_read.data.word_select(enable.index_0, 32)),
        ]
        for context in range(plic.CONTEXTS):
            m.d.comb += enable_write.en[context].eq(clearing | enable.write & (enable.index_0 == context))

        # Contexts
        thresholds = [Signal(PRIORITY_WIDTH, name=f"threshold_{c}") for c in range(plic.CONTEXTS)]
        winners = [Signal(range(plic.SOURCES), name=f"winner_{c}") for c in range(plic.CONTEXTS)]
        winner_priorities = [Signal(PRIORITY_WIDTH, name=f"winner_priority_{c}") for c in range(plic.CONTEXTS)]
        threshold, claim = registers.threshold, registers.claim
        m.d.comb += [
            registers.pending.value.eq(Array(self._pending_words(pending))[registers.pending.index_0]),
            threshold.value.level.eq(Array(thresholds)[threshold.index_0]),
            claim.value.eq(Array(winners)[claim.index_0]),
        ]

        def gateway(source: Signal) -> Cat:
            return Cat(source == number for number in self.sources)

        # An access reaches the registers in one cycle, and its answer waits for the scan.
        answer = Signal(64)
        answer_error = Signal()
        answering = Signal()
        wiring.connect(m, wiring.flipped(self.bus), registers.bus)
        m.d.comb += [
            registers.bus.valid.eq(0),
            self.bus.done.eq(0),
            self.bus.read_data.eq(answer),
            self.bus.error.eq(answer_error),
        ]

        with m.FSM():
            with m.State("clear memories"):
                m.d.sync += clear_at.eq(clear_at + 1)
                with m.If(clear_at == priorities.depth - 1):
                    m.d.sync += clearing.eq(0)
                    m.next = "idle"

            with m.State("idle"):
                m.d.sync += answering.eq(0)
                with m.If(requests.any()):
                    m.d.sync += pending.eq(pending | requests)
                    m.next = "begin scan"
                with m.Elif(self.bus.valid):
                    m.d.comb += registers.bus.valid.eq(1)
                    m.d.sync += [
                        answer.eq(registers.bus.read_data),
                        answer_error.eq(registers.bus.error),
                        answering.eq(1),
                    ]
                    for c, value in enumerate(thresholds):
                        with m.If(threshold.write & (threshold.index_0 == c)):
                            m.d.sync += value.eq(threshold.write_value.level)
                    with m.If(claim.read):
                        m.d.sync += [
                            claimed.eq(claimed | gateway(claim.value)),
                            pending.eq(pending & ~gateway(claim.value)),
                        ]
                    with m.If(claim.write):
                        m.d.sync += claimed.eq(claimed & ~gateway(claim.write_value))
                    m.next = "begin scan"
                    with m.If(~self.bus.write & ~claim.read):
                        m.next = "answer"

            with m.State("begin scan"):
                m.d.sync += remaining.eq(pending)
                for c in range(plic.CONTEXTS):
                    m.d.sync += [winners[c].eq(0), winner_priorities[c].eq(thresholds[c])]
                m.next = "scan"

            with m.State("scan"):
                m.d.comb += scanning.eq(1)
                with m.If(remaining == 0):
                    m.d.sync += self.external.eq(Cat(winner != 0 for winner in winners))
                    m.next = "idle"
                    with m.If(answering):
                        m.next = "answer"
                with m.Else():
                    m.d.sync += remaining.eq(remaining & ~scanned_bit)
                    enabled = enable_read.data
                    for c in range(plic.CONTEXTS):
                        context_enabled = enabled[32 * c : 32 * c + 32].bit_select(scanned[:5], 1)
                        with m.If(context_enabled & (priority_read.data > winner_priorities[c])):
                            m.d.sync += [winners[c].eq(scanned), winner_priorities[c].eq(priority_read.data)]

            with m.State("answer"):
                m.d.comb += self.bus.done.eq(1)
                m.next = "idle"
        return m
