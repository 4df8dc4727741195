"""The instruction cache: read with a virtual index, hit by physical tag, refilled a line at a time.

A way is one page, so the index needs no translation. A refill first asks the data cache to write back a dirty copy of
the line (a probe), so FENCE.I only has to drain the store buffer and forget the tags here.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ...bus import axi4
from ..config import COLLISIONS_UNUSED, LINE_BEATS, CoreConfig
from ..interfaces import Probe, ProbeSignature


class InstructionCache(wiring.Component):
    """Instruction cache arrays and refill.

    Parameters
    ----------
    config : CoreConfig
        `cache_ways`, `pa_width`.

    Members
    -------
    index : In(12)
        Low address bits of the block to read at this clock edge.
    read : In(1)
        Read; when 0, the outputs keep answering for the block read last.
    pages : In(ppn_width).array(3), chosen : In(3)
        Physical pages that may be the one of the block read last, and which of them it is (one hot; it may come late).
    hit : Out(1)
        The block read last is in the cache.
    block : Out(64)
        Its eight bytes, counted while `hit`.
    refill : In(1)
        Fetch the line that holds `refill_address`; one cycle, while not `busy`.
    refill_address : In(pa_width)
        Physical address.
    refill_done, refill_error : Out(1)
        One cycle: the line has come; the bus refused it.
    flush : In(1)
        Forget all lines; one cycle, while not `busy`.
    busy : Out(1)
        Refilling or flushing. After reset the cache flushes itself.
    probe : Out(ProbeSignature)
        Asks the data cache for the newest data.
    bus : Out(axi4.Signature)
        Line reads.
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        super().__init__(
            {
                "index": In(12),
                "read": In(1),
                "pages": In(config.ppn_width).array(3),
                "chosen": In(3),
                "hit": Out(1),
                "block": Out(64),
                "refill": In(1),
                "refill_address": In(config.pa_width),
                "refill_done": Out(1),
                "refill_error": Out(1),
                "flush": In(1),
                "busy": Out(1),
                "probe": Out(ProbeSignature(config)),
                "bus": Out(axi4.Signature(addr_width=config.pa_width, data_width=64, id_width=1)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        ways = config.cache_ways
        tag_shape = data.StructLayout({"valid": 1, "ppn": config.ppn_width})

        line = Signal(config.pa_width - 6)
        beat = Signal(range(LINE_BEATS))
        victim = Signal(range(ways))
        failed = Signal()
        sweep = Signal(range(config.cache_sets))
        sweeping = Signal(init=1)

        tag_write = Signal(ways)
        hits = []
        sames = []
        known = Signal()  # the tags read last were not being written: what a read gives then does not count
        with m.If(self.read):
            m.d.sync += known.eq(~tag_write.any())
        blocks = []
        fill = Signal()
        tag_value = Signal(tag_shape)
        tag_set = Signal(6)
        for way in range(ways):
            # LUT RAM: the tag comes out of flip-flops, 5 ns before the words do on an ECP5
            m.submodules[f"tags{way}"] = tags = Memory(
                shape=tag_shape,
                depth=config.cache_sets,
                init=[],
                attrs={"ram_style": "distributed", **COLLISIONS_UNUSED},
            )
            m.submodules[f"data{way}"] = words = Memory(shape=64, depth=512, init=[], attrs=COLLISIONS_UNUSED)
            tag_read, tag_port = tags.read_port(), tags.write_port()
            word_read, word_write = words.read_port(), words.write_port()
            same = Signal(3, name=f"same{way}")
            hit = Signal(name=f"hit{way}")
            m.d.comb += [
                tag_read.addr.eq(self.index[6:12]),
                tag_read.en.eq(self.read),
                word_read.addr.eq(self.index[3:12]),
                word_read.en.eq(self.read),
                same.eq(Cat(known & tag_read.data.valid & (tag_read.data.ppn == page) for page in self.pages)),
                hit.eq((same & self.chosen).any()),
                tag_port.addr.eq(tag_set),
                tag_port.data.eq(tag_value),
                tag_port.en.eq(tag_write[way]),
                word_write.addr.eq(Cat(beat, line[:6])),
                word_write.data.eq(self.bus.r.payload.data),
                word_write.en.eq(fill & (victim == way)),
            ]
            hits.append(hit)
            sames.append(same)
            blocks.append(Mux(hit, word_read.data, 0))
        block = blocks[0]
        for other in blocks[1:]:
            block = block | other
        m.d.comb += [
            self.hit.eq((Cat(Cat(same[page] for same in sames).any() for page in range(3)) & self.chosen).any()),
            self.block.eq(block),
            self.probe.kind.eq(Probe.CLEAN),
            self.probe.address.eq(line << 6),
            self.bus.ar.payload.addr.eq(line << 6),
            self.bus.ar.payload.len.eq(LINE_BEATS - 1),
            self.bus.ar.payload.size.eq(3),
            self.bus.ar.payload.burst.eq(axi4.Burst.INCR),
        ]

        with m.FSM(name="refill"):
            with m.State("Idle"):
                m.d.comb += [self.busy.eq(sweeping), tag_set.eq(sweep)]
                with m.If(sweeping):
                    m.d.comb += tag_write.eq(~0)
                    m.d.sync += [sweep.eq(sweep + 1), sweeping.eq(sweep != config.cache_sets - 1)]
                with m.Elif(self.flush):
                    m.d.sync += sweeping.eq(1)
                with m.Elif(self.refill):
                    m.d.sync += [line.eq(self.refill_address[6:]), beat.eq(0), failed.eq(0)]
                    m.next = "Ask the data cache"
            with m.State("Ask the data cache"):
                m.d.comb += [self.busy.eq(1), self.probe.valid.eq(1)]
                with m.If(self.probe.done):
                    m.next = "Request the line"
            with m.State("Request the line"):
                # the victim's tag goes first: no block is read half old, half new
                m.d.comb += [
                    self.busy.eq(1),
                    self.bus.ar.valid.eq(1),
                    tag_set.eq(line[:6]),
                    tag_write.eq(1 << victim),
                ]
                with m.If(self.bus.ar.ready):
                    m.next = "Receive the line"
            with m.State("Receive the line"):
                m.d.comb += [
                    self.busy.eq(1),
                    self.bus.r.ready.eq(1),
                    fill.eq(self.bus.r.valid),
                    tag_set.eq(line[:6]),
                    tag_value.valid.eq(1),
                    tag_value.ppn.eq(line[6:]),
                ]
                with m.If(self.bus.r.valid):
                    bad = self.bus.r.payload.resp.as_value()[1] | failed
                    m.d.sync += [beat.eq(beat + 1), failed.eq(bad)]
                    with m.If(beat == LINE_BEATS - 1):
                        m.d.comb += [
                            tag_write.eq(Mux(bad, 0, 1 << victim)),
                            self.refill_done.eq(1),
                            self.refill_error.eq(bad),
                        ]
                        m.d.sync += victim.eq(victim + 1)
                        m.next = "Idle"
        return m
