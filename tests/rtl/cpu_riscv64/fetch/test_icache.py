"""The instruction cache against memory and a list of the lines it was given."""

import random

import pytest
from amaranth.hdl import Value

from rtl.cpu_riscv64.config import CoreConfig
from rtl.cpu_riscv64.fetch.icache import InstructionCache
from rtl.cpu_riscv64.interfaces import Probe
from tests.rtl.cpu_riscv64.axi_memory import OKAY, SLVERR, AxiMemory
from tests.rtl.cpu_riscv64.mmu.bench import SharedSimulator

CONFIG = CoreConfig()


class Driver:
    """One cache, its bus, and a data cache that writes `dirty` lines to memory when it is probed."""

    def __init__(self, dut: InstructionCache, seed: int):
        print("seed", seed)
        self.dut, self.rng = dut, random.Random(seed)
        self.memory: dict[int, int] = {}
        self.dirty: dict[int, dict[int, int]] = {}  # line -> doublewords not in memory yet
        self.bad: set[int] = set()
        self.bus = AxiMemory(dut.bus, self.rng, self.read, stall=0.3)
        names = {"probe_valid": dut.probe.valid, "probe_address": dut.probe.address, "probe_kind": dut.probe.kind}
        names |= {"done": dut.refill_done, "error": dut.refill_error, "busy": dut.busy, "ar": dut.bus.ar.valid}
        self.names = list(names)
        self.signals = [Value.cast(signal) for signal in names.values()]
        self.bus_signals = self.bus.signals()
        self.wait = -1
        self.answered = False
        self.probes: list[int] = []
        self.refills = 0

    def word(self, address: int) -> int:
        return self.memory.get(address, address * 0x1234_5678_9ABC_DEF1 & (1 << 64) - 1)

    def read(self, address: int) -> tuple[int, int]:
        return self.word(address), SLVERR if address >> 6 in self.bad and address & 0x20 else OKAY

    async def cycle(self, ctx) -> dict[str, int]:
        sampled = await ctx.tick().sample(*self.signals, *self.bus_signals)
        s = dict(zip(self.names, sampled[2:], strict=False))
        self.bus.step(ctx, sampled[2 + len(self.signals) :])
        if self.answered:
            ctx.set(self.dut.probe.done, 0)
            self.answered = False
        elif s["probe_valid"]:
            assert not s["ar"], "the bus is asked before the data cache has answered"
            assert s["probe_kind"] == Probe.CLEAN.value
            if self.wait < 0:
                self.wait = self.rng.randint(0, 6)
            elif self.wait == 0:
                line = s["probe_address"]
                assert line % 64 == 0
                self.probes.append(line >> 6)
                self.memory |= self.dirty.pop(line >> 6, {})
                ctx.set(self.dut.probe.done, 1)
                self.answered, self.wait = True, -1
            else:
                self.wait -= 1
        return s

    def choose_page(self, ctx, ppn: int) -> None:
        """One of the three pages is the right one, the others are any."""
        chosen = self.rng.randrange(3)
        for n, page in enumerate(self.dut.pages):
            ctx.set(page, ppn if n == chosen else self.rng.getrandbits(24))
        ctx.set(self.dut.chosen, 1 << chosen)

    async def look(self, ctx, address: int) -> int | None:
        """The block at `address`, if the cache has it; checks that the answer stays while nothing is read."""
        ctx.set(self.dut.index, address & 0xFFF)
        ctx.set(self.dut.read, 1)
        self.choose_page(ctx, self.rng.getrandbits(24))
        await self.cycle(ctx)
        ctx.set(self.dut.read, 0)
        ctx.set(self.dut.index, self.rng.getrandbits(12))
        self.choose_page(ctx, address >> 12)
        for _ in range(self.rng.choice((0, 0, 1, 3))):
            await self.cycle(ctx)
        return ctx.get(self.dut.block) if ctx.get(self.dut.hit) else None

    async def idle(self, ctx) -> None:
        while ctx.get(self.dut.busy):
            await self.cycle(ctx)

    async def refill(self, ctx, address: int, *, peek: int | None = None) -> bool:
        """Fetches the line; whether the bus gave it. `peek` is looked up all the while and must never be half new."""
        self.refills += 1
        ctx.set(self.dut.refill_address, address)
        ctx.set(self.dut.refill, 1)
        await self.cycle(ctx)
        ctx.set(self.dut.refill, 0)
        ctx.set(self.dut.refill_address, self.rng.getrandbits(36))
        for _ in range(400):
            if peek is not None:
                ctx.set(self.dut.index, peek & 0xFFF)
                self.choose_page(ctx, peek >> 12)
                ctx.set(self.dut.read, 1)
            if ctx.get(self.dut.refill_done):
                error = ctx.get(self.dut.refill_error)
                await self.cycle(ctx)
                ctx.set(self.dut.read, 0)
                return not error
            assert ctx.get(self.dut.busy), "not busy before the line came"
            s = await self.cycle(ctx)
            assert not s["done"]
            if peek is not None and ctx.get(self.dut.hit):
                assert ctx.get(self.dut.block) == self.word(peek & -8), (
                    "a block of the line that leaves, half overwritten"
                )
        raise AssertionError("the refill does not end")

    async def flush(self, ctx) -> None:
        ctx.set(self.dut.flush, 1)
        await self.cycle(ctx)
        ctx.set(self.dut.flush, 0)
        assert ctx.get(self.dut.busy)
        await self.idle(ctx)


@pytest.fixture(scope="module")
def run():
    dut = InstructionCache(CONFIG)
    simulator = SharedSimulator(dut)

    def run(seed, testbench):
        driver = Driver(dut, seed)

        async def start(ctx, driver):
            await driver.idle(ctx)
            await testbench(ctx, driver)

        simulator.run(start, driver)

    return run


def test_every_block_of_a_refilled_line_hits_with_memory_data_and_no_other_line_does(run):
    async def testbench(ctx, d):
        line = 0x8_1234_5640
        assert await d.look(ctx, line) is None
        assert await d.refill(ctx, line + 24)
        for offset in range(0, 64, 8):
            assert await d.look(ctx, line + offset) == d.word(line + offset)
        for other in (line + 64, line - 8, line + 0x1000, line ^ 1 << 35):
            assert await d.look(ctx, other) is None

    run(1, testbench)


def test_a_refill_first_lets_the_data_cache_write_its_newer_copy(run):
    async def testbench(ctx, d):
        for n in range(10):
            line = 0x8000_0000 + 0x40 * d.rng.randrange(1000)
            d.dirty[line >> 6] = {line + 8 * i: d.rng.getrandbits(64) for i in range(8)}
            newest = dict(d.dirty[line >> 6])
            assert await d.refill(ctx, line)
            assert d.probes[-1] == line >> 6 and len(d.probes) == n + 1
            for address, word in newest.items():
                assert await d.look(ctx, address) == word

    run(2, testbench)


def test_a_line_that_the_bus_refused_is_reported_and_does_not_hit(run):
    async def testbench(ctx, d):
        good, bad = 0x8000_0100, 0x8000_1100
        d.bad.add(bad >> 6)
        for _ in range(6):
            assert not await d.refill(ctx, bad)
            assert await d.look(ctx, bad) is None
            assert await d.look(ctx, bad + 32) is None
            assert await d.refill(ctx, good)
            assert await d.look(ctx, good) == d.word(good)
        d.bad.clear()
        assert await d.refill(ctx, bad)
        assert await d.look(ctx, bad) == d.word(bad)

    run(3, testbench)


def test_flush_forgets_every_line(run):
    async def testbench(ctx, d):
        lines = [0x8000_0000 + 0x40 * n for n in range(0, 192, 7)]
        for line in lines:
            assert await d.refill(ctx, line)
        d.memory = {line: 0x55 for line in lines}
        await d.flush(ctx)
        for line in lines:
            assert await d.look(ctx, line) is None
        assert await d.refill(ctx, lines[0])
        assert await d.look(ctx, lines[0]) == 0x55

    run(4, testbench)


def test_pages_that_share_an_index_live_side_by_side_and_are_told_apart(run):
    async def testbench(ctx, d):
        lines = [0x8000_0A40 + (page << 12) for page in (0, 1, 0x100, 0x10_0000)][: CONFIG.cache_ways]
        for line in lines:
            assert await d.refill(ctx, line)
        for _ in range(20):
            address = d.rng.choice(lines) + d.rng.randrange(0, 64, 8)
            assert await d.look(ctx, address) == d.word(address)

    run(5, testbench)


def test_a_line_that_is_replaced_is_never_seen_half_overwritten(run):
    async def testbench(ctx, d):
        pages = [0x8000_0000 + (n << 12) for n in range(10)]
        for page in pages[: CONFIG.cache_ways]:
            assert await d.refill(ctx, page)
        for n, page in enumerate(pages[CONFIG.cache_ways :]):
            assert await d.refill(ctx, page, peek=pages[n] + d.rng.randrange(0, 64, 8))
            assert await d.look(ctx, page) == d.word(page)

    run(6, testbench)


def test_random_refills_hits_and_flushes_agree_with_memory(run):
    async def testbench(ctx, d):
        recent: list[int] = []  # lines that must be there: the last ones of their sets
        hits = 0
        for _ in range(150):
            line = 0x8000_0000 + (d.rng.randrange(6) << 12) + d.rng.choice((0, 0x40, 0xFC0))
            address = line + d.rng.randrange(0, 64, 8)
            block = await d.look(ctx, address)
            if block is not None:
                hits += 1
                assert line in recent and block == d.word(address)
            else:
                assert line not in recent[-CONFIG.cache_ways :], "the line went too early"
                assert await d.refill(ctx, address)
                recent = [*(other for other in recent if other != line), line]
            if d.rng.random() < 0.02:
                await d.flush(ctx)
                recent = []
        assert hits > 40

    run(7, testbench)
