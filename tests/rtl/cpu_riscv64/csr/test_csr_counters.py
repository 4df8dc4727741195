"""The counter block: exact values in every cycle, whatever happens and is written."""

import random

import pytest
from amaranth.sim import Simulator

from rtl.cpu_riscv64.config import CoreConfig
from rtl.cpu_riscv64.csr.counters import Counters

MASK64 = (1 << 64) - 1


@pytest.mark.parametrize("hpm", [0, 1, 8, 29])
@pytest.mark.parametrize("density", [0.5, 1.0], ids=["half", "every-cycle"])
def test_counters_are_exact_in_every_cycle(hpm, density):
    seed = random.getrandbits(32)
    print("seed", seed)
    rng = random.Random(seed)
    dut = Counters(CoreConfig(hpm_counters=hpm))
    number_of = 3 + hpm

    async def testbench(ctx):
        counters, selectors, inhibit = [0] * 32, [0] * 32, 0
        written = -9
        before = 0  # the value of the counter asked for in the last cycle
        for cycle in range(1500):
            number, read_number = rng.randrange(32), rng.randrange(32)
            events = sum((rng.random() < density) << n for n in range(12))
            retire = rng.random() < density
            kind = rng.random()
            # writes come at most every third cycle, in bursts at that rate
            strict = cycle % 400 < 200  # exactly every third cycle: the turn must not always find the port taken
            write = cycle % 200 < 90 and cycle - written >= 3 and (strict or kind < 0.7)
            write_event = 0.7 < kind < 0.75
            write_inhibit = 0.75 < kind < 0.77
            data = MASK64 - rng.randrange(40) if rng.random() < 0.5 else rng.getrandbits(64)
            if write_event and rng.random() < 0.9:
                data = rng.randrange(13)
            if write_inhibit and rng.random() < 0.8:
                data = 0
            for port, value in (
                (dut.number, number),
                (dut.read_number, read_number),
                (dut.events.as_value(), events),
                (dut.retire, retire),
                (dut.write, write),
                (dut.write_event, write_event),
                (dut.write_inhibit, write_inhibit),
                (dut.write_data, data),
            ):
                ctx.set(port, value)
            await ctx.delay(1e-8)
            assert ctx.get(dut.value) == before, f"counter in cycle {cycle}"
            before = counters[read_number]
            assert ctx.get(dut.event) == selectors[number], f"event {number} in cycle {cycle}"
            assert ctx.get(dut.inhibit) == inhibit
            await ctx.tick()
            for n in range(number_of):
                happens = {0: 1, 1: 0, 2: retire}.get(n, events << 1 >> selectors[n] & 1)
                if not inhibit >> n & 1:
                    counters[n] = counters[n] + happens & MASK64
            if write:
                written = cycle
                if number != 1 and number < number_of:
                    counters[number] = data
            if write_event and 3 <= number < number_of:
                selectors[number] = data if data <= 12 else 0
            if write_inhibit:
                inhibit = data & (1 << number_of) - 1 & ~2

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()
