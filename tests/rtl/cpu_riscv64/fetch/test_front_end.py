"""The front end as a whole delivers the program: see `fetch_bench`."""

import random

import pytest

from rtl.cpu_riscv64.config import CoreConfig
from tests.rtl.cpu_riscv64.fetch.fetch_bench import Bench, Machine
from tests.rtl.cpu_riscv64.mmu.bench import SharedSimulator


@pytest.fixture(scope="module")
def bench():
    top = Bench(CoreConfig())
    return top, SharedSimulator(top)


def execute(bench, seed: int, **options) -> Machine:
    print("seed", seed, options)
    top, simulator = bench
    machine = Machine(top, random.Random(seed), **options)
    simulator.run(lambda ctx, machine: machine.run(ctx), machine)
    print(machine.now, "cycles", dict(machine.counts))
    return machine


@pytest.mark.parametrize("seed", range(2))
def test_instructions_are_those_of_memory_through_redirects_faults_and_fences(bench, seed):
    machine = execute(bench, seed, instructions=600)
    assert min(machine.counts[name] for name in ("faults", "fences", "redirects", "walks", "misses")) > 1


def test_a_program_that_loops_runs_from_the_cache_and_its_branches_are_predicted(bench):
    machine = execute(
        bench, 10, instructions=1500, redirect=0, fence=0, switch=0, stall=0, hot=3, plain=True, branches=0.25
    )
    assert machine.counts["taken_right"] > machine.counts["taken"] * 0.8
    assert machine.now < 2 * 1500
