"""The data side of the core as a whole, against a byte array: see `unit_bench` for the judge."""

import random

import pytest

from rtl.cpu_riscv64.config import CoreConfig
from rtl.cpu_riscv64.interfaces import Memory
from tests.rtl.cpu_riscv64.memory.unit_bench import (
    OFFSETS,
    VIRTUAL,
    Bench,
    Machine,
    Operation,
    random_operations,
    random_pages,
)
from tests.rtl.cpu_riscv64.mmu.bench import SharedSimulator

OPERATIONS = 300


@pytest.fixture(scope="module")
def bench():
    top = Bench(CoreConfig())
    return top, SharedSimulator(top)


def execute(bench, seed: int, make) -> Machine:
    print("seed", seed)
    top, simulator = bench
    machine = make(top, random.Random(seed))
    simulator.run(lambda ctx, machine: machine.run(ctx), machine)
    print(machine.judge.now, "cycles", machine.counts)
    return machine


@pytest.mark.parametrize("seed", range(2))
def test_loads_stores_and_atomics_act_on_memory_in_program_order(bench, seed):
    def make(top, rng):
        pages = random_pages(rng)
        return Machine(top, rng, pages, random_operations(rng, pages, OPERATIONS), remap=0.04)

    machine = execute(bench, seed, make)
    assert machine.counts["fault"] and machine.counts["sc"] and machine.counts["remap"]


@pytest.mark.parametrize("seed", range(2))
def test_dma_and_fetch_and_walker_see_and_change_the_newest_data(bench, seed):
    def make(top, rng):
        pages = random_pages(rng)
        operations = random_operations(rng, pages, OPERATIONS)
        return Machine(top, rng, pages, operations, dma=0.05, fetch=0.03, walker=0.05)

    machine = execute(bench, seed, make)
    assert min(machine.counts[name] for name in ("dma", "fetch", "walker", "write_back")) > 5


def test_a_bus_that_never_waits_is_as_good(bench):
    def make(top, rng):
        pages = random_pages(rng)
        operations = random_operations(rng, pages, OPERATIONS)
        return Machine(top, rng, pages, operations, stall=0, latency=0, dma=0.05, fetch=0.05, walker=0.05, remap=0.04)

    execute(bench, 100, make)


def test_a_line_that_the_bus_refuses_is_an_access_fault(bench):
    def make(top, rng):
        pages = random_pages(rng, special=False)
        operations = random_operations(rng, pages, OPERATIONS)
        frame = pages[VIRTUAL >> 12].frame
        return Machine(top, rng, pages, operations, bad_line=frame + rng.choice(OFFSETS))

    machine = execute(bench, 200, make)
    assert machine.counts["fault"] > 5


def test_crossing_stores_that_miss_do_not_stop_the_store_buffer(bench):
    """Streams of misaligned stores over conflicting dirty lines fill the store buffer while lines are written back."""

    def make(top, rng):
        pages = random_pages(rng, frames=8, special=False)
        first = min(pages) << 12

        def operations():
            for _ in range(OPERATIONS):
                address = first + (rng.randrange(8) << 12) + rng.choice((0x3C, 0x7C, 0x39, 0x3C))
                yield Operation(Memory.STORE, address, 3, rng.getrandbits(64))

        return Machine(top, rng, pages, operations(), stall=0.6, latency=20)

    machine = execute(bench, 300, make)
    assert machine.counts["write_back"] > 20


def test_a_line_that_is_written_back_is_not_fetched_before_memory_has_it(bench):
    """All accesses go to one doubleword of each line of one set: evicted lines are wanted back at once."""

    def make(top, rng):
        pages = random_pages(rng, frames=6, special=False)

        def operations():
            for _ in range(OPERATIONS):
                kind = Memory.STORE if rng.random() < 0.25 else Memory.LOAD
                yield Operation(kind, (rng.choice(list(pages)) << 12) + 0x40, 3, rng.getrandbits(64))

        return Machine(top, rng, pages, operations(), stall=0.2, latency=30)

    machine = execute(bench, 400, make)
    assert machine.counts["write_back"] > 20


def test_dma_writes_to_lines_in_use_are_seen_and_end_reservations(bench):
    def make(top, rng):
        pages = random_pages(rng, frames=2, special=False)
        operations = random_operations(rng, pages, OPERATIONS, atomics=0.6, misaligned=0, offsets=(0x40,))
        return Machine(top, rng, pages, operations, stall=0.1, latency=4, dma=0.3, offsets=(0x40,))

    machine = execute(bench, 500, make)
    assert machine.counts["sc"] and machine.counts["dma"] > 50
