"""What the data side says on the bus: line fills, write-backs, and single accesses that are not cached.

Several fills may be under way; they carry one AXI identifier and so return in order. There is one write-back buffer.
"""

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ...bus import axi4
from ..config import LINE_BEATS, CoreConfig

FILL_SLOTS = 4
FILL_ID = 0
SINGLE_ID = 1


class Transfers(wiring.Component):
    """Bus side of the data cache.

    Parameters
    ----------
    config : CoreConfig

    Members
    -------
    fill : In(1), fill_ready : Out(1)
        Begin to fetch `fill_line` into `fill_way`.
    fill_line : In(pa_width - 6), fill_way : In(range(ways))
    query_line : In(pa_width - 6), query_filling : Out(1)
        Whether that line is being fetched, and
    query_ways : Out(ways)
        which ways of its set are being fetched into.
    hold_beats : In(1)
        Accept no fill data: the arrays are being read out.
    beat : Out(1), beat_line, beat_way, beat_index : Out, beat_data : Out(64)
        Write this doubleword into the arrays.
    filled, failed : Out(1)
        With the last beat: the line is complete; the bus refused part of it.
    store_beat : In(1), store_index : In(3), store_data : In(64)
        Write into the write-back buffer, while not `writing_back`.
    write_back : In(1), write_back_line : In(pa_width - 6)
        Send the buffer to memory.
    writing_back : Out(1)
        Until memory has it; `written` in the last cycle. `pending_line` is its line.
    single : In(1), single_write, single_address, single_size, single_data, single_mask : In
        One access that is not cached; held until `single_done`. The data is in its byte lanes.
    single_done : Out(1), single_read_data : Out(64), single_error : Out(1)
    bus : Out(axi4.Signature)
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        line = config.pa_width - 6
        way = range(config.cache_ways)
        super().__init__(
            {
                "fill": In(1),
                "fill_ready": Out(1),
                "fill_line": In(line),
                "fill_way": In(way),
                "query_line": In(line),
                "query_filling": Out(1),
                "query_ways": Out(config.cache_ways),
                "hold_beats": In(1),
                "beat": Out(1),
                "beat_line": Out(line),
                "beat_way": Out(way),
                "beat_index": Out(3),
                "beat_data": Out(64),
                "filled": Out(1),
                "failed": Out(1),
                "store_beat": In(1),
                "store_index": In(3),
                "store_data": In(64),
                "write_back": In(1),
                "write_back_line": In(line),
                "writing_back": Out(1),
                "written": Out(1),
                "pending_line": Out(line),
                "single": In(1),
                "single_write": In(1),
                "single_address": In(config.pa_width),
                "single_size": In(2),
                "single_data": In(64),
                "single_mask": In(8),
                "single_done": Out(1),
                "single_read_data": Out(64),
                "single_error": Out(1),
                "bus": Out(axi4.Signature(addr_width=config.pa_width, data_width=64, id_width=2)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        bus = self.bus

        # -- fills
        pending = Signal(FILL_SLOTS)  # slots in use
        lines = Array(Signal(config.pa_width - 6, name=f"line{i}") for i in range(FILL_SLOTS))
        ways = Array(Signal(range(config.cache_ways), name=f"way{i}") for i in range(FILL_SLOTS))
        newest = Signal(range(FILL_SLOTS))  # next slot to use
        asking = Signal(range(FILL_SLOTS))  # next slot to send on AR
        oldest = Signal(range(FILL_SLOTS))  # slot whose data comes next
        unsent = Signal(range(FILL_SLOTS + 1))
        beat = Signal(range(LINE_BEATS))
        bad = Signal()
        filling = Signal(FILL_SLOTS)
        query_ways = 0
        for i in range(FILL_SLOTS):
            m.d.comb += filling[i].eq(pending[i] & (lines[i] == self.query_line))
            same_set = pending[i] & (lines[i][:6] == self.query_line[:6])
            query_ways = query_ways | Mux(same_set, 1 << ways[i], 0)
        m.d.comb += [
            self.fill_ready.eq(~pending.bit_select(newest, 1)),
            self.query_filling.eq(filling.any()),
            self.query_ways.eq(query_ways),
        ]
        sent = Signal()
        following = Signal.like(asking)
        ask_line = Signal(config.pa_width - 6)  # lines[asking]: a register, since the crossbar decides by it
        m.d.comb += following.eq(asking + 1)
        with m.If(sent):
            m.d.sync += ask_line.eq(Mux(self.fill & (unsent == 1), self.fill_line, lines[following]))
        with m.Elif(unsent == 0):
            m.d.sync += ask_line.eq(self.fill_line)
        m.d.sync += unsent.eq(unsent + self.fill - sent)
        with m.If(self.fill):
            m.d.sync += [
                lines[newest].eq(self.fill_line),
                ways[newest].eq(self.fill_way),
                pending.bit_select(newest, 1).eq(1),
                newest.eq(newest + 1),
            ]
        with m.If(sent):
            m.d.sync += asking.eq(following)

        # -- single accesses
        address_sent = Signal()
        data_sent = Signal()
        single_read = self.single & ~self.single_write
        single_write = self.single & self.single_write
        with m.If(self.single_done):
            m.d.sync += [address_sent.eq(0), data_sent.eq(0)]

        # -- AR: fills first, then the single read
        ask_single = single_read & ~address_sent & (unsent == 0)
        m.d.comb += [
            bus.ar.payload.size.eq(3),
            bus.ar.payload.burst.eq(axi4.Burst.INCR),
            bus.ar.valid.eq((unsent != 0) | ask_single),
        ]
        with m.If(unsent != 0):
            m.d.comb += [
                bus.ar.payload.id.eq(FILL_ID),
                bus.ar.payload.addr.eq(ask_line << 6),
                bus.ar.payload.len.eq(LINE_BEATS - 1),
                sent.eq(bus.ar.ready),
            ]
        with m.Else():
            m.d.comb += [
                bus.ar.payload.id.eq(SINGLE_ID),
                bus.ar.payload.addr.eq(self.single_address),
                bus.ar.payload.size.eq(self.single_size),
            ]
            with m.If(ask_single & bus.ar.ready):
                m.d.sync += address_sent.eq(1)

        # -- R, through a register: who else waits for a beat waits for it early in the cycle
        came_fill = Signal()
        came_single = Signal()
        r = Signal.like(bus.r.payload)
        for_fill = bus.r.payload.id == FILL_ID
        with m.If(bus.r.ready):
            m.d.sync += [
                came_fill.eq(bus.r.valid & for_fill),
                came_single.eq(bus.r.valid & ~for_fill),
                r.eq(bus.r.payload),
            ]
        refused = r.resp.as_value()[1]
        m.d.comb += [
            bus.r.ready.eq(~came_fill | ~self.hold_beats),
            self.beat.eq(came_fill & ~self.hold_beats),
            self.beat_line.eq(lines[oldest]),
            self.beat_way.eq(ways[oldest]),
            self.beat_index.eq(beat),
            self.beat_data.eq(r.data),
            self.single_read_data.eq(r.data),
        ]
        with m.If(self.beat):
            m.d.sync += [beat.eq(beat + 1), bad.eq(bad | refused)]
            with m.If(beat == LINE_BEATS - 1):
                m.d.comb += [self.filled.eq(1), self.failed.eq(bad | refused)]
                m.d.sync += [bad.eq(0), pending.bit_select(oldest, 1).eq(0), oldest.eq(oldest + 1)]
        with m.If(came_single):
            m.d.comb += [self.single_done.eq(1), self.single_error.eq(refused)]

        # -- AW, W, B: the write-back buffer, or a single write (never both: the sequencer waits)
        m.submodules.buffer = buffer = Memory(shape=64, depth=LINE_BEATS, init=[])
        buffer_write, buffer_read = buffer.write_port(), buffer.read_port(domain="comb")
        write_beat = Signal(range(LINE_BEATS))
        line_address_sent = Signal()
        line_data_sent = Signal()
        m.d.comb += [
            buffer_write.addr.eq(self.store_index),
            buffer_write.data.eq(self.store_data),
            buffer_write.en.eq(self.store_beat),
            buffer_read.addr.eq(write_beat),
            bus.aw.payload.burst.eq(axi4.Burst.INCR),
            bus.b.ready.eq(1),
        ]
        with m.If(self.write_back):
            m.d.sync += [
                self.writing_back.eq(1),
                self.pending_line.eq(self.write_back_line),
                line_address_sent.eq(0),
                line_data_sent.eq(0),
            ]
        with m.If(self.writing_back):
            m.d.comb += [
                bus.aw.valid.eq(~line_address_sent),
                bus.aw.payload.id.eq(FILL_ID),
                bus.aw.payload.addr.eq(self.pending_line << 6),
                bus.aw.payload.len.eq(LINE_BEATS - 1),
                bus.aw.payload.size.eq(3),
                bus.w.valid.eq(~line_data_sent),
                bus.w.payload.data.eq(buffer_read.data),
                bus.w.payload.strb.eq(0xFF),
                bus.w.payload.last.eq(write_beat == LINE_BEATS - 1),
            ]
            with m.If(bus.aw.valid & bus.aw.ready):
                m.d.sync += line_address_sent.eq(1)
            with m.If(bus.w.valid & bus.w.ready):
                m.d.sync += [write_beat.eq(write_beat + 1), line_data_sent.eq(bus.w.payload.last)]
            with m.If(bus.b.valid):
                m.d.comb += self.written.eq(1)
                m.d.sync += self.writing_back.eq(0)
        with m.Else():
            m.d.comb += [
                bus.aw.valid.eq(single_write & ~address_sent),
                bus.aw.payload.id.eq(SINGLE_ID),
                bus.aw.payload.addr.eq(self.single_address),
                bus.aw.payload.size.eq(self.single_size),
                bus.w.valid.eq(single_write & ~data_sent),
                bus.w.payload.data.eq(self.single_data),
                bus.w.payload.strb.eq(self.single_mask),
                bus.w.payload.last.eq(1),
            ]
            with m.If(bus.aw.valid & bus.aw.ready):
                m.d.sync += address_sent.eq(1)
            with m.If(bus.w.valid & bus.w.ready):
                m.d.sync += data_sent.eq(1)
            with m.If(bus.b.valid):
                m.d.comb += [
                    self.single_done.eq(1),
                    self.single_error.eq(bus.b.payload.resp.as_value()[1]),
                ]
        return m
