"""The fetch buffer: blocks in, instructions out.

A block leaves when its last halfword, or the one predicted to leave it, is consumed. An instruction may begin in one
block and end in the next. The first entry is always the oldest, so that alignment is one small multiplexer.
"""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..config import CoreConfig
from .predictor import Target, prediction_layout

DEPTH = 3


class FetchFault(data.Struct):
    """A block that could not be fetched; `page`: a page fault, else an access fault.

    `upper`: only its upper four bytes could not (PMP's grain is four bytes).
    """

    valid: 1
    page: 1
    upper: 1


class BlockSignature(wiring.Signature):
    """A fetched block with its prediction."""

    def __init__(self, config: CoreConfig):
        super().__init__(
            {
                "valid": Out(1),
                "bytes": Out(64),
                "fault": Out(FetchFault),
                "prediction": Out(prediction_layout(config)),
                "target": Out(Target),
            }
        )


class InstructionSignature(wiring.Signature):
    """The next instruction for decode (`Out` on the buffer).

    Members
    -------
    valid : Out(1)
        There is one.
    pc, next_pc : Out(64)
        Its address, and that of the instruction after it in memory.
    raw : Out(32)
        Its bits; the upper half is the next instruction's where this one is compressed.
    fault : Out(FetchFault)
        It could not be fetched; with `fault_in_second_half`, its first half could.
    torn : Out(1)
        The prediction cut it in two: the entry for the halfword at `pc` is wrong, fetch again.
    taken, target : Out
        It was predicted to jump, and where to.
    known, way, counter, index, history, ras_top : Out
        State of the predictor for it (see `prediction_layout`).
    consume : In(1)
        Decode takes it, if there is one.
    """

    def __init__(self, config: CoreConfig):
        super().__init__(
            {
                "valid": Out(1),
                "pc": Out(64),
                "next_pc": Out(64),
                "raw": Out(32),
                "fault": Out(FetchFault),
                "fault_in_second_half": Out(1),
                "torn": Out(1),
                "taken": Out(1),
                "target": Out(Target),
                "known": Out(1),
                "way": Out(1),
                "counter": Out(2),
                "index": Out(config.history_bits),
                "history": Out(config.history_bits),
                "ras_top": Out(range(config.ras_entries)),
                "consume": In(1),
            }
        )


class FetchBuffer(wiring.Component):
    """Queue of blocks with an aligner at its end.

    Parameters
    ----------
    config : CoreConfig

    Members
    -------
    block : In(BlockSignature)
        A block to append; only while `ready`.
    ready : Out(1)
        There is room.
    redirect : In(1), redirect_pc : In(64)
        Drop everything; the next block begins at `redirect_pc`.
    instruction : Out(InstructionSignature)
        The oldest instruction.
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        super().__init__(
            {
                "block": In(BlockSignature(config)),
                "ready": Out(1),
                "redirect": In(1),
                "redirect_pc": In(64),
                "instruction": Out(InstructionSignature(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        out = self.instruction

        entries = [BlockSignature(config).create(path=(f"entry{i}",)) for i in range(DEPTH)]
        # which halfwords would begin an instruction of two: known before it is known which does
        long = [Signal(4, name=f"entry{i}_long") for i in range(DEPTH)]
        pc = Signal(64, init=config.reset_pc)
        drop = Signal()  # the first entry was consumed together with the block before it
        shift = Signal()
        m.d.comb += self.ready.eq(~entries[-1].valid)

        # -- queue
        names = [name for name in BlockSignature(config).members if name != "valid"]
        for i, entry in enumerate(entries):
            after = entries[i + 1] if i + 1 < DEPTH else None
            stays = Signal(name=f"stays{i}")  # valid once the shift is done, before the push
            before = Signal(name=f"before{i}")  # so is the entry in front
            if after is not None:
                m.d.comb += stays.eq(Mux(shift, after.valid, entry.valid))
            else:
                m.d.comb += stays.eq(~shift & entry.valid)
            if i == 0:
                m.d.comb += before.eq(1)
            else:
                m.d.comb += before.eq(Mux(shift, entry.valid, entries[i - 1].valid))
            # What goes into an entry does not depend on `shift`: one that stays empty may be given anything.
            comes = {name: Value.cast(getattr(self.block, name)) for name in names}
            is_long = Cat(self.block.bytes.word_select(n, 16)[:2].all() for n in range(4))
            if after is not None:
                comes = {name: Mux(after.valid, getattr(after, name), value) for name, value in comes.items()}
                is_long = Mux(after.valid, long[i + 1], is_long)
            with m.If(shift | ~entry.valid):
                m.d.sync += [Value.cast(getattr(entry, name)).eq(value) for name, value in comes.items()]
                m.d.sync += long[i].eq(is_long)
            m.d.sync += entry.valid.eq((stays | (self.block.valid & before)) & ~self.redirect)

        # -- alignment
        first, second = entries[0], entries[1]
        position = pc[1:3]
        halfwords = Array([first.bytes.word_select(i, 16) for i in range(4)])
        following = Array([first.bytes.word_select(i, 16) for i in range(1, 4)] + [second.bytes[:16]])
        compressed = Signal()
        straddles = Signal()
        fault_here = Signal()
        fault_behind = Signal()
        end = Signal(2)
        source = Signal(prediction_layout(config))
        at_end = Signal(2)
        m.d.comb += [
            out.raw.eq(Cat(halfwords[position], following[position])),
            compressed.eq(~long[0].bit_select(position, 1)),
            straddles.eq((position == 3) & ~compressed),
            end.eq(Mux(compressed, position, Cat(~position[0], position[0] ^ position[1]))),
            source.eq(Mux(straddles, second.prediction, first.prediction)),
            out.fault.valid.eq(fault_here | fault_behind),
            out.fault.page.eq(Mux(fault_here, first.fault.page, second.fault.page & straddles)),
            out.fault_in_second_half.eq(fault_behind & ~fault_here),
            fault_here.eq(first.fault.valid | (first.fault.upper & position[1])),
            # torn or faulty, never both: a fault is not taught, so the entry would tear it again and again
            fault_behind.eq(
                ((straddles & second.valid & second.fault.valid) | (first.fault.upper & (position == 1) & ~compressed))
                & ~out.torn
            ),
            out.torn.eq(first.prediction.taken & (first.prediction.last == position) & ~compressed & ~fault_here),
            out.valid.eq(first.valid & ~drop & (~straddles | second.valid | fault_here | out.torn)),
            out.pc.eq(pc),
            out.next_pc.eq(Cat(pc[0], Mux(compressed, pc[1:] + 1, pc[1:] + 2))),
            at_end.eq(Cat(source.known[way] & (source.offset[way] == end) for way in range(2))),
            out.taken.eq(source.taken & (source.last == end)),
            out.target.eq(Mux(straddles, second.target, first.target)),
            out.known.eq(at_end.any()),
            out.way.eq(at_end[1]),
            out.counter.eq(source.counters[end]),
            out.index.eq(source.index),
            out.history.eq(source.history),
            out.ras_top.eq(source.ras_top),
        ]
        with m.If(out.torn):
            torn_way = Cat(first.prediction.known[way] & (first.prediction.offset[way] == position) for way in range(2))
            m.d.comb += [out.taken.eq(0), out.known.eq(1), out.way.eq(torn_way[1])]

        # -- consumption. Whether the block is left is worked out for both lengths, before the length is known. (Where
        # it is torn, it was predicted to be left at `position`, and so not behind it.)
        known_first = first.valid & ~drop
        ends_here = first.prediction.taken & (first.prediction.last == position)
        ends_next = first.prediction.taken & (first.prediction.last == Cat(~position[0], position[0] ^ position[1]))
        leaves_short = Signal()
        leaves_long = Signal()
        m.d.comb += [
            leaves_short.eq(known_first & ((position == 3) | ends_here)),
            leaves_long.eq(
                known_first
                & Mux(
                    position == 3,
                    second.valid | fault_here | ends_here,
                    position[1] | ends_next,
                )
            ),
            shift.eq(drop | (out.consume & Mux(compressed, leaves_short, leaves_long))),
        ]
        with m.If(drop):
            m.d.sync += drop.eq(0)
        with m.If(out.consume & out.valid):
            m.d.sync += [pc.eq(Mux(out.taken, out.target.address(), out.next_pc)), drop.eq(straddles & out.taken)]
        with m.If(self.redirect):
            m.d.sync += [pc.eq(self.redirect_pc), drop.eq(0)]
        return m
