# amaranth: UnusedElaboratable=no
"""Round robin: who is chosen, that the choice is kept, and that nobody waits longer than a round."""

import random

import pytest
from amaranth.sim import Simulator

from rtl.bus.round_robin import RoundRobin


@pytest.mark.parametrize(
    "count, members", [(1, None), (2, None), (3, None), (3, [0, 2]), (3, [1]), (4, [1, 2, 3]), (5, None)]
)
def test_the_requester_that_waits_longest_in_the_round_is_served_and_kept(count, members):
    seed = count
    print(f"seed {seed}")
    rng = random.Random(seed)
    dut = RoundRobin(count=count, members=members)
    members = members or list(range(count))
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)

    async def testbench(ctx):
        last, held, requests = members[-1], None, 0
        for _ in range(300):
            for member in members:
                requests |= (rng.random() < 0.4) << member
            advance = rng.random() < 0.6
            ctx.set(dut.requests, requests)
            ctx.set(dut.advance, advance)
            position = members.index(last) + 1
            order = [member for member in members[position:] + members[:position] if requests >> member & 1]
            expected = held if held is not None else next(iter(order), None)
            assert ctx.get(dut.valid) == (expected is not None)
            if expected is not None:
                assert ctx.get(dut.grant) == expected
                last, held = expected, None if advance else expected
                if advance:
                    requests &= ~(1 << expected)
            await ctx.tick()

    simulator.add_testbench(testbench)
    simulator.run()


def test_nobody_to_choose_from_is_refused():
    for wrong in ({"count": 0}, {"count": 2, "members": []}, {"count": 2, "members": [2]}):
        with pytest.raises(ValueError):
            RoundRobin(**wrong)
