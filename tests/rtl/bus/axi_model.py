"""Python models of AXI4 managers and subordinates for Amaranth's simulator, and a checker that judges a port.

Every handshake stalls at random: `Stalls(rng, p)` says before each transfer how many cycles to hold back.
"""

import random
from collections import deque
from dataclasses import dataclass, field

from amaranth.lib import wiring

from rtl.bus import axi4

OKAY, EXOKAY, SLVERR, DECERR = range(4)


class Stalls:
    """How long to hold back before a handshake: with probability `probability`, 1..`longest` cycles."""

    def __init__(self, rng: random.Random, probability: float = 0.0, longest: int = 4):
        self._rng = rng
        self._probability = probability
        self._longest = longest

    async def hold(self, ctx) -> None:
        if self._probability and self._rng.random() < self._probability:
            for _ in range(self._rng.randint(1, self._longest)):
                await ctx.tick()


async def put(ctx, stream, payload) -> None:
    """Sends one payload; returns after the cycle in which it was taken."""
    ctx.set(stream.payload, payload)
    ctx.set(stream.valid, 1)
    while not (await ctx.tick().sample(stream.ready))[-1]:
        pass
    ctx.set(stream.valid, 0)


async def get(ctx, stream):
    """Takes one payload."""
    ctx.set(stream.ready, 1)
    valid = False
    while not valid:
        *_, valid, payload = await ctx.tick().sample(stream.valid, stream.payload)
    ctx.set(stream.ready, 0)
    return payload


@dataclass
class Transaction:
    """One burst: what to do, and afterwards what came back."""

    write: bool
    address: int
    beats: int = 1
    size: int = 3
    ident: int = 0
    burst: int = axi4.Burst.INCR
    data: list[int] = field(default_factory=list)  # of reads: what came back
    strobes: list[int] = field(default_factory=list)
    responses: list[int] = field(default_factory=list)
    start_cycle: int = 0  # address taken
    end_cycle: int = 0  # last response taken

    def beat_address(self, beat: int) -> int:
        """Address of a beat (A3.4.1)."""
        number_bytes = 1 << self.size
        if beat == 0 or self.burst == axi4.Burst.FIXED:
            return self.address
        aligned = self.address & -number_bytes
        address = aligned + beat * number_bytes
        if self.burst == axi4.Burst.WRAP:
            total = number_bytes * self.beats
            lower = self.address & -total
            address = lower + (address - lower) % total
        return address

    def lanes(self, beat: int) -> int:
        """Byte lanes of a 64-bit bus that a beat may use (A3.4.1)."""
        address, number_bytes = self.beat_address(beat), 1 << self.size
        first = address % 8
        last = (address & -number_bytes) % 8 + number_bytes
        return (1 << last) - (1 << first)


def random_burst(rng: random.Random, low: int, high: int, *, longest: int, narrow: bool = True) -> tuple[int, int, int]:
    """(address, beats, size) of an INCR burst in low..high that does not cross 4 KiB."""
    while True:
        size = rng.choice((0, 1, 2, 3, 3, 3)) if narrow else 3
        address = rng.randrange(low, high)
        beats = rng.choice((1, 1, 2, 8, rng.randint(1, longest)))
        end = (address & -(1 << size)) + (beats << size)
        if end <= high and (end - 1) >> 12 == address >> 12:
            return address, beats, size


class ManagerModel:
    """Issues transactions at a subordinate port and pairs the responses with them.

    Each channel runs alone: addresses run ahead of data, and data of addresses, as far as the port lets them.
    """

    def __init__(self, port: wiring.PureInterface, *, stalls: Stalls | None = None):
        self.port = port
        self.stalls = stalls or Stalls(random.Random(0))
        self.cycle = 0
        self._reads, self._writes, self._write_data = deque(), deque(), deque()
        self._reads_out: dict[int, deque] = {}
        self._writes_out: dict[int, deque] = {}
        self.done: list[Transaction] = []
        self.pending = 0

    def issue(self, transaction: Transaction) -> Transaction:
        self.pending += 1
        if transaction.write:
            if not transaction.strobes:
                transaction.strobes = [transaction.lanes(beat) for beat in range(transaction.beats)]
            self._writes.append(transaction)
            self._write_data.append(transaction)
        else:
            self._reads.append(transaction)
        return transaction

    def add_to(self, simulator) -> None:
        channels = [self._read_address, self._read_data]
        if hasattr(self.port, "aw"):
            channels += [self._write_address, self._send_data, self._write_response]
        for channel in [self._count, *channels]:
            simulator.add_testbench(channel, background=True)

    async def run(self, ctx, transaction: Transaction) -> Transaction:
        """Issues and waits for the end of it."""
        self.issue(transaction)
        while not any(transaction is other for other in self.done):
            await ctx.tick()
        return transaction

    async def drain(self, ctx, limit: int = 4000) -> None:
        """Waits until everything issued is done."""
        for _ in range(limit):
            if not self.pending:
                return
            await ctx.tick()
        raise AssertionError(f"{self.pending} transactions are not done after {limit} cycles")

    async def _count(self, ctx) -> None:
        while True:
            await ctx.tick()
            self.cycle += 1

    def _address(self, transaction: Transaction) -> dict:
        return {
            "id": transaction.ident,
            "addr": transaction.address,
            "len": transaction.beats - 1,
            "size": transaction.size,
            "burst": transaction.burst,
        }

    async def _addresses(self, ctx, queue, stream, outstanding) -> None:
        while True:
            if not queue:
                await ctx.tick()
                continue
            await self.stalls.hold(ctx)
            transaction = queue.popleft()
            outstanding.setdefault(transaction.ident, deque()).append(transaction)
            await put(ctx, stream, self._address(transaction))
            transaction.start_cycle = self.cycle

    async def _read_address(self, ctx) -> None:
        await self._addresses(ctx, self._reads, self.port.ar, self._reads_out)

    async def _write_address(self, ctx) -> None:
        await self._addresses(ctx, self._writes, self.port.aw, self._writes_out)

    async def _send_data(self, ctx) -> None:
        while True:
            if not self._write_data:
                await ctx.tick()
                continue
            transaction = self._write_data.popleft()
            for beat in range(transaction.beats):
                await self.stalls.hold(ctx)
                payload = {
                    "data": transaction.data[beat],
                    "strb": transaction.strobes[beat],
                    "last": beat == transaction.beats - 1,
                }
                await put(ctx, self.port.w, payload)

    def _finish(self, outstanding: deque) -> None:
        transaction = outstanding.popleft()
        transaction.end_cycle = self.cycle
        self.done.append(transaction)
        self.pending -= 1

    async def _read_data(self, ctx) -> None:
        while True:
            await self.stalls.hold(ctx)
            payload = await get(ctx, self.port.r)
            outstanding = self._reads_out.get(payload.id)
            assert outstanding, f"read data for identifier {payload.id}, which has no read"
            transaction = outstanding[0]
            transaction.data.append(payload.data)
            transaction.responses.append(payload.resp.value)
            assert payload.last == (len(transaction.data) == transaction.beats), f"RLAST is wrong in {transaction}"
            if payload.last:
                self._finish(outstanding)

    async def _write_response(self, ctx) -> None:
        while True:
            await self.stalls.hold(ctx)
            payload = await get(ctx, self.port.b)
            outstanding = self._writes_out.get(payload.id)
            assert outstanding, f"write response for identifier {payload.id}, which has no write"
            outstanding[0].responses.append(payload.resp.value)
            self._finish(outstanding)


class SubordinateModel:
    """A memory behind a manager port. Reads of an identifier stay in order, as all do here; `latency` is the least.

    `memory` maps doubleword addresses to values; what is not in it reads as `background(address)`.
    """

    def __init__(
        self,
        port: wiring.PureInterface,
        *,
        stalls: Stalls | None = None,
        latency: int = 1,
        background=lambda address: 0,
        respond=lambda address: OKAY,
    ):
        self.port = port
        self.stalls = stalls or Stalls(random.Random(0))
        self.latency = latency
        self.memory: dict[int, int] = {}
        self.background = background
        self.respond = respond
        self.cycle = 0
        self.reads, self.writes = deque(), deque()
        self._data: deque = deque()
        self._responses: deque = deque()
        self.seen: list[Transaction] = []

    def read(self, address: int) -> int:
        address &= -8
        return self.memory.get(address, self.background(address))

    def write(self, address: int, value: int, strobe: int) -> None:
        mask = sum(0xFF << (8 * lane) for lane in range(8) if strobe >> lane & 1)
        self.memory[address & -8] = self.read(address) & ~mask | value & mask

    def add_to(self, simulator) -> None:
        for channel in (
            self._count,
            self._read_address,
            self._read_data,
            self._write_address,
            self._write_data,
            self._write_response,
        ):
            simulator.add_testbench(channel, background=True)

    async def _count(self, ctx) -> None:
        while True:
            await ctx.tick()
            self.cycle += 1

    async def _addresses(self, ctx, stream, queue, write: bool) -> None:
        while True:
            await self.stalls.hold(ctx)
            payload = await get(ctx, stream)
            transaction = Transaction(
                write=write,
                address=payload.addr,
                beats=payload.len + 1,
                size=payload.size,
                ident=payload.id,
                burst=payload.burst,
            )
            transaction.start_cycle = self.cycle
            self.seen.append(transaction)
            queue.append(transaction)

    async def _read_address(self, ctx) -> None:
        await self._addresses(ctx, self.port.ar, self.reads, False)

    async def _write_address(self, ctx) -> None:
        await self._addresses(ctx, self.port.aw, self.writes, True)

    async def _read_data(self, ctx) -> None:
        while True:
            if not self.reads or self.cycle - self.reads[0].start_cycle < self.latency - 1:
                await ctx.tick()
                continue
            transaction = self.reads.popleft()
            for beat in range(transaction.beats):
                await self.stalls.hold(ctx)
                address = transaction.beat_address(beat)
                payload = {
                    "id": transaction.ident,
                    "data": self.read(address),
                    "resp": self.respond(address),
                    "last": beat == transaction.beats - 1,
                }
                await put(ctx, self.port.r, payload)

    async def _write_data(self, ctx) -> None:
        while True:
            await self.stalls.hold(ctx)
            payload = await get(ctx, self.port.w)
            self._data.append(payload)
            if payload.last:
                beats = list(self._data)
                self._data.clear()
                self._responses.append((self.cycle, beats))

    async def _write_response(self, ctx) -> None:
        while True:
            if not self._responses or not self.writes or self.cycle - self._responses[0][0] < self.latency - 1:
                await ctx.tick()
                continue
            _, beats = self._responses.popleft()
            transaction = self.writes.popleft()
            assert len(beats) == transaction.beats, f"{len(beats)} beats of data for {transaction}"
            for beat, payload in enumerate(beats):
                assert payload.strb & ~transaction.lanes(beat) == 0, f"strobes outside the lanes in {transaction}"
                transaction.data.append(payload.data)
                transaction.strobes.append(payload.strb)
                self.write(transaction.beat_address(beat), payload.data, payload.strb)
            await self.stalls.hold(ctx)
            await put(ctx, self.port.b, {"id": transaction.ident, "resp": self.respond(transaction.address)})


def add_checker(simulator, name: str, port: wiring.PureInterface) -> None:
    """Judges the rules that need no model, in every cycle: VALID and payload hold until READY (A3.2.1), WLAST and RLAST
    stand at the right beat, no response comes without its request, no burst crosses 4 KiB (A3.4.1)."""
    channels = {channel: getattr(port, channel) for channel in ("aw", "w", "b", "ar", "r")}
    signals = [
        signal for stream in channels.values() for signal in (stream.valid, stream.ready, stream.payload.as_value())
    ]
    layouts = {channel: stream.payload.shape() for channel, stream in channels.items()}

    async def check(ctx) -> None:
        offered: dict[str, int] = {}
        reads: dict[int, deque] = {}
        writes: dict[int, int] = {}
        write_lengths, write_ends, address_ids = deque(), deque(), deque()
        beats = 0
        while True:
            _, _, *values = await ctx.tick().sample(*signals)
            fired = {}
            for position, channel in enumerate(channels):
                valid, ready, payload = values[3 * position : 3 * position + 3]
                if channel in offered:
                    assert valid, f"{name}: {channel} VALID fell before READY"
                    assert payload == offered[channel], f"{name}: {channel} payload changed before READY"
                offered.pop(channel, None)
                if valid and ready:
                    fired[channel] = layouts[channel].from_bits(payload)
                elif valid:
                    offered[channel] = payload
            # responses first: they need requests of earlier cycles
            if "r" in fired:
                payload = fired["r"]
                queue = reads.get(payload.id)
                assert queue, f"{name}: read data without a read"
                queue[0] -= 1
                assert payload.last == (queue[0] == 0), f"{name}: RLAST stands at the wrong beat"
                if payload.last:
                    queue.popleft()
            if "b" in fired:
                assert writes.get(fired["b"].id), f"{name}: write response without a complete write"
                writes[fired["b"].id] -= 1
            for channel in ("aw", "ar"):
                if channel in fired:
                    payload = fired[channel]
                    end = (payload.addr & -(1 << payload.size)) + ((payload.len + 1) << payload.size)
                    if payload.burst == axi4.Burst.INCR:
                        assert (end - 1) >> 12 == payload.addr >> 12, f"{name}: {channel} crosses 4 KiB"
            if "ar" in fired:
                reads.setdefault(fired["ar"].id, deque()).append(fired["ar"].len + 1)
            if "aw" in fired:
                write_lengths.append(fired["aw"].len + 1)
                address_ids.append(fired["aw"].id)
            if "w" in fired:
                beats += 1
                if fired["w"].last:
                    write_ends.append(beats)
                    beats = 0
            while write_lengths and write_ends:
                assert write_lengths.popleft() == write_ends.popleft(), f"{name}: WLAST stands at the wrong beat"
                ident = address_ids.popleft()
                writes[ident] = writes.get(ident, 0) + 1

    simulator.add_testbench(check, background=True)
