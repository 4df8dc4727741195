"""The 64-bit counters: mcycle, minstret, mhpmcounter3.. with mhpmevent and mcountinhibit.

Ten 64-bit adders would be a tenth of the core. Here a counter is a 64-bit word in a small memory plus a few bits of
pending increments in flip-flops; one adder visits the counters in turn and moves their pending increments to memory:

    events --select--> +1 in `pending[slot]` ---+
                                                 v
                 memory[turn] ---------------> adder ---> memory[turn], pending[turn] starts again

The value of a counter is always memory + pending, so reads are exact; they give the value a cycle late, so that the
addition is not in one path with what is done with the value. Bit n of all pending numbers is
one word, `planes[n]`: counting is half adders on words, a dozen word operations for all counters (in simulation too).

A CSR write takes the memory's write port, and the turn waits. Writes come at most every third cycle (the pipeline
refetches after each: `flush` in the CSR table), which leaves the turns time enough.
"""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from ..config import CoreConfig
from ..interfaces import events_layout

CYCLE, INSTRET, FIRST_HPM = 0, 2, 3


class Counters(wiring.Component):
    """Counters, event selectors and inhibits (Privileged 3.1.10 and 3.1.12).

    The cycle of `write` is not counted by the counter written: what is written is what the next instruction reads.

    Parameters
    ----------
    config : CoreConfig
        `hpm_counters` programmable counters exist; the numbers above read as zero and ignore writes.

    Members
    -------
    read_number : In(5)
        Counter read: 0 cycle, 2 instret, 3.. programmable ones (the low address bits of the CSR).
    value : Out(64)
        In the cycle after: the value it had in the cycle of `read_number`; 0 where there is none.
    number : In(5)
        Counter written, or whose event selector is read.
    event : Out(event bits)
        Its event selector; 0 where there is none.
    inhibit : Out(3 + hpm_counters)
        mcountinhibit.
    write, write_event, write_inhibit : In(1)
        `write_data` goes to counter `number`, to its event selector, to mcountinhibit.
    write_data : In(64)
        New value.
    retire : In(1)
        An instruction retires in this cycle.
    events : In(events_layout())
        What happens in this cycle.
    """

    def __init__(self, config: CoreConfig):
        self._hpm = config.hpm_counters
        self._last_event = len(events_layout().members)
        super().__init__(
            {
                "read_number": In(5),
                "number": In(5),
                "value": Out(64),
                "event": Out(bits_for(self._last_event)),
                "inhibit": Out(FIRST_HPM + self._hpm),
                "write": In(1),
                "write_event": In(1),
                "write_inhibit": In(1),
                "write_data": In(64),
                "retire": In(1),
                "events": In(events_layout()),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # slot 0 is mcycle, 1 minstret, 2.. mhpmcounter3..; number 1 is `time`, which is not ours
        slots = 2 + self._hpm
        # between two turns of a counter lie at most 3/2 * slots cycles and one write; twice the slots is safe
        bits = bits_for(2 * slots + 2)
        m.submodules.memory = memory = Memory(shape=64, depth=slots, init=[])
        turn_port = memory.read_port(domain="comb")
        read_port = memory.read_port(domain="comb")
        write_port = memory.write_port()

        # --- what happens in this cycle --------------------------------------------------------------------------
        # Each event has a mask of the counters that count it: cheaper than a multiplexer of events for each counter.
        selectors = [Signal(bits_for(self._last_event), name=f"mhpmevent{FIRST_HPM + n}") for n in range(self._hpm)]
        listeners = [Signal(self._hpm, name=f"listeners{n + 1}") for n in range(self._last_event)]
        inhibit = Signal(FIRST_HPM + self._hpm)  # bit 1 stays 0
        happens: Value = C(0, self._hpm)
        for event, mask in zip(self.events.as_value(), listeners, strict=True):
            happens = happens | Mux(event, mask, 0)
        count = Cat(1, self.retire, happens) & ~Cat(inhibit[CYCLE], inhibit[INSTRET:])
        m.d.comb += self.inhibit.eq(inhibit)

        # --- turns -----------------------------------------------------------------------------------------------
        planes = [Signal(slots, name=f"pending{n}") for n in range(bits)]
        turn, turn_mask = Signal(range(slots)), Signal(slots, init=1)
        number, number_mask = Signal(range(slots)), Signal(slots)
        read_slot, read_mask = Signal(range(slots)), Signal(slots)
        exists, writing = Signal(), Signal()

        def pending(mask: Value) -> Value:
            return Cat((plane & mask) != 0 for plane in planes)

        m.d.comb += [
            exists.eq((self.number != 1) & (self.number < FIRST_HPM + self._hpm)),
            number.eq(Mux(self.number == CYCLE, 0, self.number - 1)),
            number_mask.eq(1 << number),
            writing.eq(self.write & exists),
            turn_port.addr.eq(turn),
            read_slot.eq(Mux(self.read_number == CYCLE, 0, self.read_number - 1)),
            read_mask.eq(1 << read_slot),
            read_port.addr.eq(read_slot),
        ]
        m.d.sync += self.value.eq(
            Mux(
                (self.read_number != 1) & (self.read_number < FIRST_HPM + self._hpm),
                read_port.data + pending(read_mask),
                0,
            )
        )
        taken = Signal(slots)  # whose pending increments leave at this edge
        m.d.comb += [
            taken.eq(Mux(writing, number_mask, turn_mask)),
            write_port.en.eq(1),
            write_port.addr.eq(Mux(writing, number, turn)),
            write_port.data.eq(Mux(writing, self.write_data, turn_port.data + pending(turn_mask))),
        ]
        with m.If(~writing):
            m.d.sync += [
                turn.eq(Mux(turn_mask[-1], 0, turn + 1)),
                turn_mask.eq(turn_mask.rotate_left(1)),
            ]
        carry: Value = count & ~Mux(writing, number_mask, 0)
        for plane in planes:
            kept = Signal(slots)
            m.d.comb += kept.eq(plane & ~taken)
            m.d.sync += plane.eq(kept ^ carry)
            carry = kept & carry

        # --- event selectors and inhibits ------------------------------------------------------------------------
        new_event = Mux(self.write_data > self._last_event, 0, self.write_data[: bits_for(self._last_event)])
        with m.Switch(self.number):
            for n, selector in enumerate(selectors):
                with m.Case(FIRST_HPM + n):
                    m.d.comb += self.event.eq(selector)
                    with m.If(self.write_event):
                        m.d.sync += selector.eq(new_event)
                        m.d.sync += [mask[n].eq(new_event == e) for e, mask in enumerate(listeners, 1)]
        with m.If(self.write_inhibit):
            m.d.sync += [inhibit[0].eq(self.write_data[0]), inhibit[2:].eq(self.write_data[2:])]
        return m
