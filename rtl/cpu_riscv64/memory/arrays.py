"""The data cache's memories: tags, words, dirty bits, and the comparison that finds a hit."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import CoreConfig


class DataArrays(wiring.Component):
    """Data cache arrays: one read port, one write port for words, one for tags.

    Parameters
    ----------
    config : CoreConfig
        `cache_ways`, `pa_width`.

    Members
    -------
    index : In(12), read : In(1)
        Low address bits to read at this clock edge, and whether to.
    ppn : In(ppn_width)
        Physical page looked for in what was read last.
    hit_ways : Out(ways), hit : Out(1), hit_way : Out(range(ways))
        Which way holds it.
    force : In(1), force_way : In(range(ways))
        `word` and `victim_ppn` come from this way, whatever hits (an eviction).
    word : Out(64)
        The doubleword read last.
    victim_way : In(range(ways)), victim_valid : Out(1), victim_ppn : Out(ppn_width)
        Tag of that way in the set read last.
    tag_write : In(ways), tag_set : In(6), tag_valid : In(1), tag_ppn : In(ppn_width)
        Tag update.
    word_write : In(8), word_way : In(range(ways)), word_index : In(9), word_data : In(64)
        Word update, by byte.
    dirty_set : In(6), dirty_ways : Out(ways)
        Dirty bits of a set, at once.
    dirty_write : In(ways), dirty_write_set : In(6), dirty_value : In(1)
        Dirty bit update.
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        ways = config.cache_ways
        super().__init__(
            {
                "index": In(12),
                "read": In(1),
                "ppn": In(config.ppn_width),
                "hit_ways": Out(ways),
                "hit": Out(1),
                "hit_way": Out(range(ways)),
                "force": In(1),
                "force_way": In(range(ways)),
                "word": Out(64),
                "victim_way": In(range(ways)),
                "victim_valid": Out(1),
                "victim_ppn": Out(config.ppn_width),
                "tag_write": In(ways),
                "tag_set": In(6),
                "tag_valid": In(1),
                "tag_ppn": In(config.ppn_width),
                "word_write": In(8),
                "word_way": In(range(ways)),
                "word_index": In(9),
                "word_data": In(64),
                "dirty_set": In(6),
                "dirty_ways": Out(ways),
                "dirty_write": In(ways),
                "dirty_write_set": In(6),
                "dirty_value": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        tag_shape = data.StructLayout({"valid": 1, "ppn": config.ppn_width})
        words = []
        for way in range(config.cache_ways):
            m.submodules[f"tags{way}"] = tags = Memory(shape=tag_shape, depth=config.cache_sets, init=[])
            m.submodules[f"data{way}"] = lines = Memory(shape=64, depth=512, init=[])
            tag_read, tag_write = tags.read_port(), tags.write_port()
            word_read, word_write = lines.read_port(), lines.write_port(granularity=8)
            selected = Signal(name=f"selected{way}")
            m.d.comb += [
                tag_read.addr.eq(self.index[6:]),
                tag_read.en.eq(self.read),
                word_read.addr.eq(self.index[3:]),
                word_read.en.eq(self.read),
                self.hit_ways[way].eq(tag_read.data.valid & (tag_read.data.ppn == self.ppn)),
                selected.eq(Mux(self.force, self.force_way == way, self.hit_ways[way])),
                tag_write.addr.eq(self.tag_set),
                tag_write.en.eq(self.tag_write[way]),
                tag_write.data.valid.eq(self.tag_valid),
                tag_write.data.ppn.eq(self.tag_ppn),
                word_write.addr.eq(self.word_index),
                word_write.data.eq(self.word_data),
                word_write.en.eq(Mux(self.word_way == way, self.word_write, 0)),
            ]
            words.append(Mux(selected, word_read.data, 0))
            with m.If(self.victim_way == way):
                m.d.comb += [self.victim_valid.eq(tag_read.data.valid), self.victim_ppn.eq(tag_read.data.ppn)]
            with m.If(self.hit_ways[way]):
                m.d.comb += self.hit_way.eq(way)
        word = words[0]
        for other in words[1:]:
            word = word | other
        m.d.comb += [self.word.eq(word), self.hit.eq(self.hit_ways.any())]

        m.submodules.dirty = dirty = Memory(shape=config.cache_ways, depth=config.cache_sets, init=[])
        dirty_read, dirty_write = dirty.read_port(domain="comb"), dirty.write_port(granularity=1)
        m.d.comb += [
            dirty_read.addr.eq(self.dirty_set),
            self.dirty_ways.eq(dirty_read.data),
            dirty_write.addr.eq(self.dirty_write_set),
            dirty_write.en.eq(self.dirty_write),
            dirty_write.data.eq(self.dirty_value.replicate(config.cache_ways)),
        ]
        return m
