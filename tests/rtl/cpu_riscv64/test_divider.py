"""The divider: results, including by zero and overflow, its early outs, and that it can be abandoned at any time."""

import random
from typing import Any

from amaranth.sim import Simulator

from rtl.cpu_riscv64.divider import Divider
from rtl.cpu_riscv64.interfaces import DivOp
from tests.rtl.cpu_riscv64.integer_model import EDGES, MASK64, divide

SPECIAL = (
    0,
    1,
    2,
    MASK64,
    MASK64 - 1,
    1 << 63,
    (1 << 63) - 1,
    1 << 31,
    (1 << 31) - 1,
    (1 << 32) - 1,
    MASK64 ^ 0x7FFFFFFF,
)
LONGEST = 1 + 1 + 64  # magnitude, a failed skip, every bit


def _run(dut: Divider, testbench: Any) -> None:
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()


async def _start(ctx: Any, dut: Divider, op: DivOp, word: int, a: int, b: int) -> None:
    for port, value in ((dut.op, op), (dut.word, word), (dut.a, a), (dut.b, b), (dut.start, 1)):
        ctx.set(port, value)
    await ctx.tick()
    # the operands are taken at `start`; afterwards anything may stand there
    for port, value in ((dut.start, 0), (dut.a, ~a & MASK64), (dut.b, ~b & MASK64), (dut.word, 1 - word)):
        ctx.set(port, value)


async def _finish(ctx: Any, dut: Divider) -> tuple[int, int]:
    cycles = 0
    while not ctx.get(dut.done):
        assert ctx.get(dut.busy)
        assert cycles < LONGEST, "the division does not end"
        await ctx.tick()
        cycles += 1
    assert not ctx.get(dut.busy)
    return ctx.get(dut.result), cycles


def _operand(random_: random.Random) -> int:
    choice = random_.randrange(4)
    if choice == 0:
        return random_.choice(SPECIAL)
    if choice == 1:
        return random_.choice(EDGES)
    return random_.getrandbits(random_.randrange(1, 65))


def test_quotients_and_remainders_with_divisions_abandoned_between() -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    random_ = random.Random(seed)
    dut = Divider()
    cases = [(a, b) for a in SPECIAL for b in SPECIAL]
    random_.shuffle(cases)
    cases = cases[:40] + [(_operand(random_), _operand(random_)) for _ in range(140)]
    cases += [(a, 0) for a in SPECIAL[::3]] + [(1 << 63, MASK64), (1 << 31, MASK64), (1 << 31, (1 << 32) - 1)]

    async def testbench(ctx: Any) -> None:
        assert not ctx.get(dut.done) and not ctx.get(dut.busy)
        for a, b in cases:
            op, word = random_.choice(list(DivOp)), random_.randrange(2)
            if random_.randrange(4) == 0:
                # cancelled after a while; the next one may start in the same cycle
                await _start(ctx, dut, random_.choice(list(DivOp)), 0, random_.getrandbits(64), random_.getrandbits(9))
                for _ in range(random_.randrange(8)):
                    await ctx.tick()
                ctx.set(dut.cancel, 1)
                if random_.randrange(2):
                    await ctx.tick()
                    ctx.set(dut.cancel, 0)
                    for _ in range(3):
                        assert not ctx.get(dut.done) and not ctx.get(dut.busy)
                        await ctx.tick()
            await _start(ctx, dut, op, word, a, b)
            ctx.set(dut.cancel, 0)
            result, _ = await _finish(ctx, dut)
            expected = divide(op, bool(word), a, b)
            assert result == expected, f"{op} word={word} {a:#x} {b:#x}: {result:#x}, not {expected:#x}"
            for _ in range(random_.randrange(3)):
                await ctx.tick()
                assert ctx.get(dut.done) and ctx.get(dut.result) == expected, "the result stays until the next start"

    _run(dut, testbench)


def test_small_operands_end_early() -> None:
    dut = Divider()
    # dividend, divisor, most cycles from `start` to `done`
    cases = [(100, 7, 14), (12345, 10, 22), (5, 1 << 50, 6), (1 << 40, 3, 50), (0, 9, 6), (1 << 63, (1 << 63) - 1, 20)]

    async def testbench(ctx: Any) -> None:
        for a, b, most in cases:
            await _start(ctx, dut, DivOp.DIVU, 0, a, b)
            result, cycles = await _finish(ctx, dut)
            assert result == a // b
            assert cycles <= most, f"{a} / {b} took {cycles} cycles"

    _run(dut, testbench)
