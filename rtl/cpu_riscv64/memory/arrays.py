"""The data cache's memories: tags, words, dirty bits, and the way from them to a hit and an aligned value.

Three pages may be the one that is looked for: that of either TLB way, or a given one. Tags are compared with all of
them while the TLB still decides, and words are aligned in every way while the tags are compared; the hit comes last:

    tags (LUT RAM) --== page 0, 1, given--> & chosen page --> hit_ways --+
    words (block RAM) --> bytes moved down, sign found ------------------+--> value

What a word is while it is written does not count: a line that comes has no valid tag until its last word, a store just
written is a `conflict` of the store buffer, and nothing writes while a line is read out.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, ValueLike
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import COLLISIONS_UNUSED, CoreConfig


class Alignment(data.Struct):
    """What an access wants of its doubleword. The fields are registers' business: every bit of a value waits for them.

    `shift`: its first byte; `last`: its last one, whose top bit is the sign; `keep`: the bytes of the value that are
    not extension; `signed`: extended by the sign, not by zeros.
    """

    shift: 3
    last: 3
    keep: 8
    signed: 1


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
    pages : In(ppn_width).array(3), chosen : In(2), given_page : In(1)
        Physical pages one of which is looked for in what was read last, and which: the last if `given_page`, else of
        the others the `chosen` (one hot; it may come late).
    page_hit : Out(3)
        Which of these pages have the line.
    hit_ways : Out(ways), hit : Out(1), hit_way : Out(range(ways))
        Which way holds it.
    force : In(1), force_way : In(range(ways))
        `value` and `victim_ppn` come from this way, whatever hits (an eviction).
    given : In(1), given_word : In(64)
        With `force` of way 0: `value` comes from this word.
    alignment : In(Alignment)
        How to align.
    value : Out(64)
        The bytes read last, moved down and extended. Zero where nothing hits.
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
                "pages": In(config.ppn_width).array(3),
                "chosen": In(2),
                "given_page": In(1),
                "page_hit": Out(3),
                "hit_ways": Out(ways),
                "hit": Out(1),
                "hit_way": Out(range(ways)),
                "force": In(1),
                "force_way": In(range(ways)),
                "given": In(1),
                "given_word": In(64),
                "alignment": In(Alignment),
                "value": Out(64),
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
        values = []
        any_way = [Signal(config.cache_ways, name=f"page{page}_in") for page in range(3)]
        for way in range(config.cache_ways):
            # LUT RAM: the tag comes out of flip-flops, 5 ns before the words do on an ECP5
            m.submodules[f"tags{way}"] = tags = Memory(
                shape=tag_shape, depth=config.cache_sets, init=[], attrs={"ram_style": "distributed"}
            )
            m.submodules[f"data{way}"] = lines = Memory(shape=64, depth=512, init=[], attrs=COLLISIONS_UNUSED)
            tag_read, tag_write = tags.read_port(), tags.write_port()
            word_read, word_write = lines.read_port(), lines.write_port(granularity=8)
            selected = Signal(name=f"selected{way}")
            direct = Signal(name=f"direct{way}")
            through = Signal(2, name=f"through{way}")
            m.d.comb += [
                tag_read.addr.eq(self.index[6:]),
                tag_read.en.eq(self.read),
                word_read.addr.eq(self.index[3:]),
                word_read.en.eq(self.read),
                *(
                    any_way[page][way].eq(tag_read.data.valid & (tag_read.data.ppn == self.pages[page]))
                    for page in range(3)
                ),
                self.hit_ways[way].eq(
                    Mux(
                        self.given_page,
                        any_way[2][way],
                        (Cat(any_way[page][way] for page in range(2)) & self.chosen).any(),
                    )
                ),
                # all but `chosen` is joined before it
                direct.eq(Mux(self.force, self.force_way == way, self.given_page & any_way[2][way])),
                *(through[page].eq(any_way[page][way] & ~self.given_page & ~self.force) for page in range(2)),
                selected.eq(direct | (through & self.chosen).any()),
                tag_write.addr.eq(self.tag_set),
                tag_write.en.eq(self.tag_write[way]),
                tag_write.data.valid.eq(self.tag_valid),
                tag_write.data.ppn.eq(self.tag_ppn),
                word_write.addr.eq(self.word_index),
                word_write.data.eq(self.word_data),
                word_write.en.eq(Mux(self.word_way == way, self.word_write, 0)),
            ]
            word = word_read.data if way else Mux(self.given, self.given_word, word_read.data)
            values.append(Mux(selected, align(word, self.alignment), 0))
            with m.If(self.victim_way == way):
                m.d.comb += [self.victim_valid.eq(tag_read.data.valid), self.victim_ppn.eq(tag_read.data.ppn)]
            with m.If(self.hit_ways[way]):
                m.d.comb += self.hit_way.eq(way)
        value = values[0]
        for other in values[1:]:
            value = value | other
        m.d.comb += [
            self.value.eq(value),
            self.page_hit.eq(Cat(ways.any() for ways in any_way)),
            self.hit.eq(Mux(self.given_page, self.page_hit[2], (self.page_hit[:2] & self.chosen).any())),
        ]

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


def last_byte(shift: ValueLike, size: ValueLike) -> Value:
    """`Alignment.last` of an access of 2**size bytes."""
    return (Value.cast(shift) + ((1 << Value.cast(size)) - 1))[:3]


def kept_bytes(size: ValueLike) -> Value:
    """`Alignment.keep` of an access of 2**size bytes."""
    return ((1 << (1 << Value.cast(size))) - 1)[:8]


def align(word: Value, how: Alignment) -> Value:
    """`word` with the bytes of an access moved down to bit 0, and extended.

    An access does not leave its doubleword, so each byte of the result has few sources: byte 0 any, bytes 4 to 7 only
    themselves.
    """
    lanes = [word.word_select(lane, 8) for lane in range(8)]
    fill = choose(how.last, [lane[7] for lane in lanes]) & how.signed
    result = []
    # (byte of the result, number of shifts it may have come by)
    for byte, sources in ((0, 8), (1, 7), (2, 5), (3, 5), (4, 1), (5, 1), (6, 1), (7, 1)):
        moved = choose(how.shift, lanes[byte : byte + sources])
        result.append(moved if byte == 0 else Mux(how.keep[byte], moved, fill.replicate(8)))
    return Cat(result)


def choose(index: Value, values: list[Value]) -> Value:
    """values[index] as a tree of two-way multiplexers; any value where there is none."""
    for bit in index:
        if len(values) == 1:
            break
        pairs = [values[n : n + 2] for n in range(0, len(values), 2)]
        values = [Mux(bit, pair[1], pair[0]) if len(pair) == 2 else pair[0] for pair in pairs]
    return values[0]
