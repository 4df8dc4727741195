"""AMO arithmetic, both sizes, edge and random operands with rubbish above the size, against the Python model."""

import random

from rtl.cpu_riscv64.amo import AmoAlu
from rtl.cpu_riscv64.interfaces import AmoOp
from tests.rtl.cpu_riscv64.integer_model import EDGES, amo
from tests.rtl.cpu_riscv64.vectors import evaluate


def test_amo_computes_what_the_specification_says() -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    random_ = random.Random(seed)
    extremes = (0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
    pairs = [(a, b) for a in extremes for b in extremes]
    pairs += [(random_.choice(EDGES), random_.getrandbits(64)) for _ in range(40)]
    pairs += [(random_.getrandbits(64), random_.choice(EDGES)) for _ in range(40)]
    vectors = [
        {"op": op.value, "size": size, "memory": a, "register": b} for op in AmoOp for size in (2, 3) for a, b in pairs
    ]
    for vector, (result,) in zip(vectors, evaluate(AmoAlu(), vectors, ["result"]), strict=True):
        op, size, memory, register = AmoOp(vector["op"]), vector["size"], vector["memory"], vector["register"]
        expected = amo(op, size, memory, register)
        got = result & (1 << (8 << size)) - 1
        assert got == expected, f"{op} size={size} {memory:#x} {register:#x}: {got:#x}, not {expected:#x}"
