"""The memory unit in a two-stage pipeline of its own, with everyone who talks to it, and a judge of bytes.

The judge keeps, for every byte of memory, the set of values that a reader may see. It is one value, except where a
store in the store buffer and a DMA write race; what a reader sees then settles it.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import data

from rtl.cpu_riscv64.config import CoreConfig
from rtl.cpu_riscv64.interfaces import AmoOp, Cause, Memory, Privilege, Probe, Space
from rtl.cpu_riscv64.memory.unit import MemoryUnit
from tests.rtl.cpu_riscv64.axi_memory import OKAY, SLVERR, AxiMemory

VIRTUAL = 0x40_0000_0000 - 0x10_0000  # up to the end of the lower half
RAM, RAM_END = 0x8000_0000, 0x8800_0000
DEVICE = 0x1000_0000
OFFSETS = (0x000, 0x040, 0x080, 0xFC0)  # lines of a page that are used: few sets, so that they are evicted
U64 = (1 << 64) - 1


@dataclass
class Operation:
    """One instruction. `bubble`: cycles before it comes to X."""

    memory: Memory
    address: int
    size: int
    data: int = 0
    unsigned: int = 0
    amo: AmoOp = AmoOp.ADD
    bubble: int = 0

    @property
    def length(self) -> int:
        return 1 << self.size


@dataclass
class Page:
    """One virtual page. `fault`: for accesses of a kind ('r', 'w'); `mixed`: never kept in the TLB."""

    frame: int
    fault: str = ""
    device: bool = False
    mixed: bool = False


class Bench(Elaboratable):
    """X and M stages around the unit."""

    def __init__(self, config: CoreConfig):
        self.unit = MemoryUnit(config)
        fields = {"address": 64, "data": 64, "memory": Memory, "size": 2, "unsigned": 1, "amo": AmoOp}
        self.x = Signal(data.StructLayout(fields))
        self.x_valid = Signal()
        self.x_fire = Signal()
        self.m = Signal.like(self.x)
        self.m_valid = Signal()
        self.done = Signal()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.unit = unit = self.unit
        m.d.comb += [
            self.x_fire.eq(self.x_valid & ~unit.busy_port & (~self.m_valid | self.done)),
            self.done.eq(unit.fast | unit.reply),
            unit.x_memory.eq(self.x_valid),
            unit.x_address.eq(self.x.address),
            unit.x_kind.eq(self.x.memory),
            unit.x_size.eq(self.x.size),
            unit.x_enters.eq(self.x_fire),
            unit.moves.eq(~self.m_valid | self.done),
            unit.m_valid.eq(self.m_valid),
            unit.m_data.eq(self.m.data),
            unit.m_memory.eq(self.m.memory),
            unit.m_size.eq(self.m.size),
            unit.m_unsigned.eq(self.m.unsigned),
            unit.m_amo.eq(self.m.amo),
        ]
        with m.If(self.x_fire):
            m.d.sync += [self.m.eq(self.x), self.m_valid.eq(1)]
        with m.Elif(self.done):
            m.d.sync += self.m_valid.eq(0)
        return m


class Judge:
    """What memory may hold, byte by byte."""

    def __init__(self) -> None:
        self.now = 0
        self.drained_at = 0
        self.current: dict[int, frozenset[int]] = {}
        self.replaced: dict[int, list[tuple[int, frozenset[int]]]] = {}
        self.stored_at: dict[int, int] = {}
        self.half_done: dict[int, int] = {}  # bytes of a store in M that may be there already

    def seed(self, byte: int, value: int) -> None:
        self.current[byte] = frozenset((value,))

    def allowed(self, byte: int, since: int) -> set[int]:
        """Values a reader may see that looked at some time between `since` and now."""
        values = set(self.current[byte])
        for time, old in self.replaced.get(byte, ()):
            if time >= since:
                values |= old
        if byte in self.half_done:
            values.add(self.half_done[byte])
        return values

    def check(self, address: int, length: int, seen: int, since: int, what: str) -> None:
        for i in range(length):
            byte, value = address + i, seen >> 8 * i & 0xFF
            allowed = self.allowed(byte, since)
            assert value in allowed, (
                f"cycle {self.now}: {what}: byte {byte:#x} is {value:#04x}, allowed {sorted(map(hex, allowed))}"
            )
            if value in self.current[byte]:
                self.current[byte] = frozenset((value,))

    def _replace(self, byte: int, values: frozenset[int]) -> None:
        self.replaced.setdefault(byte, []).append((self.now, self.current[byte]))
        del self.replaced[byte][:-6]
        self.current[byte] = values

    def store(self, address: int, length: int, value: int) -> None:
        for i in range(length):
            self._replace(address + i, frozenset((value >> 8 * i & 0xFF,)))
            self.stored_at[address + i] = self.now

    def dma_write(self, byte: int, value: int) -> None:
        """A DMA write is over: a store that had not drained yet may come before or after it."""
        values = frozenset((value,))
        if self.stored_at.get(byte, -1) >= self.drained_at:
            values |= self.current[byte]
        self._replace(byte, values)


class Machine:
    """Runs operations through a `Bench` and judges everything that comes out.

    Parameters
    ----------
    bench, rng : as they say
    operations : what to execute
    stall : probability that the bus holds back
    dma, fetch, walker : probability per cycle that each begins something
    remap : probability after an operation that two pages are exchanged, with an SFENCE.VMA
    bad_line : physical line that the bus refuses
    offsets : lines of a page that DMA uses
    """

    def __init__(
        self,
        bench: Bench,
        rng: random.Random,
        pages: dict[int, Page],
        operations: Iterator[Operation],
        *,
        stall: float = 0.4,
        latency: int = 12,
        dma: float = 0.0,
        fetch: float = 0.0,
        walker: float = 0.0,
        remap: float = 0.0,
        bad_line: int | None = None,
        patience: int = 3000,
        offsets: tuple = OFFSETS,
    ):
        self.bench, self.unit, self.rng, self.pages = bench, bench.unit, rng, pages
        self.operations, self.bad_line, self.patience = operations, bad_line, patience
        self.chances = {"dma": dma, "fetch": fetch, "walker": walker, "remap": remap}
        self.judge = Judge()
        self.memory: dict[int, int] = {}  # bytes of DRAM
        self.device: dict[int, int] = {}
        self.device_log: list[tuple] = []
        self.expected_log: list[tuple] = []
        self.lines = [page.frame + offset for page in pages.values() if not page.device for offset in OFFSETS]
        for line in self.lines:
            for byte in range(line, line + 64):
                self.memory[byte] = rng.randrange(256)
                self.judge.seed(byte, self.memory[byte])
        self.targets = [line for line in self.lines if line & 0xFFF in offsets]  # of DMA
        self.bus = AxiMemory(self.unit.bus, rng, self._bus_read, self._bus_write, stall=stall, latency=latency)
        self.counts = dict.fromkeys(("done", "fault", "sc", "dma", "fetch", "walker", "remap", "miss", "write_back"), 0)
        # pipeline
        self.x: Operation | None = None
        self.waiting: Operation | None = None
        self.bubble = 0
        self.m: Operation | None = None
        self.entered = 0
        self.finished = False
        self.reservation: int | None = None
        self.flushed_at: dict[int, int] = {}
        self.lost_at = -1  # when DMA took the reservation
        # agents
        self.since: dict[str, int] = {}
        self.sfence = 0
        self.walk = 0
        self.dma: dict | None = None
        self.fetch_line: int | None = None
        self.walker: dict | None = None
        self.walk_latency = 0

    # -- bus
    def _bus_read(self, address: int) -> tuple[int, int]:
        if address < RAM:
            self.device_log.append(("read", address))
            return self._device(address), SLVERR if address & 0x800 else OKAY
        if address >> 6 << 6 == self.bad_line:
            return 0, SLVERR
        return sum(self.memory.get(address + i, 0) << 8 * i for i in range(8)), OKAY

    def _bus_write(self, address: int, data: int, strobes: int) -> int:
        target = self.device if address < RAM else self.memory
        if address < RAM:
            self.device_log.append(("write", address, strobes))
            if address & 0x800:
                return SLVERR
        assert address >> 6 << 6 != self.bad_line, "a line that was never read is written back"
        for i in range(8):
            if strobes >> i & 1:
                target[address + i] = data >> 8 * i & 0xFF
        return OKAY

    def _device(self, address: int) -> int:
        return sum(self.device.get(address + i, (address + i) * 37 >> 2 & 0xFF) << 8 * i for i in range(8))

    # -- what an operation is to do
    def _translate(self, address: int, operation: Operation) -> tuple[Page, int | None]:
        page = self.pages[address >> 12]
        write = operation.memory not in (Memory.LOAD, Memory.LOAD_RESERVED)
        cause = None
        if ("w" if write else "r") in page.fault:
            cause = Cause.STORE_PAGE if write else Cause.LOAD_PAGE
        return page, cause

    def _halves(self, op: Operation) -> list[tuple[int, int]]:
        """Virtual addresses and lengths of the doublewords' parts."""
        first = min(op.length, 8 - op.address % 8)
        halves = [(op.address, first)]
        if first < op.length:
            halves.append((op.address + first, op.length - first))
        return halves

    def _expected_fault(self, op: Operation) -> tuple[Cause, int] | None:
        write = op.memory not in (Memory.LOAD, Memory.LOAD_RESERVED)
        atomic = op.memory not in (Memory.LOAD, Memory.STORE)
        misaligned = Cause.STORE_MISALIGNED if write else Cause.LOAD_MISALIGNED
        access = Cause.STORE_ACCESS if write else Cause.LOAD_ACCESS
        if atomic and op.address % op.length:
            return misaligned, op.address
        if op.memory == Memory.STORE_CONDITIONAL and self.reservation is None:
            return None
        for i, (address, _) in enumerate(self._halves(op)):
            page, cause = self._translate(address, op)
            if cause:
                return cause, address
            if page.device:
                if atomic or i:
                    return access, address
                if op.address % op.length:
                    return misaligned, address
                if address & 0x800:
                    return access, address
            elif op.memory != Memory.STORE and page.frame + (address & 0xFC0) == self.bad_line:
                return access, address
        return None

    def _physical(self, op: Operation) -> list[tuple[int, int]]:
        return [(self.pages[a >> 12].frame + (a & 0xFFF), n) for a, n in self._halves(op)]

    def _retire(self, s: Any) -> None:
        op, since = self.m, self.entered
        what = f"{op}"
        judge = self.judge
        judge.half_done.clear()
        self.counts["done"] += 1
        expected = self._expected_fault(op)
        sc_may_fail = op.memory == Memory.STORE_CONDITIONAL and (
            self.reservation is None or self.flushed_at.get(self.reservation, -1) >= since - 1
        )
        if sc_may_fail and not s.fault and s.result == 1:
            self.reservation = None
            return
        if op.memory == Memory.STORE_CONDITIONAL and s.fault and not expected and self.lost_at >= since:
            return  # it was on its way to the fault when the reservation went
        if expected:
            assert s.fault, f"cycle {judge.now}: {what}: no fault, expected {expected}"
            seen = Cause(s.cause), s.tval
            assert seen == expected, f"cycle {judge.now}: {what}: fault {seen}, expected {expected}"
            self.counts["fault"] += 1
            page = self.pages[op.address >> 12]
            if page.device and not page.fault and len(self._halves(op)) == 1 and op.address & 0x800:
                if op.memory in (Memory.LOAD, Memory.STORE) and op.address % op.length == 0:
                    self._log_device(op)
            return
        assert not s.fault, f"cycle {judge.now}: {what}: fault {s.cause}, expected none"
        page = self.pages[op.address >> 12]
        parts = self._physical(op)
        if page.device:
            self._log_device(op)
            physical = parts[0][0]
            if op.memory == Memory.LOAD:
                value = self._device(physical & -8) >> 8 * (physical % 8)
                assert s.result == _extend(value, op), f"cycle {judge.now}: {what}: device load {s.result:#x}"
            else:
                for i in range(op.length):
                    assert self.device[physical + i] == op.data >> 8 * i & 0xFF, f"{what}: device store"
            return
        if op.memory == Memory.STORE_CONDITIONAL:
            line = parts[0][0] >> 6
            if self.reservation == line:
                assert s.result == 0, f"cycle {judge.now}: {what}: SC failed"
                self.counts["sc"] += 1
                self._store(parts, op.data)
            else:
                assert s.result == 1, f"cycle {judge.now}: {what}: SC succeeded without reservation"
            self.reservation = None
            return
        if op.memory != Memory.STORE:
            assert s.result == _extend(s.result, op), f"cycle {judge.now}: {what}: extension of {s.result:#x}"
            shift = 0
            for address, length in parts:
                judge.check(address, length, s.result >> 8 * shift, since, what)
                shift += length
        if op.memory == Memory.LOAD_RESERVED:
            self.reservation = parts[0][0] >> 6
            if self.flushed_at.get(self.reservation, -1) >= since:
                self.flushed_at[self.reservation] = U64  # may be lost already
        if op.memory == Memory.STORE:
            self._store(parts, op.data)
        if op.memory == Memory.AMO:
            self._store(parts, _amo(op, s.result))

    def _log_device(self, op: Operation) -> None:
        physical = self._physical(op)[0][0]
        if op.memory == Memory.LOAD:
            self.expected_log.append(("read", physical & -8))
        else:
            self.expected_log.append(("write", physical & -8, (1 << op.length) - 1 << physical % 8))

    def _store(self, parts: list[tuple[int, int]], value: int) -> None:
        for address, length in parts:
            if address >> 6 << 6 != self.bad_line:
                self.judge.store(address, length, value)
            value >>= 8 * length

    # -- agents
    def _walker_stub(self, ctx: Any, s: Any) -> None:
        """Answers translations from `pages`."""
        if self.walk == 2:
            ctx.set(self.unit.walk_done, 0)
            self.walk = 0
            return
        if not s.walk_valid:
            return
        if self.walk == 0:
            self.walk, self.walk_latency = 1, self.rng.randint(0, 8)
        if self.walk_latency:
            self.walk_latency -= 1
            return
        page = self.pages[s.walk_va >> 12]
        self.pages_walked = s.walk_va >> 12
        assert (s.walk_va & 0xFFF) + s.walk_length <= 0x1000 and s.walk_length
        access = s.walk_access
        fault = ("r" if access == 1 else "w") in page.fault
        ctx.set(
            self.unit.walk_response,
            {
                "fault": fault,
                "cause": Cause.LOAD_PAGE if access == 1 else Cause.STORE_PAGE,
                "entry": {
                    "valid": 1,
                    "space": Space.TRANSLATED,
                    "vpn": s.walk_va >> 12 & (1 << 27) - 1,
                    "asid": 5,
                    "ppn": page.frame >> 12,
                    "read": "r" not in page.fault,
                    "write": "w" not in page.fault and self.rng.random() < 0.7 or access == 2,
                    "cacheable": not page.device,
                    "mixed": page.mixed,
                },
            },
        )
        ctx.set(self.unit.walk_done, 1)
        self.walk = 2

    def _dma_agent(self, ctx: Any, s: Any) -> None:
        rng, probe, judge = self.rng, self.unit.dma_probe, self.judge
        job = self.dma
        if job is None:
            if rng.random() < self.chances["dma"] and not self.stopping:
                self._begin_dma(ctx, rng.choice(self.targets), rng.choice((Probe.CLEAN, Probe.FLUSH)))
            return
        if job["state"] == "ask" and s.dma_done:
            ctx.set(probe.valid, 0)
            self.counts["dma"] += 1
            if job["kind"] == Probe.CLEAN:
                self._check_memory(job["line"], "after CLEAN")
                self.dma = None
                return
            self.flushed_at[job["line"] >> 6] = judge.now
            if self.reservation == job["line"] >> 6:
                self.reservation, self.lost_at = None, judge.now
            job.update(state="write", wait=rng.randint(0, 10))
            start = rng.randrange(64)
            end = rng.randint(start, 64) if rng.random() < 0.5 else 64
            job["bytes"] = range(job["line"] + start, job["line"] + end)
        elif job["state"] == "write":
            if job["wait"]:
                job["wait"] -= 1
                return
            for byte in job["bytes"]:
                value = rng.randrange(256)
                self.memory[byte] = value
                judge.dma_write(byte, value)
            job.update(state="release", wait=rng.randint(0, 5))
        elif job["state"] == "release":
            if job["wait"]:
                job["wait"] -= 1
                return
            ctx.set(probe.release, 1)
            job["state"] = "end"
        elif job["state"] == "end":
            ctx.set(probe.release, 0)
            self.dma = None

    def _begin_dma(self, ctx: Any, line: int, kind: Probe) -> None:
        self.dma = {"state": "ask", "kind": kind, "line": line}
        ctx.set(self.unit.dma_probe.kind, kind)
        ctx.set(self.unit.dma_probe.address, line)
        ctx.set(self.unit.dma_probe.valid, 1)

    def _check_memory(self, line: int, what: str) -> None:
        """Memory has everything that had drained."""
        if line == self.bad_line:
            return
        for byte in range(line, line + 64):
            allowed = self.judge.allowed(byte, self.judge.drained_at)
            assert self.memory[byte] in allowed, (
                f"cycle {self.judge.now}: {what}: byte {byte:#x} of memory is {self.memory[byte]:#04x}, "
                f"allowed {sorted(map(hex, allowed))}"
            )

    def _fetch_agent(self, ctx: Any, s: Any) -> None:
        probe = self.unit.fetch_probe
        if self.fetch_line is None:
            if self.rng.random() < self.chances["fetch"] and not self.stopping:
                self.fetch_line = self.rng.choice(self.lines)
                ctx.set(probe.kind, Probe.CLEAN)
                ctx.set(probe.address, self.fetch_line)
                ctx.set(probe.valid, 1)
        elif s.fetch_done:
            ctx.set(probe.valid, 0)
            self.counts["fetch"] += 1
            self._check_memory(self.fetch_line, "after a fetch probe")
            self.fetch_line = None

    def _walker_agent(self, ctx: Any, s: Any) -> None:
        port, rng, judge = self.unit.walker_memory, self.rng, self.judge
        job = self.walker
        if job is None:
            if rng.random() < self.chances["walker"] and not self.stopping:
                line = rng.choice([line for line in self.lines if line != self.bad_line])
                address = line + 8 * rng.randrange(8)
                outside = rng.random() < 0.1
                if outside:
                    address = rng.choice((RAM - 8, RAM_END, DEVICE, 0, 1 << 35))
                job = {"address": address, "set": rng.random() < 0.5, "outside": outside, "since": judge.now}
                job["expected"] = 0
                if job["set"] and not outside:
                    job["expected"] = sum(min(judge.current[address + i]) << 8 * i for i in range(8))
                    if rng.random() < 0.3:
                        job["expected"] ^= 1 << rng.randrange(64)
                job["bits"] = rng.getrandbits(64) & rng.getrandbits(64)
                self.walker = job
                ctx.set(port.address, address)
                ctx.set(port.set_bits, job["set"])
                ctx.set(port.expected, job["expected"])
                ctx.set(port.bits, job["bits"])
                ctx.set(port.valid, 1)
        elif s.walker_done:
            ctx.set(port.valid, 0)
            self.counts["walker"] += 1
            self.walker = None
            assert s.walker_error == job["outside"], f"cycle {judge.now}: walker {job}: error {s.walker_error}"
            if not job["outside"]:
                judge.check(job["address"], 8, s.walker_data, job["since"], f"walker {job}")
                if job["set"] and s.walker_data == job["expected"]:
                    judge.store(job["address"], 8, job["expected"] | job["bits"])

    def _driver(self, ctx: Any, s: Any) -> None:
        """X: operations, bubbles, and SFENCE.VMA while nothing is under way."""
        if s.x_fire:
            self.m, self.entered = self.x, self.judge.now
            if self.m.memory == Memory.STORE and len(self._halves(self.m)) == 2 and not self._expected_fault(self.m):
                value = self.m.data
                for address, length in self._physical(self.m):
                    for i in range(length):
                        self.judge.half_done[address + i] = value >> 8 * i & 0xFF
                    value >>= 8 * length
            self.x = None
        if self.sfence:
            if self.sfence == 1 and self.m is None and s.drained and self.x is None and self.walk == 0:
                self._exchange()
                ctx.set(self.unit.sfence_valid, 1)
                self.sfence = 2
            elif self.sfence == 2:
                ctx.set(self.unit.sfence_valid, 0)
                self.sfence = 3
            elif self.sfence == 3 and not s.flushing:
                self.sfence = 0
        if self.x is None and not self.sfence and not self.finished:
            if self.waiting is None:
                if self.rng.random() < self.chances["remap"]:
                    self.sfence = 1
                    self.counts["remap"] += 1
                self.waiting = next(self.operations, None)
                if self.waiting is None:
                    self.finished = True
                else:
                    self.bubble = self.waiting.bubble
            if self.waiting and not self.sfence:
                if self.bubble:
                    self.bubble -= 1
                else:
                    self.x, self.waiting = self.waiting, None
                    op = self.x
                    ctx.set(
                        self.bench.x,
                        {
                            "address": op.address,
                            "data": op.data,
                            "memory": op.memory,
                            "size": op.size,
                            "unsigned": op.unsigned,
                            "amo": op.amo,
                        },
                    )
        ctx.set(self.bench.x_valid, self.x is not None)

    def _exchange(self) -> None:
        a, b = self.rng.sample(sorted(self.pages), 2)
        self.pages[a], self.pages[b] = self.pages[b], self.pages[a]

    # -- the clock
    async def run(self, ctx: Any) -> None:
        bench, unit = self.bench, self.unit
        ctx.set(unit.ram_end, RAM_END)
        ctx.set(unit.context, {"privilege": Privilege.SUPERVISOR, "sv39": 1, "asid": 5})
        named = {
            "x_fire": bench.x_fire,
            "m_valid": bench.m_valid,
            "done": self.bench.done,
            "fault": unit.fault,
            "cause": unit.cause,
            "tval": unit.tval,
            "result": Mux(unit.reply, unit.reply_data, unit.loaded),
            "drained": unit.drained,
            "flushing": unit.flushing,
            "walk_valid": unit.walk_valid,
            "walk_va": unit.walk.va,
            "walk_access": unit.walk.access,
            "walk_length": unit.walk.length,
            "walker_done": unit.walker_memory.done,
            "walker_error": unit.walker_memory.error,
            "walker_data": unit.walker_memory.data,
            "fetch_done": unit.fetch_probe.done,
            "dma_done": unit.dma_probe.done,
            "miss": unit.miss,
            "write_back": unit.write_back,
        }
        names = list(named)
        signals = [Value.cast(signal) for signal in named.values()]
        bus_signals = self.bus.signals()
        quiet = 0
        self.stopping = False
        leftover: list[int] = []
        while True:
            self.judge.now += 1
            sampled = await ctx.tick().sample(*signals, *bus_signals)
            s = Sample(names, sampled[2:])
            bus = sampled[2 + len(signals) :]
            if s.drained:
                self.judge.drained_at = self.judge.now
            self.counts["miss"] += s.miss
            self.counts["write_back"] += s.write_back
            self._finish(s)
            self._walker_agent(ctx, s)
            self._fetch_agent(ctx, s)
            self._dma_agent(ctx, s)
            self._walker_stub(ctx, s)
            self._driver(ctx, s)
            self.bus.step(ctx, bus)
            self._patience("the instruction in M", self.m, s.done)
            self._patience("X", self.x, s.x_fire)
            self._patience("the walker", self.walker, s.walker_done)
            self._patience("DMA", self.dma, s.dma_done)
            self._patience("the fetch probe", self.fetch_line, s.fetch_done)
            self._patience("the store buffer", not s.drained or None, s.done)
            if self.finished and self.m is None and self.x is None:
                self.stopping = True
                quiet = quiet + 1 if s.drained and not (self.dma or self.fetch_line or self.walker) else 0
                if quiet > 10:
                    if not leftover:
                        leftover = [line for line in self.lines if line != self.bad_line]
                    self._begin_dma(ctx, leftover.pop(), Probe.CLEAN)
                    quiet = 0
                    if not leftover:
                        break
        assert self.device_log == self.expected_log, "device accesses differ from the program's"

    def _patience(self, who: str, job: Any, event: int) -> None:
        """Nobody waits for ever, even while others are served."""
        if job is None or event:
            self.since[who] = self.judge.now
        assert self.judge.now - self.since.get(who, 0) < self.patience, (
            f"cycle {self.judge.now}: {who} waits for ever: {job}"
        )

    def _finish(self, s: Any) -> None:
        if s.m_valid and s.done:
            assert self.m is not None
            self._retire(s)
            self.m = None


class Sample:
    """Named values of one cycle."""

    def __init__(self, names: list[str], values: Any):
        self.__dict__.update(zip(names, values, strict=False))


def _extend(value: int, op: Operation) -> int:
    bits = 8 << op.size
    value &= (1 << bits) - 1
    if not op.unsigned and value >> bits - 1:
        value |= U64 & -1 << bits
    return value


def _amo(op: Operation, old: int) -> int:
    bits = 8 << op.size
    mask = (1 << bits) - 1
    a, b = old & mask, op.data & mask

    def signed(value: int) -> int:
        return value - (1 << bits) if value >> bits - 1 else value

    return {
        AmoOp.ADD: a + b,
        AmoOp.XOR: a ^ b,
        AmoOp.OR: a | b,
        AmoOp.AND: a & b,
        AmoOp.MIN: min(a, b, key=signed),
        AmoOp.MAX: max(a, b, key=signed),
        AmoOp.MINU: min(a, b),
        AmoOp.MAXU: max(a, b),
        AmoOp.SWAP: b,
    }[op.amo] & mask


def random_pages(rng: random.Random, *, frames: int = 6, special: bool = True) -> dict[int, Page]:
    """Consecutive virtual pages in random order: DRAM frames, and with `special` a device, faulting and odd pages."""
    pages = [Page(RAM + (n << 12)) for n in rng.sample(range(64), frames)]
    if special:
        pages[0].mixed = True
        pages[1].fault = "w"
        pages += [Page(DEVICE, device=True), Page(RAM + 0x10_0000, fault="rw")]
    rng.shuffle(pages)
    return {(VIRTUAL >> 12) + i: page for i, page in enumerate(pages)}


def random_operations(
    rng: random.Random,
    pages: dict[int, Page],
    count: int,
    *,
    atomics: float = 0.2,
    misaligned: float = 0.3,
    offsets: tuple = OFFSETS,
    stores: float = 0.5,
) -> Iterator[Operation]:
    """Loads, stores and atomics, mostly near the last address, so that they meet each other."""
    last = reserved = VIRTUAL
    first, end = min(pages) << 12, max(pages) + 1 << 12
    bubbles = 0.3
    for _ in range(count):
        if rng.random() < 0.02:
            bubbles = rng.choice((0.0, 0.3, 0.9))
        if rng.random() < 0.5:
            address = last + rng.randint(-8, 8)
        else:
            address = (rng.choice(list(pages)) << 12) + rng.choice(offsets) + rng.randrange(64)
        size = rng.choice((0, 1, 2, 3, 3))
        kind = Memory.STORE if rng.random() < stores else Memory.LOAD
        if rng.random() < atomics:
            kind = rng.choice((Memory.LOAD_RESERVED, Memory.STORE_CONDITIONAL, Memory.STORE_CONDITIONAL, Memory.AMO))
            size = rng.choice((2, 3))
        if kind == Memory.STORE_CONDITIONAL and rng.random() < 0.8:
            address = reserved
        if rng.random() >= misaligned:
            address &= -(1 << size)
        # stay in the lines that are used, and in the pages
        if address & 0xFFF >= 0xC0 and address & 0xFFF < 0xFC0:
            address = (address & -0x1000) + rng.choice(offsets) + (address & 0x38)
        if address & 0xFFF < 0xC0 and (address & 0xFFF) + (1 << size) > 0xC0:
            address &= -8
        if not first <= address <= end - 8:
            address = first
        if rng.random() < 0.02:
            address |= 0x800 if pages[address >> 12].device else 0
        last = address
        if kind == Memory.LOAD_RESERVED:
            reserved = address
        yield Operation(
            kind,
            address,
            size,
            rng.getrandbits(64),
            rng.randrange(2) if kind == Memory.LOAD and size < 3 else 0,
            rng.choice(list(AmoOp)),
            rng.randint(1, 10) if rng.random() < bubbles else 0,
        )
