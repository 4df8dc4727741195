"""The store buffer: committed stores on their way into the data cache, in program order.

A store enters with what its lookup found. One that hit drains as soon as the cache's write port is free; one that
missed waits at the head until its line has come. Loads may pass stores to other bytes, and wait for those to theirs.

A store passes a register on its way in: that it enters is known late in the cycle, where it goes is not.
"""

from amaranth.hdl import Array, Cat, Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import CoreConfig


class StoreBuffer(wiring.Component):
    """Queue of stores of one doubleword each.

    Parameters
    ----------
    config : CoreConfig
        `store_buffer` entries.

    Members
    -------
    push : In(1)
        Append a store; only while not `full`.
    push_address : In(pa_width), push_data : In(64), push_mask : In(8)
        Physical address (low three bits ignored), data in its byte lanes, bytes written.
    push_hit : In(1), push_way : In(range(ways))
        What the lookup found.
    full, empty : Out(1)
        No room; nothing left, not even in the cycle after the last write.
    nearly_full : Out(1)
        No room for two: a store in two halves must not begin, since nothing fetches the head's line between them.
    head_valid, head_hit, head_way, head_address, head_data, head_mask : Out
        The oldest store.
    pop : In(1)
        It was written, or dropped.
    query_index : In(9), query_mask : In(8), conflict : Out(1)
        Whether these bytes of that doubleword (address bits 11:3) are in the queue, or any of its bytes were written at
        the last clock edge, when a lookup could not see them yet.
    line : In(pa_width - 6), line_way : In(range(ways))
        A line of the cache: `line_found` (it is in that way now) or `line_lost` (that way of its set is given up).
    line_found, line_lost : In(1)
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        way = range(config.cache_ways)
        super().__init__(
            {
                "push": In(1),
                "push_address": In(config.pa_width),
                "push_data": In(64),
                "push_mask": In(8),
                "push_hit": In(1),
                "push_way": In(way),
                "full": Out(1),
                "empty": Out(1),
                "nearly_full": Out(1),
                "head_valid": Out(1),
                "head_hit": Out(1),
                "head_way": Out(way),
                "head_address": Out(config.pa_width),
                "head_data": Out(64),
                "head_mask": Out(8),
                "pop": In(1),
                "query_index": In(9),
                "query_mask": In(8),
                "conflict": Out(1),
                "line": In(config.pa_width - 6),
                "line_way": In(way),
                "line_found": In(1),
                "line_lost": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        depth = config.store_buffer
        m.submodules.payload = payload = Memory(shape=64, depth=depth, init=[])
        write, read = payload.write_port(), payload.read_port(domain="comb")

        valid = Signal(depth)
        hit = Signal(depth)
        just_written = Signal(depth)
        incoming = Signal()
        in_dword = Signal(config.pa_width - 3)
        in_data = Signal(64)
        in_mask = Signal(8)
        in_hit = Signal()
        in_way = Signal(range(config.cache_ways))
        dwords = Array(Signal(config.pa_width - 3, name=f"dword{i}") for i in range(depth))
        masks = Array(Signal(8, name=f"mask{i}") for i in range(depth))
        ways = Array(Signal(range(config.cache_ways), name=f"way{i}") for i in range(depth))
        head = Signal(range(depth))
        tail = Signal(range(depth))
        conflicts = Signal(depth + 1)
        following = Signal.like(tail)
        # what was pushed last takes a place, too
        m.d.comb += [
            following.eq(tail + 1),
            self.full.eq(valid.bit_select(tail, 1) | (incoming & valid.bit_select(following, 1))),
            self.nearly_full.eq(
                valid.bit_select(tail, 1)
                | valid.bit_select(following, 1)
                | (incoming & valid.bit_select((tail + 2)[: len(tail)], 1))
            ),
            self.empty.eq(~(valid | just_written).any() & ~incoming),
            self.head_valid.eq(valid.bit_select(head, 1)),
            self.head_hit.eq(hit.bit_select(head, 1)),
            self.head_way.eq(ways[head]),
            self.head_address.eq(Cat(Const(0, 3), dwords[head])),
            self.head_mask.eq(masks[head]),
            read.addr.eq(head),
            self.head_data.eq(read.data),
            write.addr.eq(tail),
            write.data.eq(in_data),
            write.en.eq(incoming),
            conflicts[depth].eq(incoming & (in_dword[:9] == self.query_index) & (in_mask & self.query_mask).any()),
            self.conflict.eq(conflicts.any()),
        ]
        m.d.sync += [
            incoming.eq(self.push),
            in_dword.eq(self.push_address[3:]),
            in_data.eq(self.push_data),
            in_mask.eq(self.push_mask),
            in_hit.eq(self.push_hit),
            in_way.eq(self.push_way),
        ]
        hit_then = Signal()
        way_then = Signal.like(in_way)
        m.d.comb += [hit_then.eq(in_hit), way_then.eq(in_way)]
        with m.If(self.line_found & (in_dword[3:] == self.line)):
            m.d.comb += [hit_then.eq(1), way_then.eq(self.line_way)]
        with m.Elif(self.line_lost & (in_dword[3:9] == self.line[:6]) & (in_way == self.line_way)):
            m.d.comb += hit_then.eq(0)
        m.d.sync += just_written.eq(0)
        for i in range(depth):
            same_line = dwords[i][3:] == self.line
            same_set = dwords[i][3:9] == self.line[:6]
            m.d.comb += conflicts[i].eq(
                (dwords[i][:9] == self.query_index)
                & ((valid[i] & (masks[i] & self.query_mask).any()) | just_written[i])
            )
            with m.If(self.line_found & same_line):
                m.d.sync += [hit[i].eq(1), ways[i].eq(self.line_way)]
            with m.If(self.line_lost & same_set & (ways[i] == self.line_way)):
                m.d.sync += hit[i].eq(0)
            with m.If(self.pop & (head == i)):
                m.d.sync += [valid[i].eq(0), just_written[i].eq(1)]
            with m.If(incoming & (tail == i)):
                m.d.sync += [
                    valid[i].eq(1),
                    hit[i].eq(hit_then),
                    ways[i].eq(way_then),
                    dwords[i].eq(in_dword),
                    masks[i].eq(in_mask),
                    just_written[i].eq(0),
                ]
        with m.If(self.pop):
            m.d.sync += head.eq(head + 1)
        with m.If(incoming):
            m.d.sync += tail.eq(following)
        return m
