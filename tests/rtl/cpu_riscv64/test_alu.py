"""Every operation of the ALU and of `Bits`, full and word, on edge and random operands, against the Python model."""

import random

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from rtl.cpu_riscv64.alu import Alu, Comparator, alu_control
from rtl.cpu_riscv64.bits import Bits
from rtl.cpu_riscv64.interfaces import AluOp
from tests.rtl.cpu_riscv64.integer_model import COMPARES, EDGES, WORD_OPS, alu
from tests.rtl.cpu_riscv64.vectors import evaluate

SHIFTS = (AluOp.SLL, AluOp.SRL, AluOp.SRA, AluOp.ROL, AluOp.ROR, AluOp.SLLI_UW)
BITS = (AluOp.BCLR, AluOp.BEXT, AluOp.BINV, AluOp.BSET)
COUNTS = (AluOp.CLZ, AluOp.CTZ, AluOp.CPOP)
GROUP3 = tuple(op for op in AluOp if op.value >> 4 == 3)


class WithOperation(wiring.Component):
    """The ALU, told what to do by an operation."""

    op: In(AluOp)
    word: In(1)
    a: In(64)
    b: In(64)
    result: Out(64)

    def __init__(self, *, reduced: bool):
        self.reduced = reduced
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.alu = unit = Alu(reduced=self.reduced)
        m.d.comb += [unit.a.eq(self.a), unit.b.eq(self.b), self.result.eq(unit.result)]
        m.d.comb += [unit.control[name].eq(value) for name, value in alu_control(self.op, self.word).items()]
        return m


def _operands(op: AluOp, random_: random.Random) -> list[tuple[int, int]]:
    def any_value() -> int:
        choice = random_.randrange(4)
        if choice == 0:
            return random_.choice(EDGES)
        if choice == 1:
            return random_.getrandbits(random_.randrange(1, 65))
        return random_.getrandbits(64)

    pairs = [(any_value(), any_value()) for _ in range(14)]
    if op in SHIFTS or op in BITS:
        # every distance, with rubbish above the distance's bits
        pairs += [(random_.getrandbits(64), random_.getrandbits(58) << 6 | by) for by in range(64)]
    if op in COUNTS:
        pairs += [(1 << n | (random_.getrandbits(n) if op is AluOp.CLZ else 0), 0) for n in range(0, 64, 3)]
        pairs += [(((random_.getrandbits(64) << 1 | 1) << n) & (1 << 64) - 1, 0) for n in range(0, 64, 3)]
        pairs += [(0, 0), (1 << 31, 0), (1 << 32, 0), ((1 << 64) - 1, 0), ((1 << 64) - (1 << 32), 0)]
    if op in COMPARES or op in (AluOp.MIN, AluOp.MAX, AluOp.MINU, AluOp.MAXU):
        extremes = (0, 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
        pairs += [(a, b) for a in extremes for b in extremes]
        pairs += [(a, a ^ 1 << n) for n in (0, 31, 32, 62, 63) for a in (random_.getrandbits(64),)]
    if op in (AluOp.ORC_B, AluOp.REV8):
        pairs += [(1 << n, 0) for n in range(64)]
    return pairs


def _in_reduced(op: AluOp) -> bool:
    """Additions, comparisons and logic, as `interfaces.AluOp` groups them."""
    return op.value < AluOp.SRL.value


@pytest.mark.parametrize("reduced", (False, True))
def test_alu_computes_what_the_specification_says(reduced: bool) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    random_ = random.Random(seed)
    vectors = [
        {"op": op.value, "word": word, "a": a, "b": b}
        for op in AluOp
        if (not reduced or _in_reduced(op)) and op not in GROUP3
        for word in ((0, 1) if op in WORD_OPS else (0,))
        for a, b in _operands(op, random_)
    ]
    for vector, (result,) in zip(vectors, evaluate(WithOperation(reduced=reduced), vectors, ["result"]), strict=True):
        op, word, a, b = AluOp(vector["op"]), bool(vector["word"]), vector["a"], vector["b"]
        told = f"{op} word={word} a={a:#x} b={b:#x}"
        expected = alu(op, word, a, b)
        if expected is not None:
            assert result == expected, f"{told}: {result:#x}, not {expected:#x}"


def test_comparator_compares_as_the_specification_says() -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    random_ = random.Random(seed)
    vectors = [{"op": op.value, "a": a, "b": b} for op in COMPARES for a, b in _operands(op, random_)]
    for vector, (condition,) in zip(vectors, evaluate(Comparator(), vectors, ["condition"]), strict=True):
        op, a, b = AluOp(vector["op"]), vector["a"], vector["b"]
        assert condition == COMPARES[op](a, b), f"{op} a={a:#x} b={b:#x}: condition {condition}"


def test_counts_minima_and_bytes_take_one_stage_more_and_stay_while_held() -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    random_ = random.Random(seed)
    comparator, bits = Comparator(), Bits()
    m = Module()
    m.submodules += [comparator, bits]
    m.d.comb += [bits.a.eq(comparator.a), bits.op.eq(comparator.op), bits.condition.eq(comparator.condition)]

    async def testbench(ctx):
        def put(op: AluOp, word: bool, a: int, b: int, *, hold: bool) -> None:
            for signal, value in (
                (comparator.op, op),
                (comparator.a, a),
                (comparator.b, b),
                (bits.word, word),
                (bits.hold, hold),
            ):
                ctx.set(signal, value)

        for op in GROUP3:
            for word in (False, True) if op in WORD_OPS else (False,):
                for a, b in _operands(op, random_):
                    put(op, word, a, b, hold=False)
                    await ctx.tick()
                    for signal, value in (
                        (bits.later_op, op),
                        (bits.later_word, word),
                        (bits.later_a, a),
                        (bits.later_b, b),
                    ):
                        ctx.set(signal, value)
                    put(random_.choice(list(AluOp)), False, random_.getrandbits(64), random_.getrandbits(64), hold=True)
                    for _ in range(random_.randrange(2)):
                        await ctx.tick()
                    result, expected = ctx.get(bits.result), alu(op, word, a, b)
                    assert result == expected, f"{op} word={word} a={a:#x} b={b:#x}: {result:#x}, not {expected:#x}"

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
