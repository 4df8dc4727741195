"""The multiplier, one multiplication a cycle and with random gaps and stalls, against the Python model."""

import random
from typing import Any

from amaranth.sim import Simulator

from rtl.cpu_riscv64.interfaces import MulOp
from rtl.cpu_riscv64.multiplier import Multiplier
from tests.rtl.cpu_riscv64.integer_model import EDGES, multiply

FORMS = [(op, 0) for op in MulOp] + [(MulOp.MUL, 1)]


def _operand(random_: random.Random) -> int:
    if random_.randrange(2):
        return random_.choice(EDGES)
    return random_.getrandbits(random_.choice((8, 32, 33, 64, 64)))


def test_products_of_edge_and_random_operands_under_stalls() -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    random_ = random.Random(seed)
    dut = Multiplier()

    async def testbench(ctx: Any) -> None:
        expected: tuple[int, str] | None = None
        for cycle in range(4000):
            # an instruction in X: a multiplication or something else; X moves on unless M stalls
            op, word = random_.choice(FORMS)
            a, b = _operand(random_), _operand(random_)
            start, stall = random_.randrange(4) > 0, random_.randrange(4) == 0
            for port, value in ((dut.op, op), (dut.word, word), (dut.a, a), (dut.b, b)):
                ctx.set(port, value)
            ctx.set(dut.start, start)
            ctx.set(dut.stall, stall)
            if expected is not None:
                result = ctx.get(dut.result)
                assert result == expected[0], f"cycle {cycle}: {expected[1]} is {result:#x}, not {expected[0]:#x}"
            await ctx.tick()
            if start and not stall:
                expected = multiply(op, bool(word), a, b), f"{op} word={word} a={a:#x} b={b:#x}"

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
