"""The cycle engine does what the design says: Amaranth's Python simulator, and Verilator, are the judges."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Array, Cat, Const, Instance, Module, Mux, ResetInserter, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from sim.engine import emit, netlist
from sim.engine.habits import Habits
from sim.errors import BuildError

from .native import Native

WORD = 64
WIDTHS = (1, 7, 31, 32, 33, 63, 64, 65, 128, 130)


class Harness(wiring.Component):
    """Ports of at most 64 bits around logic over registers: `build` gives the values that are looked at."""

    def __init__(self, build: Any, inputs: dict[str, int], outputs: int):
        self.build, self.widths, self.count = build, inputs, outputs
        members: dict[str, Any] = {}
        for name, width in inputs.items():
            for low in range(0, width, WORD):
                members[f"{name}_{low}"] = In(min(WORD, width - low))
        for number in range(outputs):
            members[f"o{number}"] = Out(WORD)
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        values = {}
        for name, width in self.widths.items():
            values[name] = Signal(width, name=f"{name}_register")
            parts = [getattr(self, f"{name}_{low}") for low in range(0, width, WORD)]
            m.d.sync += values[name].eq(Cat(parts))
        looked_at: list[Any] = []
        for value in self.build(m, **values):
            looked_at += [value[low : low + WORD] for low in range(0, len(value), WORD)]
        assert len(looked_at) == self.count, f"{len(looked_at)} words of output"
        for number, value in enumerate(looked_at):
            m.d.comb += getattr(self, f"o{number}").eq(value)
        return m


def agree(
    build: Any,
    inputs: dict[str, int],
    tmp_path: Path,
    *,
    cycles: int,
    seed: int,
    threshold: int,
    habits: Habits | None = None,
) -> Counter[int]:
    """Runs a design on the engine and on Amaranth's simulator, with the same random inputs.

    Gives the numbers of cycles that took each way.
    """
    probe = Module()
    probe._MustUse__used = True
    values = build(probe, **{name: Signal(width) for name, width in inputs.items()})
    count = sum(-(-len(value) // WORD) for value in values)
    native = Native(Harness(build, inputs, count), tmp_path, threshold=threshold, habits=habits)
    ways: Counter[int] = Counter()
    model = Harness(build, inputs, count)
    rng = random.Random(seed)
    reset_line = Signal()
    simulator = Simulator(ResetInserter(reset_line)(model))
    simulator.add_clock(1e-6)

    async def compare(ctx: Any) -> None:
        for cycle in range(cycles):
            drawn = {}
            for name, width in inputs.items():
                value = rng.choice([rng.getrandbits(width), rng.getrandbits(3), -rng.getrandbits(3) - 1, 0, -1])
                for low in range(0, width, WORD):
                    size = min(WORD, width - low)
                    drawn[f"{name}_{low}"] = value >> low & (1 << size) - 1
            for name, value in drawn.items():
                ctx.set(getattr(model, name), value)
            reset = rng.random() < 0.01
            ctx.set(reset_line, reset)
            native.tick({**drawn, "rst": reset})
            ways[native.quiet] += 1
            await ctx.tick()
            wanted = {f"o{number}": ctx.get(getattr(model, f"o{number}")) for number in range(count)}
            assert native.read() == wanted, f"seed {seed}, cycle {cycle}"

    simulator.add_testbench(compare)
    simulator.run()
    return ways


def both_phases(build: Any) -> Any:
    """Looks at values as they are and, behind a register, as they were."""

    def design(m: Module, **inputs: Signal) -> list[Any]:
        values = build(m, **inputs)
        later = [Signal.like(value) for value in values]
        m.d.sync += [a.eq(b) for a, b in zip(later, values, strict=True)]
        return [*values, *later]

    return design


def operators(m: Module, a: Signal, b: Signal, c: Signal) -> list[Any]:
    """Every operator on two values and a condition, signed and not."""
    values: list[Any] = []
    for x, y in ((a, b), (a.as_signed(), b.as_signed()), (a.as_signed(), b), (a, 3), (5, a)):
        x, y = (Const(v) if isinstance(v, int) else v for v in (x, y))
        values += [x + y, x - y, x * y if len(a) <= 65 else x + y, x & y, x | y, x ^ y, -x, ~x]
        values += [x == y, x != y, x < y, x <= y, x > y, x >= y]
        values += [x.bool(), x.all(), x.any(), x.xor(), Mux(c[0], x, y), Mux(y.any(), x, y)]
        values += [x >> y[:8], x >> c, x.shift_left(3), x.shift_right(2), x.rotate_left(1), abs(x)]
        if len(x) <= 65:
            values += [x << c, Const(1) << c]
        if max(len(x), len(y)) < WORD:
            values += [x // y, x % y]
        z = x.as_unsigned()
        values += [z.bit_select(c, 5), z.word_select(c[:4], 3), z.bit_select(y[:3], 1)]
        values += [y.matches(1, 2, 3) if len(y) > 2 else y.matches(1), x.matches("-" * (len(x) - 1) + "1")]
    if len(a) >= 8:
        values += [a[1:5].matches("1-0-", "0011"), a.replicate(2)[3:], Cat(a[5], a[2:4], a[5].replicate(9))]
        values += [Array([a[:8], b[:8], a[-8:], b[-8:]])[c[:2]], Cat(a[:3], b[2:7]) == Cat(a[:3], a[2:7])]
    return [value.as_unsigned() if hasattr(value, "as_unsigned") else value for value in values]


@pytest.mark.parametrize(
    "width", [pytest.param(n, marks=[] if n in (1, 33, 64, 65) else pytest.mark.long) for n in WIDTHS]
)
def test_every_operator_gives_what_amaranth_says(width: int, tmp_path: Path) -> None:
    inputs = {"a": width, "b": width, "c": 7}
    agree(both_phases(operators), inputs, tmp_path, cycles=60, seed=width, threshold=10)


def test_memories(tmp_path: Path) -> None:
    """Both kinds of reads, writes by parts, several ports at one address, words of more than 64 bits, odd depths."""

    def design(m: Module, a: Signal, b: Signal) -> list[Any]:
        values: list[Any] = []
        for n, (width, depth, granularity) in enumerate([(8, 16, None), (64, 10, 8), (100, 5, 25), (1, 32, None)]):
            init = [n + 3 * k & (1 << width) - 1 for k in range(depth)]
            storage = memory.Memory(shape=width, depth=depth, init=init)
            storage._MustUse__used = True
            m.submodules[f"memory{n}"] = storage
            writes = [storage.write_port(granularity=granularity) for _ in range(2)]
            reads = [
                storage.read_port(domain="comb"),
                storage.read_port(),
                storage.read_port(transparent_for=[writes[1]]),
            ]
            for k, write in enumerate(writes):
                m.d.comb += [write.addr.eq(a >> 5 * k), write.data.eq(Cat(b, a, b) + k)]
                if k == 0 or depth & (depth - 1) == 0:
                    m.d.comb += write.en.eq(Mux(b[k], a >> 10, 0) if k == 0 else b[2].replicate(len(write.en)))
            for k, read in enumerate(reads):
                m.d.comb += read.addr.eq(a >> k)
                if k:
                    m.d.comb += read.en.eq(b[3 + k])
                values.append(read.data)
        return values

    agree(design, {"a": 40, "b": 20}, tmp_path, cycles=400, seed=7, threshold=4)


def test_a_loop_between_words_that_is_none_between_bits(tmp_path: Path) -> None:
    def design(m: Module, a: Signal) -> list[Any]:
        chain = Signal(33)
        m.d.comb += chain[0].eq(a[0])
        for n in range(32):
            m.d.comb += chain[n + 1].eq(chain[n] ^ (a[n + 1] & chain[max(0, n - 3)]))
        return [chain, chain + 1]

    agree(design, {"a": 33}, tmp_path, cycles=100, seed=1, threshold=4)


def test_comparisons_of_copies_of_bits(tmp_path: Path) -> None:
    """Bits side by side with copies of themselves and of others, and signed values made longer, against constants."""

    def design(m: Module, a: Signal) -> list[Any]:
        mask = Cat(a[0].replicate(8), a[1].replicate(8), a[2].replicate(7))
        longer = Cat(a[:3], a[2].replicate(6))
        constants = (0, 1, 4, 7, 0xFF, 0x100, 0x1FC, 0x1FF, 0xFF00, 0xFFFF, 0x7F0000, 0x7FFFFF)
        return [Cat(value == constant for constant in constants) for value in (mask, longer, mask[3:13], longer[1:])]

    agree(both_phases(design), {"a": 3}, tmp_path, cycles=100, seed=1, threshold=4)


@pytest.mark.parametrize("threshold", [2, 100])
def test_quiet_cycles(threshold: int, tmp_path: Path) -> None:
    """Registers rest at zero, at another value, or not as often as it is said; one stays, and a value follows from it;
    an input rests. What is written to a memory, and each register, is right in every kind of cycle."""

    def design(m: Module, a: Signal, b: Signal, go: Signal) -> list[Any]:
        state, left, mode = Signal(2, name="state"), Signal(3, init=5, name="left"), Signal(4, name="mode")
        settings, total = Signal(16, init=77, name="settings"), Signal(32)
        m.submodules.storage = storage = memory.Memory(shape=16, depth=16, init=range(16))
        storage._MustUse__used = True
        read, write = storage.read_port(domain="comb"), storage.write_port()
        m.d.comb += [read.addr.eq(a), write.addr.eq(b), write.data.eq(total), write.en.eq(state == 2)]
        with m.Switch(state):
            with m.Case(0):
                with m.If(go & (a[4:6] == 1)):
                    m.d.sync += [state.eq(1), left.eq(a[:3]), mode.eq(b)]
            with m.Case(1):
                m.d.sync += left.eq(left - 1)
                with m.If(left == 0):
                    m.d.sync += state.eq(2)
            with m.Case(2):
                m.d.sync += [state.eq(0), left.eq(5), mode.eq(0)]
        with m.If((a[:5] == 3) & (state != 1)):
            m.d.sync += settings.eq(a ^ b)
        m.d.sync += total.eq(total + Mux(mode == 3, settings * 3, settings ^ 21) + state)
        chosen = Cat(Mux(mode == 0, total[3], bit) for bit in a)  # of copies of one bit, while the mode rests
        return [total, state, left, mode, settings * 5 + 1, read.data, Cat(state, left) + b, chosen, chosen[2:] == 0]

    habits = Habits(
        {"mode[0]": 0}, {"state[0]": 0, "left[0]": 5}, {"go_register[0]": 0, "go_0": 0}, frozenset(["settings[0]"])
    )
    inputs = {"a": 16, "b": 16, "go": 1}
    ways = agree(design, inputs, tmp_path, cycles=1500, seed=threshold, threshold=threshold, habits=habits)
    assert min(ways[0], ways[1], ways[2], ways[3]) > 20, f"the test seldom takes one of the ways: {ways}"


class _Passing(wiring.Component):
    i: In(8)
    o: Out(8)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.o.eq(self.i + 1)
        return m


def test_an_output_that_depends_on_an_input_is_refused() -> None:
    with pytest.raises(BuildError, match="input i within the cycle"):
        emit.emit(netlist.read(netlist.elaborate(_Passing())))


def test_cells_that_the_engine_does_not_know_are_refused() -> None:
    def design(m: Module, a: Signal) -> list[Any]:
        return [a // (a + 1)]

    with pytest.raises(BuildError, match="division of 101 bits"):
        netlist.read(netlist.elaborate(Harness(design, {"a": 100}, 2)))

    def instance(m: Module, a: Signal) -> list[Any]:
        m.submodules.foreign = Instance("foreign", i_a=a, o_o=(o := Signal()))
        return [o]

    with pytest.raises(BuildError, match="Instance"):
        netlist.read(netlist.elaborate(Harness(instance, {"a": 1}, 1)))
