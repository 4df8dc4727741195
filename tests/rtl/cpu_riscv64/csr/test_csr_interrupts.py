"""Interrupt choice: all combinations of pending, delegated, mode and global enables against the specification."""

import itertools
import random

from amaranth.sim import Simulator

from rtl.cpu_riscv64.csr.interrupts import PRIORITY, InterruptChoice
from rtl.cpu_riscv64.interfaces import Privilege

M_FIRST = (11, 3, 7, 9, 1, 5)  # MEI, MSI, MTI, SEI, SSI, STI (Privileged 3.1.9)


def expected(pending, enabled, delegated, privilege, mie, sie):
    """3.1.9 and 4.1.3: M-level ones first; a level is enabled in lower modes, and in its own by xIE."""
    ready = [n for n in M_FIRST if pending >> n & 1 and enabled >> n & 1]
    machine = [n for n in ready if not delegated >> n & 1]
    supervisor = [n for n in ready if delegated >> n & 1]
    if machine and (privilege < 3 or mie):
        return machine[0]
    if supervisor and (privilege < 1 or (privilege == 1 and sie)):
        return supervisor[0]
    return None


def scatter(bits, positions):
    return sum((bits >> n & 1) << position for n, position in enumerate(positions))


def dense(vector):
    return sum((vector >> number & 1) << n for n, number in enumerate(PRIORITY))


def test_every_combination_of_pending_delegation_mode_and_enable_picks_the_right_interrupt():
    seed = random.getrandbits(32)
    print("seed", seed)
    rng = random.Random(seed)
    dut = InterruptChoice()
    taken = set()

    async def testbench(ctx):
        for privilege, mie, sie, delegation in itertools.product((0, 1, 3), (0, 1), (0, 1), range(8)):
            delegated = scatter(delegation, (1, 5, 9))
            ctx.set(dut.privilege, Privilege(privilege))
            ctx.set(dut.mie, mie)
            ctx.set(dut.sie, sie)
            ctx.set(dut.delegated, dense(delegated))
            for ready in range(64):
                # what is ready is pending and enabled; the rest is at most one of them
                both = scatter(ready, sorted(M_FIRST))
                noise, split = rng.getrandbits(12) & ~both & 0xAAA, rng.getrandbits(12)
                pending, enabled = both | noise & split, both | noise & ~split
                ctx.set(dut.pending, dense(pending))
                ctx.set(dut.enabled, dense(enabled))
                await ctx.delay(1e-9)
                wanted = expected(pending, enabled, delegated, privilege, mie, sie)
                case = f"pending {pending:#x} enabled {enabled:#x} delegated {delegated:#x} {privilege} {mie} {sie}"
                assert ctx.get(dut.valid) == (wanted is not None), case
                if wanted is not None:
                    assert ctx.get(dut.cause) == wanted, case
                    taken.add((privilege, wanted, delegated >> wanted & 1))
                assert ctx.get(dut.wake) == (pending & enabled != 0), case

    sim = Simulator(dut)
    sim.add_testbench(testbench)
    sim.run()
    # every interrupt in every mode, delegated or not, except delegated ones in M-mode and M-level ones, never delegated
    assert len(taken) == 3 * 6 + 2 * 3
