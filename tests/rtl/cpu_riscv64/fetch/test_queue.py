"""The instruction queue against a list: every instruction once, in order, expanded; none after a redirect."""

import random
from collections import deque

from rtl.cpu_riscv64.config import CoreConfig
from rtl.cpu_riscv64.fetch.queue import InstructionQueue
from tests.rtl.periph.simulate import simulate

# (fetched, what it stands for, length, reserved): ISA manual tables 16.5 to 16.7
ENCODINGS = (
    (0x0000_0013, 0x0000_0013, 4, False),  # addi x0, x0, 0
    (0xFE61_3C23, 0xFE61_3C23, 4, False),  # sd t1, -8(sp)
    (0x0001, 0x0000_0013, 2, False),  # c.nop
    (0x4505, 0x0010_0513, 2, False),  # c.li a0, 1
    (0x8082, 0x0000_8067, 2, False),  # c.jr ra
    (0x852E, 0x00B0_0533, 2, False),  # c.mv a0, a1
    (0x6502, 0x0001_3503, 2, False),  # c.ldsp a0, 0
    (0x0000, None, 2, True),
)


def drive(seed: int, cycles: int, redirects: float) -> int:
    """Random arrivals, takings and redirects; gives how many instructions came out."""
    rng = random.Random(seed)
    print("seed", seed)
    dut = InstructionQueue(CoreConfig())
    taken = 0

    async def testbench(ctx):
        nonlocal taken
        queue: deque[dict] = deque()
        arrives, leaves = 0.5, 0.5
        for _ in range(cycles):
            if rng.random() < 0.05:
                arrives, leaves = rng.choice((0.1, 0.5, 1.0)), rng.choice((0.1, 0.5, 1.0))
            raw, insn, length, reserved = rng.choice(ENCODINGS)
            behind = rng.getrandbits(16)  # the next instruction's first half
            item = {
                "pc": rng.getrandbits(63) << 1,
                "raw": raw if length == 4 else raw | behind << 16,
                "fault_in_second_half": rng.getrandbits(1),
                "torn": rng.getrandbits(1),
                "taken": rng.getrandbits(1),
                "known": rng.getrandbits(1),
                "way": rng.getrandbits(1),
                "counter": rng.getrandbits(2),
            }
            comes = rng.random() < arrives
            ctx.set(dut.aligned.valid, comes)
            for name, value in item.items():
                ctx.set(getattr(dut.aligned, name), value)
            redirect = rng.random() < redirects
            ctx.set(dut.redirect, redirect)
            consume = bool(queue) and rng.random() < leaves
            ctx.set(dut.instruction.consume, consume)

            assert ctx.get(dut.instruction.valid) == bool(queue)
            if queue:
                expected = queue[0]
                for name, value in expected.items():
                    assert ctx.get(getattr(dut.instruction, name)) == value, name
            accepted = comes and bool(ctx.get(dut.aligned.consume))
            assert len(queue) == 2 or accepted == comes, "there is room"
            if consume:
                queue.popleft()
                taken += 1
            if accepted:
                next_pc = item["pc"] + length & (1 << 64) - 1
                out = {**item, "raw": raw, "next_pc": next_pc, "compressed": length == 2, "illegal": reserved}
                if insn is not None:
                    out["insn"] = insn
                queue.append(out)
            if redirect:
                queue.clear()
            await ctx.tick()

    simulate(dut, testbench)
    return taken


def test_instructions_leave_in_order_and_expanded():
    assert drive(1, 2000, redirects=0) > 300


def test_a_redirect_leaves_nothing():
    assert drive(2, 2000, redirects=0.1) > 300
