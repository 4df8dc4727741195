"""Branch prediction: target buffer, gshare counters, varying targets, return stack.

All are read with a block's address and answer for the whole 8-byte block in the next cycle. An indirect jump that was
seen to vary takes its target from a table indexed like the counters, by block and history. Only branches that
were taken once are in the target buffer; a branch that is not there is predicted not taken and is no part of the
history. The history that a block is read with lacks the block read in the cycle before. A wrong entry (aliased tag,
code that changed) is harmless: every instruction carries what was predicted for it, and execution compares.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, enum, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import COLLISIONS_UNUSED, CoreConfig

TARGET_BITS = 38
"""Target address bits 38:1; above bit 38 an Sv39 address repeats it, and no physical target is higher."""

TAG_BITS = 20

VARYING_BITS = 9
"""Rows of the table of varying targets: one ECP5 block RAM of 512 x 36."""


class BranchKind(enum.Enum, shape=2):
    """What ends a block."""

    CONDITIONAL = 0
    JUMP = 1
    CALL = 2
    RETURN = 3


class Target(data.Struct):
    """A code address without its lowest bit, which is 0, and without the copies of its sign."""

    bits: TARGET_BITS

    def address(self):
        """The 64-bit address."""
        value = self.bits
        return Cat(Const(0, 1), value, value[-1].replicate(64 - 1 - TARGET_BITS))


class VaryingTarget(data.Struct):
    """The lower bits of a target that depends on history; the upper ones are those of the target buffer's."""

    valid: 1
    bits: 35


class BtbEntry(data.Struct):
    """One known branch of a block; `offset` is the position of its last halfword, `varies`: it had several targets."""

    valid: 1
    tag: TAG_BITS
    offset: 2
    kind: BranchKind
    varies: 1
    target: Target


def prediction_layout(config: CoreConfig) -> data.StructLayout:
    """What was predicted for a block, and what training and repair need to know later.

    `known` and `offset` tell which halfwords end a branch that the target buffer holds, by way; `counters` are the four
    two-bit counters of the row `index`; `history` and `ras_top` are the states before the block.
    """
    return data.StructLayout(
        {
            "taken": 1,
            "last": 2,
            "known": 2,
            "offset": data.ArrayLayout(2, 2),
            "counters": data.ArrayLayout(2, 4),
            "index": config.history_bits,
            "history": config.history_bits,
            "ras_top": range(config.ras_entries),
        }
    )


class Training(wiring.Signature):
    """What execution teaches: a counter to store, an entry to store or to drop.

    `address` is that of the branch's last halfword. `varies` with an entry: its target changed; the new one is kept
    for this history, too.
    """

    def __init__(self, config: CoreConfig):
        super().__init__(
            {
                "address": Out(64),
                "counter_write": Out(1),
                "counter_index": Out(config.history_bits),
                "counter": Out(2),
                "entry_write": Out(1),
                "entry_valid": Out(1),
                "entry_known": Out(1),
                "entry_way": Out(1),
                "kind": Out(BranchKind),
                "varies": Out(1),
                "target": Out(Target),
            }
        )


class Repair(wiring.Signature):
    """Comes with the redirect of a branch that was predicted wrongly.

    History and return stack go back to what they were before the branch (`history`, `ras_top`), with the branch itself
    applied: a `conditional` one was `taken` or not, a `call` pushes `link`, a return pops.
    """

    def __init__(self, config: CoreConfig):
        super().__init__(
            {
                "valid": Out(1),
                "conditional": Out(1),
                "taken": Out(1),
                "history": Out(config.history_bits),
                "ras_top": Out(range(config.ras_entries)),
                "call": Out(1),
                "returns": Out(1),
                "link": Out(Target),
            }
        )


class Predictor(wiring.Component):
    """Predicts where fetch goes after a block.

    Parameters
    ----------
    config : CoreConfig
        Sizes: `btb_sets`, `history_bits`, `ras_entries`.

    Members
    -------
    next_pc : In(64)
        Address of the block to be read at this clock edge.
    read : In(1)
        Read; when 0, the outputs keep answering for the block read last.
    pc : In(64)
        The block that was read last (its low bits tell where in the block fetch begins).
    prediction : Out(prediction_layout)
        The answer for `pc`.
    target : Out(Target)
        Where it goes, counted while `prediction.taken`.
    accept : In(1)
        The block goes on to decode: history and return stack advance.
    training : In(Training)
        From execution, at most one branch a cycle; zero flags when there is nothing.
    repair : In(Repair)
        The state as it should be.
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        super().__init__(
            {
                "next_pc": In(64),
                "read": In(1),
                "pc": In(64),
                "prediction": Out(prediction_layout(config)),
                "target": Out(Target),
                "accept": In(1),
                "training": In(Training(config)),
                "repair": In(Repair(config)),
            }
        )

    def _set_of(self, address):
        return address[3 : 3 + (self.config.btb_sets - 1).bit_length()]

    def _tag_of(self, address):
        low = 3 + (self.config.btb_sets - 1).bit_length()
        return address[low : low + TAG_BITS]

    def elaborate(self, platform):
        m = Module()
        config = self.config
        prediction = self.prediction
        training = self.training
        repair = self.repair
        history = Signal(config.history_bits)
        history_next = Signal(config.history_bits)
        ras_top = Signal(range(config.ras_entries))

        # -- arrays, read with the next block's address
        m.submodules.counters = counters = Memory(
            shape=data.ArrayLayout(2, 4), depth=1 << config.history_bits, init=[], attrs=COLLISIONS_UNUSED
        )
        counters_read = counters.read_port()
        counters_write = counters.write_port(granularity=1)
        index_next = Signal(config.history_bits)
        index = Signal(config.history_bits)
        m.d.comb += [
            index_next.eq(self.next_pc[3 : 3 + config.history_bits] ^ history_next),
            counters_read.addr.eq(index_next),
            counters_read.en.eq(self.read),
        ]
        with m.If(self.read):
            m.d.sync += index.eq(index_next)
        varying_bits = min(VARYING_BITS, config.history_bits)
        m.submodules.varying = varying = Memory(shape=VaryingTarget, depth=1 << varying_bits, init=[])
        varying_read, varying_write = varying.read_port(), varying.write_port()
        m.d.comb += [varying_read.addr.eq(index_next[:varying_bits]), varying_read.en.eq(self.read)]
        entries = []
        writes = []
        for way in range(2):
            m.submodules[f"targets{way}"] = targets = Memory(
                shape=BtbEntry, depth=config.btb_sets, init=[], attrs=COLLISIONS_UNUSED
            )
            read_port, write_port = targets.read_port(), targets.write_port()
            m.d.comb += [read_port.addr.eq(self._set_of(self.next_pc)), read_port.en.eq(self.read)]
            entries.append(read_port.data)
            writes.append(write_port)

        # -- the answer: the first branch from where fetch begins that is predicted taken
        known = Signal(2)
        takes = Signal(2)
        start = self.pc[1:3]
        for way, entry in enumerate(entries):
            hit = Signal(name=f"hit{way}")
            m.d.comb += [
                hit.eq(entry.valid & (entry.tag == self._tag_of(self.pc)) & (entry.offset >= start)),
                known[way].eq(hit),
                takes[way].eq(hit & ((entry.kind != BranchKind.CONDITIONAL) | counters_read.data[entry.offset][1])),
            ]
        sooner = Signal()  # way 1's branch comes before way 0's
        first = Signal()
        chosen = Signal(BtbEntry)
        return_stack = Signal(data.ArrayLayout(Target, config.ras_entries))
        taken_conditional = Signal()
        saw_conditional = Signal()
        m.d.comb += [
            sooner.eq(entries[1].offset < entries[0].offset),
            first.eq(takes[1] & (~takes[0] | sooner)),
            chosen.eq(Mux(first, entries[1], entries[0])),
            prediction.taken.eq(takes.any()),
            prediction.last.eq(Mux(first, entries[1].offset, entries[0].offset | (~takes[0]).replicate(2))),
            prediction.known.eq(known),
            prediction.offset[0].eq(entries[0].offset),
            prediction.offset[1].eq(entries[1].offset),
            prediction.counters.eq(counters_read.data),
            prediction.index.eq(index),
            prediction.history.eq(history),
            prediction.ras_top.eq(ras_top),
            taken_conditional.eq(prediction.taken & (chosen.kind == BranchKind.CONDITIONAL)),
            saw_conditional.eq(
                Cat(known[way] & (entry.kind == BranchKind.CONDITIONAL) for way, entry in enumerate(entries)).any()
            ),
        ]

        # the choice of the way comes last
        targets = []
        for way, entry in enumerate(entries):
            target = Signal(Target, name=f"target{way}")
            m.d.comb += target.eq(entry.target)
            with m.If(entry.kind == BranchKind.RETURN):
                m.d.comb += target.eq(return_stack[ras_top])
            with m.Elif(entry.varies & varying_read.data.valid):
                m.d.comb += target.bits[: len(varying_read.data.bits)].eq(varying_read.data.bits)
            targets.append(target)
        m.d.comb += self.target.eq(Mux(first, targets[1], targets[0]))

        # -- history and return stack, as of the next block
        link = Signal(Target)
        block = self.pc[3 : 1 + TARGET_BITS]
        m.d.comb += history_next.eq(history)
        with m.If(repair.valid):
            m.d.comb += history_next.eq(Mux(repair.conditional, Cat(repair.taken, repair.history), repair.history))
            m.d.sync += ras_top.eq(repair.ras_top)
            with m.If(repair.call):
                m.d.sync += [
                    ras_top.eq(repair.ras_top + 1),
                    return_stack[(repair.ras_top + 1)[: len(ras_top)]].eq(repair.link),
                ]
            with m.Elif(repair.returns):
                m.d.sync += ras_top.eq(repair.ras_top - 1)
        # a call or return that was predicted changes the stack a cycle later: its target is not read before
        calls = Signal()
        returns = Signal()
        calls_block = Signal.like(block)
        calls_offset = Signal(2)
        following = (calls_block + 1)[: len(block)]
        m.d.comb += link.bits.eq(
            Mux(calls_offset == 3, Cat(Const(0, 2), following), Cat((calls_offset + 1)[:2], calls_block))
        )
        m.d.sync += [
            calls.eq(self.accept & prediction.taken & (chosen.kind == BranchKind.CALL)),
            returns.eq(self.accept & prediction.taken & (chosen.kind == BranchKind.RETURN)),
            calls_block.eq(block),
            calls_offset.eq(chosen.offset),
        ]
        with m.If(~repair.valid):
            with m.If(calls):
                m.d.sync += [ras_top.eq(ras_top + 1), return_stack[(ras_top + 1)[: len(ras_top)]].eq(link)]
            with m.If(returns):
                m.d.sync += ras_top.eq(ras_top - 1)
        with m.If(repair.valid):
            m.d.sync += history.eq(history_next)
        with m.Elif(self.accept & saw_conditional):
            m.d.sync += history.eq(Cat(taken_conditional, history))

        # -- training, one cycle late: a store into the arrays is never urgent
        late = Training(config).create()
        victim = Signal()
        for name in (
            "address",
            "counter_index",
            "counter",
            "entry_valid",
            "entry_known",
            "entry_way",
            "kind",
            "varies",
            "target",
        ):
            m.d.sync += getattr(late, name).eq(getattr(training, name))
        m.d.sync += [
            late.counter_write.eq(training.counter_write),
            late.entry_write.eq(training.entry_write),
        ]
        with m.If(late.entry_write & ~late.entry_known):
            m.d.sync += victim.eq(~victim)
        way_written = Signal()
        m.d.comb += [
            way_written.eq(Mux(late.entry_known, late.entry_way, victim)),
            counters_write.addr.eq(late.counter_index),
            counters_write.data.eq(late.counter.replicate(4)),
            varying_write.addr.eq(late.counter_index[:varying_bits]),
            varying_write.data.valid.eq(1),
            varying_write.data.bits.eq(late.target.bits),
            varying_write.en.eq(late.entry_write & late.entry_valid & late.varies),
            counters_write.en.eq(Mux(late.counter_write, 1 << late.address[1:3], 0)),
        ]
        for way, write_port in enumerate(writes):
            m.d.comb += [
                write_port.addr.eq(self._set_of(late.address)),
                write_port.en.eq(late.entry_write & (way_written == way)),
                write_port.data.valid.eq(late.entry_valid),
                write_port.data.tag.eq(self._tag_of(late.address)),
                write_port.data.offset.eq(late.address[1:3]),
                write_port.data.kind.eq(late.kind),
                write_port.data.varies.eq(late.varies),
                write_port.data.target.eq(late.target),
            ]
        return m
