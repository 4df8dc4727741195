# amaranth: UnusedElaboratable=no
"""The DMA port with a model of a write-back cache in front of the same memory: coherence, deadlock freedom, rate."""

import random

import pytest
from amaranth.sim import Simulator

from rtl.bus.dma import DmaPort
from rtl.cpu_riscv64.config import CoreConfig
from rtl.cpu_riscv64.interfaces import Probe
from tests.rtl.bus.axi_model import (
    DECERR,
    OKAY,
    ManagerModel,
    Stalls,
    SubordinateModel,
    Transaction,
    add_checker,
    random_burst,
)

CLEAN, FLUSH = Probe.CLEAN, Probe.FLUSH


class CacheModel:
    """A write-back cache on `memory`: some lines are dirty. Answers probes, writes lines back, checks the rules."""

    def __init__(self, dut, memory: SubordinateModel, rng: random.Random, slow: float = 0.0, delay: int = 0):
        self.probe, self.memory, self.rng, self.slow, self.delay = dut.probe, memory, rng, slow, delay
        self.dirty: dict[int, list[int]] = {}  # line address -> doublewords
        self.cleaned: list[int] = []
        self.held: int | None = None
        self.probes: list[tuple[Probe, int]] = []

    def store(self, address: int, value: int) -> None:
        """The processor writes a doubleword into the cache."""
        line = address & -64
        assert line != self.held
        words = self.dirty.setdefault(line, [self.memory.read(line + 8 * n) for n in range(8)])
        words[(address - line) // 8] = value

    def load(self, address: int) -> int:
        line = address & -64
        if line in self.dirty:
            return self.dirty[line][(address - line) // 8]
        return self.memory.read(address)

    async def run(self, ctx) -> None:
        probe = self.probe
        while True:
            ctx.set(probe.done, 0)
            while not ctx.get(probe.valid):
                await ctx.tick()
                self.release(ctx)
            asked = ctx.get(probe.kind), ctx.get(probe.address)
            assert self.held is None, "a probe came while a line is held"
            assert asked[1] % 64 == 0
            wait = self.delay
            while wait or self.rng.random() < self.slow:
                wait = max(0, wait - 1)
                await ctx.tick()
                assert ctx.get(probe.valid) and asked == (ctx.get(probe.kind), ctx.get(probe.address))
            line = asked[1]
            for n, word in enumerate(self.dirty.pop(line, [])):
                self.memory.write(line + 8 * n, word, 0xFF)
            if asked[0] == FLUSH:
                self.held = line
            self.probes.append(asked)
            ctx.set(probe.done, 1)
            await ctx.tick()
            ctx.set(probe.done, 0)
            self.release(ctx)

    def release(self, ctx) -> None:
        if ctx.get(self.probe.release):
            assert self.held is not None, "release without a held line"
            self.held = None


def background(address: int) -> int:
    return (address * 0x9E3779B97F4A7C15 + 12345) & (2**64 - 1)


def build(rng, *, stall=0.0, slow=0.0, latency=1, delay=0, lines_in_flight=8, respond=lambda address: OKAY):
    dut = DmaPort(config=CoreConfig(), id_width=3, lines_in_flight=lines_in_flight)
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    device = ManagerModel(dut.device, stalls=Stalls(rng, stall))
    memory = SubordinateModel(
        dut.bus, stalls=Stalls(rng, stall), latency=latency, background=background, respond=respond
    )
    cache = CacheModel(dut, memory, rng, slow, delay)
    device.add_to(simulator)
    memory.add_to(simulator)
    simulator.add_testbench(cache.run, background=True)
    add_checker(simulator, "device", dut.device)
    add_checker(simulator, "bus", dut.bus)
    return simulator, device, memory, cache


def lines_of(transaction: Transaction) -> list[int]:
    lines = [transaction.beat_address(beat) & -64 for beat in range(transaction.beats)]
    return list(dict.fromkeys(lines))


@pytest.mark.parametrize("seed", range(4))
def test_device_and_processor_see_each_others_writes(seed):
    print(f"seed {seed}")
    rng = random.Random(seed)
    simulator, device, memory, cache = build(
        rng, stall=rng.choice((0, 0.3)), slow=rng.choice((0, 0.5)), latency=rng.choice((1, 10))
    )

    async def testbench(ctx):
        for _ in range(25):
            for _ in range(rng.randrange(12)):
                cache.store(0x8000_0000 + 8 * rng.randrange(0x200), rng.getrandbits(64))
            # reads and writes at the same time touch different halves; a read sees what was there before
            upper = rng.choice((0, 0x800))
            batch = []
            for write in rng.choices((False, True), k=rng.randint(1, 4)):
                address, beats, size = random_burst(rng, 0, 0x800, longest=70)
                transaction = Transaction(
                    write=write,
                    address=0x8000_0000 + address + (upper if write else 0x800 - upper),
                    beats=beats,
                    size=size,
                    ident=rng.randrange(8),
                )
                if write:
                    transaction.data = [rng.getrandbits(64) for _ in range(beats)]
                    transaction.strobes = [
                        rng.choice((0xFF, rng.getrandbits(8))) & transaction.lanes(beat) for beat in range(beats)
                    ]
                batch.append(device.issue(transaction))
            expected = {}
            for transaction in batch:
                for beat in range(transaction.beats):
                    address = transaction.beat_address(beat) & -8
                    before = expected.get(address, cache.load(address))
                    if transaction.write:
                        mask = sum(0xFF << (8 * lane) for lane in range(8) if transaction.strobes[beat] >> lane & 1)
                        expected[address] = before & ~mask | transaction.data[beat] & mask
            seen_before = {
                id(transaction): [cache.load(transaction.beat_address(beat)) for beat in range(transaction.beats)]
                for transaction in batch
            }
            await device.drain(ctx)
            for transaction in batch:
                assert set(transaction.responses) == {OKAY}
                if not transaction.write:
                    assert transaction.data == seen_before[id(transaction)]
            for address, value in expected.items():
                assert cache.load(address) == value, f"{address:#x}"
            assert cache.held is None
        for seen in memory.seen:
            assert len(lines_of(seen)) == 1, "a burst leaves its line"

    simulator.add_testbench(testbench)
    simulator.run()


def test_every_line_is_announced_before_it_is_touched_and_released_before_the_response():
    simulator, device, memory, cache = build(random.Random(0), latency=5)

    async def testbench(ctx):
        # a line of 4-byte beats is read in two pieces, and asked for before each
        read = await device.run(ctx, Transaction(write=False, address=0x8000_0ABC, beats=256, size=2))
        asked = [(CLEAN, line) for line in lines_of(read)]
        assert list(dict.fromkeys(cache.probes)) == asked
        assert len(cache.probes) == len([seen for seen in memory.seen if not seen.write])
        cache.probes.clear()
        write = await device.run(ctx, Transaction(write=True, address=0x8000_0805, beats=255, data=[3] * 255))
        assert cache.probes == [(FLUSH, line) for line in lines_of(write)]
        assert cache.held is None

    simulator.add_testbench(testbench)
    simulator.run()


def test_reads_sustain_one_beat_a_cycle():
    """With a cache that answers after 3 cycles and a memory of 20 cycles latency."""
    simulator, device, memory, cache = build(random.Random(0), latency=20, delay=3)

    async def testbench(ctx):
        read = await device.run(ctx, Transaction(write=False, address=0x8000_0000, beats=256))
        # 27 = 1 (accept) + 4 (probe) + 20 (memory) + 2 (through the queue)
        assert read.end_cycle - read.start_cycle == 255 + 27

    simulator.add_testbench(testbench)
    simulator.run()


def test_a_line_write_waits_for_nothing_but_the_cache_and_the_memory():
    simulator, device, memory, cache = build(random.Random(0), latency=20, delay=3)

    async def testbench(ctx):
        write = await device.run(ctx, Transaction(write=True, address=0x8000_0000, beats=64, data=[1] * 64))
        # 9 until the first line is collected; then 34 a line, of which the cache takes 4, the data 8, the memory 19
        assert write.end_cycle - write.start_cycle == 9 + 8 * 34
        assert len(cache.probes) == 8

    simulator.add_testbench(testbench)
    simulator.run()


def test_a_device_that_does_not_take_its_data_leaves_the_memory_free():
    """All read data is taken from the crossbar at once, and no line is held, whatever the device does."""
    rng = random.Random(0)
    dut = DmaPort(config=CoreConfig(), id_width=3)
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    memory = SubordinateModel(dut.bus, background=background)
    cache = CacheModel(dut, memory, rng)
    memory.add_to(simulator)
    simulator.add_testbench(cache.run, background=True)

    async def testbench(ctx):
        address = {"addr": 0x8000_0000, "len": 255, "size": 3, "burst": 1}
        ctx.set(dut.device.ar.payload, address)
        ctx.set(dut.device.ar.valid, 1)
        ctx.set(dut.device.aw.payload, address)
        ctx.set(dut.device.aw.valid, 1)
        ctx.set(dut.device.w.payload, {"data": 1, "strb": 0xFF})
        ctx.set(dut.device.w.valid, 1)
        for cycle in range(200):
            await ctx.tick()
            # the device begins a line of data, and never ends it
            ctx.set(dut.device.w.valid, cycle < 20)
            if ctx.get(dut.bus.r.valid):
                assert ctx.get(dut.bus.r.ready)
            assert cache.held is None or cycle < 150
        assert len([seen for seen in memory.seen if not seen.write]) == 8
        assert not memory.reads

    simulator.add_testbench(testbench)
    simulator.run()


def test_a_write_does_not_wait_for_a_read_nor_a_read_for_a_write():
    """A device whose write data is its read data (a copy) gets on although both bursts are offered at once."""
    rng = random.Random(7)
    simulator, device, memory, cache = build(rng, latency=12, slow=0.5)

    async def testbench(ctx):
        read = device.issue(Transaction(write=False, address=0x8000_0000, beats=64))
        write = Transaction(write=True, address=0x8000_1000, beats=64, data=read.data)

        class Lagging(list):
            """Write data appears as the read data does."""

        write.data = Lagging(read.data)
        write.strobes = [0xFF] * 64
        # address first, data only as it arrives
        device.pending += 1
        device._writes.append(write)
        port = device.port
        for beat in range(64):
            while len(read.data) <= beat:
                await ctx.tick()
            ctx.set(port.w.payload, {"data": read.data[beat], "strb": 0xFF, "last": beat == 63})
            ctx.set(port.w.valid, 1)
            while not (await ctx.tick().sample(port.w.ready))[-1]:
                pass
            ctx.set(port.w.valid, 0)
        await device.drain(ctx)
        for beat in range(64):
            assert memory.read(0x8000_1000 + 8 * beat) == background(0x8000_0000 + 8 * beat)

    simulator.add_testbench(testbench)
    simulator.run()


def test_errors_come_back():
    """A read reports each beat's error, a write the first of its lines'."""

    def respond(address: int) -> int:
        return DECERR if 0x40 <= address % 0x1000 < 0x80 else OKAY

    simulator, device, memory, cache = build(random.Random(0), respond=respond)

    async def testbench(ctx):
        read = await device.run(ctx, Transaction(write=False, address=0x20, beats=16))
        assert read.responses == [OKAY] * 4 + [DECERR] * 8 + [OKAY] * 4
        write = await device.run(ctx, Transaction(write=True, address=0x20, beats=16, data=[0] * 16))
        assert write.responses == [DECERR]
        write = await device.run(ctx, Transaction(write=True, address=0x80, beats=16, data=[0] * 16))
        assert write.responses == [OKAY]
        assert cache.held is None

    simulator.add_testbench(testbench)
    simulator.run()
