"""The stream prefetcher: what it asks for, and what it leaves alone."""

import random

from rtl.cpu_riscv64.config import CoreConfig
from rtl.cpu_riscv64.memory.stream import DISTANCE, StreamPrefetcher
from tests.rtl.periph.simulate import simulate


def prefetched(lines: list[int], seed: int, *, present: bool = True, gap: int = 20) -> list[tuple[int, int]]:
    """Accesses `lines` one after another; what was prefetched, as (accesses before it, line).

    With `present`, a line that was prefetched is in the cache when it is accessed. Offers are taken after random
    delays, and wait at most `gap` cycles for the next access.
    """
    rng = random.Random(seed)
    print("seed", seed)
    dut = StreamPrefetcher(CoreConfig())
    taken: list[tuple[int, int]] = []

    async def testbench(ctx):
        here = set()
        for count, line in enumerate(lines):
            ctx.set(dut.access, 1)
            ctx.set(dut.miss, line not in here)
            ctx.set(dut.line, line)
            await ctx.tick()
            here.add(line)
            ctx.set(dut.access, 0)
            ctx.set(dut.miss, 0)
            ctx.set(dut.line, rng.getrandbits(30))
            for _ in range(gap):
                if ctx.get(dut.valid) and rng.random() < 0.5:
                    ctx.set(dut.take, 1)
                    taken.append((count + 1, ctx.get(dut.prefetch)))
                    if present:
                        here.add(taken[-1][1])
                await ctx.tick()
                ctx.set(dut.take, 0)

    simulate(dut, testbench)
    print(taken)
    return taken


PAGE_A, PAGE_B = 0x200_0040, 0x200_1200 & -64


def test_a_sequence_keeps_the_next_lines_under_way_and_asks_for_each_once():
    lines = [PAGE_A + n for n in range(10, 20)]
    taken = prefetched(lines, 1)
    assert [line for _, line in taken] == [PAGE_A + n for n in range(12, 20 + DISTANCE)]
    for count, line in taken:
        assert lines[count - 1] < line <= lines[count - 1] + DISTANCE


def test_repeated_accesses_to_a_line_are_one_step():
    lines = [PAGE_A + n // 3 for n in range(30)]
    taken = [line for _, line in prefetched(lines, 2)]
    assert taken == sorted(set(taken)) and taken[-1] == PAGE_A + 9 + DISTANCE


def test_two_interleaved_streams_are_both_followed():
    lines = [page + n for n in range(5, 15) for page in (PAGE_A, PAGE_B)]
    taken = [line for _, line in prefetched(lines, 3)]
    for page in (PAGE_A, PAGE_B):
        assert [line for line in taken if line & -64 == page] == [page + n for n in range(7, 15 + DISTANCE)]


def test_a_stream_ends_with_its_page():
    taken = [line for _, line in prefetched([PAGE_A + n for n in range(55, 64)] + [PAGE_B], 4)]
    assert taken == [PAGE_A + n for n in range(57, 64)]


def test_random_accesses_prefetch_nothing():
    rng = random.Random(5)
    lines = []
    while len(lines) < 60:
        line = rng.getrandbits(30)
        if all(abs(line - other) > 1 for other in lines):
            lines.append(line)
    assert prefetched(lines, 5, gap=4) == []


def test_a_reader_that_overtakes_its_prefetches_is_never_offered_lines_behind_it():
    lines = [PAGE_A + n for n in range(20)]
    for count, line in prefetched(lines, 6, gap=1):
        assert line > lines[count - 1]
