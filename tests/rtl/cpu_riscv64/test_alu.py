"""Every ALU operation, full and word, on edge and random operands, against the Python model."""

import random

import pytest

from rtl.cpu_riscv64.alu import Alu
from rtl.cpu_riscv64.interfaces import AluOp
from tests.rtl.cpu_riscv64.integer_model import COMPARES, EDGES, WORD_OPS, alu
from tests.rtl.cpu_riscv64.vectors import evaluate

SHIFTS = (AluOp.SLL, AluOp.SRL, AluOp.SRA, AluOp.ROL, AluOp.ROR, AluOp.SLLI_UW)
BITS = (AluOp.BCLR, AluOp.BEXT, AluOp.BINV, AluOp.BSET)
COUNTS = (AluOp.CLZ, AluOp.CTZ, AluOp.CPOP)


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
        if not reduced or _in_reduced(op)
        for word in ((0, 1) if op in WORD_OPS else (0,))
        for a, b in _operands(op, random_)
    ]
    for vector, (result, condition) in zip(
        vectors, evaluate(Alu(reduced=reduced), vectors, ["result", "condition"]), strict=True
    ):
        op, word, a, b = AluOp(vector["op"]), bool(vector["word"]), vector["a"], vector["b"]
        told = f"{op} word={word} a={a:#x} b={b:#x}"
        expected = alu(op, word, a, b)
        if expected is not None:
            assert result == expected, f"{told}: {result:#x}, not {expected:#x}"
        if op in COMPARES:
            assert condition == COMPARES[op](a, b), f"{told}: condition {condition}"
