"""The data side's bus transfers against a memory with random latencies, stalls and refusals."""

import random
from collections import deque

from amaranth.hdl import Value

from rtl.cpu_riscv64.config import CoreConfig
from rtl.cpu_riscv64.memory.transfers import FILL_SLOTS, Transfers
from tests.rtl.cpu_riscv64.axi_memory import OKAY, SLVERR, AxiMemory
from tests.rtl.periph.simulate import simulate

CONFIG = CoreConfig()
BAD = 0xF_0000_0000 >> 6  # lines and addresses with these bits are refused


def word_at(address: int) -> int:
    return (address * 0x9E37_79B9_7F4A_7C15 >> 3) & (1 << 64) - 1


class Bench:
    """Drives fills, write-backs and single accesses at random and judges all that comes back."""

    def __init__(self, seed: int, *, fills: float, write_backs: float, singles: float, hold: float, stall: float):
        print("seed", seed)
        self.rng = random.Random(seed)
        self.fills, self.write_backs, self.singles, self.hold = fills, write_backs, singles, hold
        self.dut = Transfers(CONFIG)
        self.memory: dict[int, int] = {}
        self.bus = AxiMemory(self.dut.bus, self.rng, self.read, self.write, stall=stall)
        self.counts = dict.fromkeys(("filled", "failed", "written", "read", "single_write", "error", "held", "most"), 0)

    def read(self, address: int) -> tuple[int, int]:
        return self.memory.get(address, word_at(address)), SLVERR if self.bad(address) else OKAY

    def write(self, address: int, data: int, strobes: int) -> int:
        if self.bad(address):
            return SLVERR
        mask = sum(0xFF << 8 * i for i in range(8) if strobes >> i & 1)
        self.memory[address] = self.memory.get(address, word_at(address)) & ~mask | data & mask
        return OKAY

    @staticmethod
    def bad(address: int) -> bool:
        return address >> 32 == 0xF and address >> 3 & 7 in (0, 2)

    def run(self, cycles: int) -> dict[str, int]:
        async def testbench(ctx):
            await self.testbench(ctx, cycles)

        simulate(self.dut, testbench)
        print(self.counts)
        return self.counts

    async def testbench(self, ctx, cycles: int) -> None:
        dut, rng, counts = self.dut, self.rng, self.counts
        names = "fill_ready query_filling query_ways beat beat_line beat_way beat_index beat_data filled failed".split()
        names += "writing_back written pending_line single_done single_read_data single_error".split()
        signals = [Value.cast(getattr(dut, name)) for name in names]
        bus_signals = self.bus.signals()
        pending: deque[dict] = deque()
        fill = None  # presented in this cycle
        query = 0
        line_written: dict | None = None
        storing: dict | None = None
        single: dict | None = None
        held = False
        now = 0
        while now < cycles or pending or line_written or storing or single or fill:
            now += 1
            assert now < cycles + 3000, "something never ends"
            sampled = await ctx.tick().sample(*signals, *bus_signals)
            s = dict(zip(names, sampled[2:], strict=False))
            self.bus.step(ctx, sampled[2 + len(signals) :])

            # fills
            assert s["fill_ready"] == (len(pending) < FILL_SLOTS)
            assert s["query_filling"] == any(p["line"] == query for p in pending)
            ways = 0
            for p in pending:
                ways |= (p["line"] & 63 == query & 63) << p["way"]
            assert s["query_ways"] == ways
            assert not (held and s["beat"]), "a beat while beats are held"
            counts["held"] += held
            counts["most"] = max(counts["most"], len(pending))
            if s["beat"]:
                p = pending[0]
                assert (s["beat_line"], s["beat_way"], s["beat_index"]) == (p["line"], p["way"], p["beat"])
                address = (p["line"] << 6) + 8 * p["beat"]
                assert s["beat_data"] == self.memory.get(address, word_at(address))
                p["beat"] += 1
                assert s["filled"] == (p["beat"] == 8)
                if p["beat"] == 8:
                    assert s["failed"] == (p["line"] >> 26 == 0xF)
                    counts["filled"] += 1
                    counts["failed"] += s["failed"]
                    pending.popleft()
            else:
                assert not s["filled"]
            if fill:
                pending.append(fill)
            fill = None
            if len(pending) < FILL_SLOTS and rng.random() < self.fills and now < cycles:
                # what is written stays away from what is filled, as the sequencer sees to
                line = rng.choice((0x200_0000, 0xF << 26)) + rng.randrange(128)
                fill = {"line": line, "way": rng.randrange(CONFIG.cache_ways), "beat": 0}
                ctx.set(dut.fill_line, line)
                ctx.set(dut.fill_way, fill["way"])
            ctx.set(dut.fill, fill is not None)
            query = rng.choice([p["line"] for p in pending] or [0]) ^ rng.choice((0, 0, 1 << 6, 1))
            ctx.set(dut.query_line, query)
            held = rng.random() < self.hold
            ctx.set(dut.hold_beats, held)

            # write-backs
            assert not s["written"] or line_written, "written, and nothing was sent"
            if line_written:
                assert s["writing_back"] or line_written["fresh"]
                line_written["fresh"] = False
                if s["writing_back"]:
                    assert s["pending_line"] == line_written["line"]
                if s["written"]:
                    for i, word in enumerate(line_written["words"]):
                        assert self.memory[(line_written["line"] << 6) + 8 * i] == word
                    counts["written"] += 1
                    line_written = None
            ctx.set(dut.write_back, 0)
            ctx.set(dut.store_beat, 0)
            if storing:
                i = storing["beat"]
                ctx.set(dut.store_beat, 1)
                ctx.set(dut.store_index, i)
                ctx.set(dut.store_data, storing["words"][i])
                storing["beat"] += 1
                if storing["beat"] == 8:
                    ctx.set(dut.write_back, 1)
                    ctx.set(dut.write_back_line, storing["line"])
                    line_written, storing = {**storing, "fresh": True}, None
            elif line_written is None and single is None and rng.random() < self.write_backs and now < cycles:
                words = [rng.getrandbits(64) for _ in range(8)]
                storing = {"line": 0x210_0000 + rng.randrange(64), "words": words, "beat": 0}

            # single accesses: never beside a write-back
            if single and s["single_done"]:
                address, size = single["address"], single["size"]
                word = address & -8
                assert s["single_error"] == self.bad(word)
                counts["error"] += s["single_error"]
                if single["write"]:
                    counts["single_write"] += 1
                    assert self.bus.writes[-1] == (1, address, 1, size)
                    if not self.bad(word):
                        shift, mask = 8 * (address % 8), (1 << (8 << size)) - 1
                        assert self.memory[word] >> shift & mask == single["data"] >> shift & mask
                        expected = single["before"] & ~(mask << shift) | single["data"] & mask << shift
                        assert self.memory[word] == expected
                else:
                    counts["read"] += 1
                    assert s["single_read_data"] == self.memory.get(word, word_at(word))
                ctx.set(dut.single, 0)
                single = None
            else:
                assert not s["single_done"]
                if single is None and not (line_written or storing) and rng.random() < self.singles and now < cycles:
                    size = rng.randrange(4)
                    address = rng.choice((0x1000_0000, 0xF_0000_0000)) + (rng.randrange(64) & -(1 << size))
                    word = address & -8
                    single = {
                        "write": rng.randrange(2),
                        "address": address,
                        "size": size,
                        "data": rng.getrandbits(64),
                        "mask": (1 << (1 << size)) - 1 << address % 8,
                        "before": self.memory.get(word, word_at(word)),
                    }
                    for name in ("write", "address", "size", "data", "mask"):
                        ctx.set(getattr(dut, f"single_{name}"), single[name])
                    ctx.set(dut.single, 1)
        fills = [(0, line_address, beats, size) for ident, line_address, beats, size in self.bus.reads if ident == 0]
        assert all(beats == 8 and size == 3 and address % 64 == 0 for _, address, beats, size in fills)
        assert len(fills) == counts["filled"]
        assert len(self.bus.writes) == counts["written"] + counts["single_write"]


def test_several_fills_are_under_way_and_end_in_order():
    counts = Bench(1, fills=0.5, write_backs=0, singles=0, hold=0.3, stall=0.3).run(900)
    assert counts["filled"] > 20 and counts["failed"] > 5 and counts["most"] == FILL_SLOTS


def test_write_backs_reach_memory_before_they_are_called_written():
    counts = Bench(2, fills=0, write_backs=0.5, singles=0, hold=0, stall=0.3).run(600)
    assert counts["written"] > 10


def test_single_accesses_use_their_lanes_and_report_refusals():
    counts = Bench(3, fills=0, write_backs=0, singles=0.7, hold=0, stall=0.3).run(600)
    assert min(counts["read"], counts["single_write"], counts["error"]) > 5


def test_all_transfers_mixed_do_not_disturb_each_other():
    counts = Bench(4, fills=0.1, write_backs=0.05, singles=0.3, hold=0.2, stall=0.4).run(1200)
    assert min(counts["filled"], counts["written"], counts["read"], counts["single_write"]) > 5


def test_a_bus_that_never_waits_is_as_good():
    counts = Bench(5, fills=0.2, write_backs=0.1, singles=0.3, hold=0.1, stall=0).run(800)
    assert min(counts["filled"], counts["written"], counts["read"], counts["single_write"]) > 5
