"""Platform-level interrupt controller (sifive,plic-1.0.0; RISC-V PLIC specification 1.0.0).

    interrupt lines --> gateways (pending, claimed) --> scan --> one external interrupt a context
                                                               |
                                                               +--> the source a claim will take

Nothing is arbitrated while nothing changes. When a line or a register has changed, the scan visits the wired sources
one a cycle, up to the last that is pending, and keeps the best of each context; an access is answered after its scan,
so that software never sees an interrupt that its own store or claim has ended.

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
NUMBER_WIDTH = (plic.SOURCES - 1).bit_length()
PRIORITY_WIDTH = plic.Registers.priority.fields["level"].width


class Plic(wiring.Component):
    """Platform-level interrupt controller.

    Parameters
    ----------
    sources : sequence of int
        Source numbers that are wired, rising, in the order of `lines`.

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
        if not self.sources or any(one >= other for one, other in zip(self.sources, self.sources[1:], strict=False)):
            raise ValueError(f"sources must be rising numbers, at least one, not {sources!r}")
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
        m.submodules.registers = registers = RegisterDecoder(
            plic.Registers, addr_width=ADDRESS_WIDTH, answer_later=True
        )

        # Gateways, by position: bit n is the n-th source.
        pending = Signal(len(self.sources))
        claimed = Signal(len(self.sources))
        requests = Signal(len(self.sources))
        m.d.comb += requests.eq(self.lines & ~claimed & ~pending)

        # What the scan looks at: one position a cycle.
        remaining = Signal(len(self.sources))
        position = Signal(range(len(self.sources)))
        m.submodules.numbers = numbers = Memory(shape=NUMBER_WIDTH, depth=2 ** len(position), init=self.sources)
        number = numbers.read_port(domain="comb")
        scanned = number.data
        m.d.comb += number.addr.eq(position)

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
        winners = [Signal(NUMBER_WIDTH, name=f"winner_{c}") for c in range(plic.CONTEXTS)]
        winner_positions = [Signal.like(position, name=f"winner_position_{c}") for c in range(plic.CONTEXTS)]
        winner_priorities = [Signal(PRIORITY_WIDTH, name=f"winner_priority_{c}") for c in range(plic.CONTEXTS)]
        threshold, claim = registers.threshold, registers.claim
        m.d.comb += [
            registers.pending.value.eq(Array(self._pending_words(pending))[registers.pending.index_0]),
            threshold.value.level.eq(Array(thresholds)[threshold.index_0]),
            claim.value.eq(Array(winners)[claim.index_0]),
        ]
        for c, value in enumerate(thresholds):
            with m.If(threshold.write & (threshold.index_0 == c)):
                m.d.sync += value.eq(threshold.write_value.level)

        # Completion finds the gateway of a number by table: one more than its position, 0 for those not wired.
        places = {source: n + 1 for n, source in enumerate(self.sources)}
        m.submodules.gateways = gateways = Memory(
            shape=range(len(self.sources) + 1),
            depth=1 << NUMBER_WIDTH,
            init=[places.get(source, 0) for source in range(1 << NUMBER_WIDTH)],
        )
        gateway = gateways.read_port(domain="comb")
        m.d.comb += gateway.addr.eq(claim.write_value)
        completed = (1 << gateway.data)[1:]
        taken = Const(1) << Array(winner_positions)[claim.index_0]

        wiring.connect(m, wiring.flipped(self.bus), registers.bus)
        m.d.comb += [registers.ready.eq(0), registers.hold.eq(1)]
        with m.FSM():
            with m.State("clear memories"):
                m.d.sync += clear_at.eq(clear_at + 1)
                with m.If(clear_at == priorities.depth - 1):
                    m.d.sync += clearing.eq(0)
                    m.next = "idle"

            with m.State("idle"):
                m.d.comb += registers.hold.eq(0)
                with m.If(requests.any()):
                    m.d.sync += pending.eq(pending | requests)
                    m.next = "begin scan"
                with m.Else():
                    m.d.comb += registers.ready.eq(1)
                    with m.If(claim.read & (claim.value != 0)):
                        m.d.sync += [claimed.eq(claimed | taken), pending.eq(pending & ~taken)]
                    with m.If(claim.write & (claim.write_value < plic.SOURCES)):
                        m.d.sync += claimed.eq(claimed & ~completed)
                    with m.If(priority.write | enable.write | threshold.write | claim.write | claim.read):
                        m.next = "begin scan"

            with m.State("begin scan"):
                m.d.sync += [remaining.eq(pending), position.eq(0)]
                for c in range(plic.CONTEXTS):
                    m.d.sync += [winners[c].eq(0), winner_priorities[c].eq(thresholds[c])]
                m.next = "scan"

            with m.State("scan"):
                m.d.comb += scanning.eq(1)
                with m.If(remaining == 0):
                    m.d.sync += self.external.eq(Cat(winner != 0 for winner in winners))
                    m.next = "idle"
                with m.Else():
                    m.d.sync += [remaining.eq(remaining >> 1), position.eq(position + 1)]
                    for c in range(plic.CONTEXTS):
                        context_enabled = enable_read.data[32 * c : 32 * c + 32].bit_select(scanned[:5], 1)
                        with m.If(remaining[0] & context_enabled & (priority_read.data > winner_priorities[c])):
                            m.d.sync += [
                                winners[c].eq(scanned),
                                winner_positions[c].eq(position),
                                winner_priorities[c].eq(priority_read.data),
                            ]
        return m
