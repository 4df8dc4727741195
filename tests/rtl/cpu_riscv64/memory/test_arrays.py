"""The data cache's arrays against Python lists: hits by page, aligned values, victims, byte writes, dirty bits."""

import random

import pytest

from rtl.cpu_riscv64.config import CoreConfig
from rtl.cpu_riscv64.memory.arrays import DataArrays
from tests.rtl.periph.simulate import simulate

CONFIG = CoreConfig()
WAYS = CONFIG.cache_ways
SETS = (0, 1, 63)
PAGES = (0x80000, 0x80001, 0x8FFFF, 0x80000 | 1 << 20)
U64 = (1 << 64) - 1


def aligned(word: int, shift: int, size: int, unsigned: bool) -> int:
    """The bytes of an access, extended."""
    bits = 8 << size
    value = word >> 8 * shift & (1 << bits) - 1
    return value if unsigned or not value >> bits - 1 else value - (1 << bits) & U64


class Model:
    """Tags, words and dirty bits."""

    def __init__(self) -> None:
        self.tags = [[None] * 64 for _ in range(WAYS)]
        self.words = [[0] * 512 for _ in range(WAYS)]
        self.dirty = [[0] * 64 for _ in range(WAYS)]

    def holder(self, index: int, page: int) -> int | None:
        """The way that has the page's line."""
        return next((way for way in range(WAYS) if self.tags[way][index >> 6] == page), None)


def choose(ctx, dut: DataArrays, pages: tuple[int, int, int], looked_for: int) -> None:
    """Looks for one of three pages."""
    for n, page in enumerate(pages):
        ctx.set(dut.pages[n], page)
    ctx.set(dut.given_page, looked_for == 2)
    ctx.set(dut.chosen, 1 << looked_for & 3)


@pytest.mark.parametrize("seed", range(2))
def test_arrays_answer_as_lists_do(seed: int) -> None:
    rng = random.Random(seed)
    print("seed", seed)
    dut = DataArrays(CONFIG)
    seen = dict.fromkeys(("hit", "miss", "forced", "given", "victim"), 0)

    async def testbench(ctx):
        model = Model()

        async def write_tag(way: int, set_: int, page: int | None) -> None:
            ctx.set(dut.tag_write, 1 << way)
            ctx.set(dut.tag_set, set_)
            ctx.set(dut.tag_valid, page is not None)
            ctx.set(dut.tag_ppn, page or 0)
            await ctx.tick()
            ctx.set(dut.tag_write, 0)
            model.tags[way][set_] = page

        async def write_word(way: int, word: int, value: int, mask: int) -> None:
            ctx.set(dut.word_write, mask)
            ctx.set(dut.word_way, way)
            ctx.set(dut.word_index, word)
            ctx.set(dut.word_data, value)
            await ctx.tick()
            ctx.set(dut.word_write, 0)
            bits = sum(0xFF << 8 * lane for lane in range(8) if mask >> lane & 1)
            model.words[way][word] = model.words[way][word] & ~bits | value & bits

        for way in range(WAYS):  # a tag array comes up invalid; words hold anything
            for set_ in SETS:
                for word in range(8):
                    await write_word(way, set_ << 3 | word, rng.getrandbits(64), 0xFF)
        for _ in range(600):
            set_, way = rng.choice(SETS), rng.randrange(WAYS)
            match rng.randrange(6):
                case 0:
                    page = rng.choice(PAGES) if rng.random() < 0.8 else None
                    if page is None or model.holder(set_ << 6, page) is None:  # a line is in one way at most
                        await write_tag(way, set_, page)
                case 1:
                    await write_word(way, set_ << 3 | rng.randrange(8), rng.getrandbits(64), rng.getrandbits(8))
                case 2:
                    ways, value = rng.getrandbits(WAYS), rng.getrandbits(1)
                    ctx.set(dut.dirty_write, ways)
                    ctx.set(dut.dirty_write_set, set_)
                    ctx.set(dut.dirty_value, value)
                    await ctx.tick()
                    ctx.set(dut.dirty_write, 0)
                    for n in range(WAYS):
                        if ways >> n & 1:
                            model.dirty[n][set_] = value
                case _:
                    await look(ctx, model, set_)
            ctx.set(dut.dirty_set, set_)
            assert ctx.get(dut.dirty_ways) == sum(model.dirty[n][set_] << n for n in range(WAYS))

    async def look(ctx, model: Model, set_: int) -> None:
        index = set_ << 6 | rng.randrange(64)
        size = rng.randrange(4)
        shift = rng.randrange(0, 9 - (1 << size))
        unsigned, victim = bool(rng.getrandbits(1)), rng.randrange(WAYS)
        pages = tuple(rng.choice(PAGES) for _ in range(3))
        looked_for = rng.randrange(3)
        force = rng.random() < 0.2
        given = force and rng.random() < 0.5
        force_way, given_word = 0 if given else rng.randrange(WAYS), rng.getrandbits(64)
        ctx.set(dut.index, index)
        ctx.set(dut.read, 1)
        await ctx.tick()
        ctx.set(dut.read, 0)
        ctx.set(dut.index, rng.getrandbits(12))  # the answer stays
        for _ in range(rng.randrange(2)):
            await ctx.tick()
        choose(ctx, dut, pages, looked_for)
        bytes_ = 1 << size
        how = {"shift": shift, "last": shift + bytes_ - 1, "keep": (1 << bytes_) - 1, "signed": not unsigned}
        ctx.set(dut.alignment, how)
        ctx.set(dut.victim_way, victim)
        for name, value in (("force", force), ("force_way", force_way), ("given", given), ("given_word", given_word)):
            ctx.set(getattr(dut, name), value)
        holder = model.holder(index, pages[looked_for])
        assert ctx.get(dut.hit) == (holder is not None)
        assert ctx.get(dut.hit_ways) == (0 if holder is None else 1 << holder)
        if holder is not None:
            assert ctx.get(dut.hit_way) == holder
        shown = force_way if force else holder
        word = given_word if given else 0 if shown is None else model.words[shown][index >> 3]
        assert ctx.get(dut.value) == aligned(word, shift, size, unsigned)
        tag = model.tags[victim][set_]
        assert ctx.get(dut.victim_valid) == (tag is not None)
        if tag is not None:
            assert ctx.get(dut.victim_ppn) == tag
        seen["hit" if holder is not None else "miss"] += 1
        seen["forced"] += force
        seen["given"] += given
        seen["victim"] += tag is not None
        ctx.set(dut.force, 0)
        ctx.set(dut.given, 0)

    simulate(dut, testbench)
    assert min(seen.values()) > 10, seen
