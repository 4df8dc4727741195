"""A memory behind an AXI port, advanced cycle by cycle: random latencies, random stalls, bursts of different
identifiers interleaved beat by beat.

One step function instead of one coroutine a channel, because the tests of the core's memory side judge by the order of
events within a cycle.
"""

import random
from collections import deque
from collections.abc import Callable
from typing import Any

from amaranth.hdl import Value

OKAY, SLVERR, DECERR = 0, 2, 3


class AxiMemory:
    """Subordinate model.

    Parameters
    ----------
    port : the manager's axi4 interface (data width 64)
    rng : random.Random
    read : function (address of a doubleword) -> (data, response)
    write : function (address of a doubleword, data, strobes) -> response; None for a port that only reads
    stall : float
        Probability that a channel holds back in a cycle.
    latency : int
        Longest extra cycles before a burst is answered.

    `reads` and `writes` log (id, address, beats, size) in the order in which addresses were accepted.
    """

    def __init__(
        self,
        port: Any,
        rng: random.Random,
        read: Callable[[int], tuple[int, int]],
        write: Callable[[int, int, int], int] | None = None,
        *,
        stall: float = 0.4,
        latency: int = 12,
    ):
        self.port, self.rng, self.read, self.write = port, rng, read, write
        self.stall, self.latency = stall, latency
        self.now = 0
        self.reads: list[tuple[int, int, int, int]] = []
        self.writes: list[tuple[int, int, int, int]] = []
        self.ready = {"ar": 0, "aw": 0, "w": 0}
        self.answering: tuple[int, dict] | None = None  # R on the bus
        self.bursts: deque[dict] = deque()
        self.addresses: deque[dict] = deque()
        self.beats: deque[list] = deque([[]])
        self.responses: deque[dict] = deque()
        self.responding = False

    def signals(self) -> list[Value]:
        """What `step` is to be given, sampled at the clock edge."""
        p = self.port
        result = [p.ar.valid, *_address(p.ar.payload), p.r.ready]
        if self.write:
            result += [p.aw.valid, *_address(p.aw.payload), p.w.valid, p.w.payload.data, p.w.payload.strb]
            result += [p.w.payload.last, p.b.ready]
        return [Value.cast(signal) for signal in result]

    @property
    def idle(self) -> bool:
        """No transaction is under way."""
        return not (self.bursts or self.answering or self.addresses or self.responses or self.beats[0])

    def step(self, ctx: Any, sampled: tuple[int, ...]) -> None:
        """One clock cycle: what was on the bus at its end, and what is there in the next."""
        self.now += 1
        ar_valid, *ar, r_ready = sampled[:6]
        rng, p = self.rng, self.port
        if ar_valid and self.ready["ar"]:
            self.reads.append(self._accept(ar, self.bursts))
        if self.answering is not None and r_ready:
            burst = self.answering[1]
            burst["beat"] += 1
            if burst["beat"] == burst["beats"]:
                self.bursts.remove(burst)
            self.answering = None
            ctx.set(p.r.valid, 0)
        if self.answering is None and self.bursts and rng.random() >= self.stall:
            oldest: dict[int, dict] = {}
            for burst in self.bursts:  # in order for each identifier
                oldest.setdefault(burst["id"], burst)
            candidates = [burst for burst in oldest.values() if burst["time"] <= self.now]
            if candidates:
                burst = rng.choice(candidates)
                if burst["data"] is None:
                    burst["data"] = [self.read((burst["address"] & -8) + 8 * i) for i in range(burst["beats"])]
                data, response = burst["data"][burst["beat"]]
                self.answering = (burst["beat"], burst)
                ctx.set(
                    p.r.payload,
                    {"id": burst["id"], "data": data, "resp": response, "last": burst["beat"] == burst["beats"] - 1},
                )
                ctx.set(p.r.valid, 1)
        self._set_ready(ctx, "ar")
        if not self.write:
            return
        aw_valid, *aw = sampled[6:11]
        w_valid, data, strobes, last, b_ready = sampled[11:16]
        if aw_valid and self.ready["aw"]:
            self.writes.append(self._accept(aw, self.addresses))
        if w_valid and self.ready["w"]:
            self.beats[-1].append((data, strobes))
            if last:
                self.beats.append([])
        if self.responding and b_ready:
            self.responding = False
            ctx.set(p.b.valid, 0)
        while self.addresses and len(self.beats) > 1:
            burst, beats = self.addresses.popleft(), self.beats.popleft()
            assert len(beats) == burst["beats"], "W beats differ from AW length"
            burst["data"] = beats
            self.responses.append(burst)
        if not self.responding and self.responses and rng.random() >= self.stall:
            burst = self.responses[0]
            if burst["time"] <= self.now:
                self.responses.popleft()
                response = OKAY
                for i, (data, strobes) in enumerate(burst["data"]):
                    response = max(response, self.write((burst["address"] & -8) + 8 * i, data, strobes))
                ctx.set(p.b.payload, {"id": burst["id"], "resp": response})
                ctx.set(p.b.valid, 1)
                self.responding = True
        self._set_ready(ctx, "aw")
        self._set_ready(ctx, "w")

    def _accept(self, payload: list[int], queue: deque) -> tuple[int, int, int, int]:
        ident, address, length, size = payload
        assert (address & 0xFFF) + ((length + 1) << size) <= 0x1000, "burst crosses 4 KiB"
        assert address % (1 << size) == 0, "unaligned transfer"
        queue.append(
            {
                "id": ident,
                "address": address,
                "beats": length + 1,
                "beat": 0,
                "time": self.now + self.rng.randint(0, self.latency),
                "data": None,
            }
        )
        return ident, address, length + 1, size

    def _set_ready(self, ctx: Any, channel: str) -> None:
        ready = int(self.rng.random() >= self.stall)
        if ready != self.ready[channel]:
            self.ready[channel] = ready
            ctx.set(getattr(self.port, channel).ready, ready)


def _address(payload: Any) -> list:
    return [payload.id, payload.addr, payload.len, payload.size]
