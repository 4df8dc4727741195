"""The PLIC, judged by QEMU's and by the RISC-V PLIC specification 1.0.0."""

import random
from typing import Any

import pytest

from rtl import memory_map
from rtl.periph.plic import Plic
from rtl.registers.plic import CONTEXTS, WORDS, Registers
from tests.rtl.periph.qemu_device import QemuDevices
from tests.rtl.periph.register_access import read, refused, write
from tests.rtl.periph.simulate import simulate

SOURCES = tuple(memory_map.Interrupt)
SCAN = len(SOURCES) + 6
"""Cycles after which a change of the lines has reached the outputs for sure."""

MACHINE, SUPERVISOR = 0, 1


def priority(source: int) -> int:
    return Registers.priority.address(source - 1)


async def settle(ctx: Any) -> None:
    await ctx.tick().repeat(SCAN)


async def enable(ctx: Any, plic: Plic, context: int, *sources: int) -> None:
    for word in range(WORDS):
        bits = sum(1 << source % 32 for source in sources if source // 32 == word)
        await write(ctx, plic.bus, Registers.enable.address(context, word), bits)


def set_lines(ctx: Any, plic: Plic, *sources: int) -> None:
    ctx.set(plic.lines, sum(1 << SOURCES.index(source) for source in sources))


async def claim(ctx: Any, plic: Plic, context: int) -> int:
    return await read(ctx, plic.bus, Registers.claim.address(context))


async def complete(ctx: Any, plic: Plic, context: int, source: int) -> None:
    await write(ctx, plic.bus, Registers.claim.address(context), source)


@pytest.mark.parametrize("seed", range(2))
def test_random_interrupts_and_accesses_match_qemu(seed: int) -> None:
    print(f"seed {seed}")
    rng = random.Random(seed)
    plic = Plic(sources=SOURCES)
    base = memory_map.PLIC.base
    log: list[str] = []

    with QemuDevices(watch="out") as qemu:

        async def both_write(ctx: Any, address: int, value: int) -> None:
            log.append(f"write {address:#x} {value:#x}")
            qemu.write(base + address, value, 4)
            await write(ctx, plic.bus, address, value)

        async def both_read(ctx: Any, address: int) -> int:
            theirs, ours = qemu.read(base + address, 4), await read(ctx, plic.bus, address)
            log.append(f"read {address:#x} -> {ours:#x}")
            assert ours == theirs, f"QEMU reads {theirs:#x}; last accesses: {log[-20:]}"
            return ours

        async def testbench(ctx: Any) -> None:
            high: set[int] = set()
            claimed: list[tuple[int, int]] = []
            for _ in range(250):
                what = rng.random()
                if what < 0.3:
                    # A device: raises its line while it is not in service, lowers it at any time.
                    source = rng.choice(SOURCES)
                    level = source not in high and source not in (s for _, s in claimed)
                    log.append(f"line {source} {level}")
                    (high.add if level else high.discard)(source)
                    qemu.set_line(source, level)
                    set_lines(ctx, plic, *high)
                elif what < 0.45:
                    context = rng.randrange(CONTEXTS)
                    source = await both_read(ctx, Registers.claim.address(context))
                    if source:
                        claimed.append((context, source))
                elif what < 0.6 and claimed:
                    context, source = claimed.pop(rng.randrange(len(claimed)))
                    high.discard(source)
                    qemu.set_line(source, False)
                    set_lines(ctx, plic, *high)
                    await both_write(ctx, Registers.claim.address(context), source)
                elif what < 0.7:
                    await both_write(ctx, priority(rng.choice((*SOURCES, 9, 95))), rng.getrandbits(32))
                elif what < 0.8:
                    context, word = rng.randrange(CONTEXTS), rng.randrange(WORDS)
                    await both_write(ctx, Registers.enable.address(context, word), rng.getrandbits(32))
                elif what < 0.85:
                    value = rng.getrandbits(32) & rng.choice((1, 7, 0xFFFF_FFFF))
                    await both_write(ctx, Registers.threshold.address(rng.randrange(CONTEXTS)), value)
                else:
                    readable = (
                        *(0, priority(rng.choice(SOURCES)), priority(95), 0x1000 + 4 * rng.randrange(4)),
                        Registers.enable.address(rng.randrange(CONTEXTS), rng.randrange(WORDS)),
                        Registers.threshold.address(rng.randrange(CONTEXTS)),
                        *(0x200C, 0x2100, 0x20_0008, 0x20_2000, 0x5F_FFFC),
                    )
                    await both_read(ctx, rng.choice(readable))
                # QEMU looks at new enable bits only when something else changes: a threshold written again.
                for context in range(CONTEXTS):
                    await both_write(
                        ctx,
                        Registers.threshold.address(context),
                        await both_read(ctx, Registers.threshold.address(context)),
                    )
                await settle(ctx)
                ours = ctx.get(plic.external)
                theirs = (1 in qemu.lines) << MACHINE | (0 in qemu.lines) << SUPERVISOR
                assert ours == theirs, f"QEMU's outputs are {theirs:#b}, ours {ours:#b}: {log[-20:]}"

        simulate(plic, testbench)


def test_highest_priority_wins_and_the_lowest_number_among_equals() -> None:
    plic = Plic(sources=SOURCES)

    async def testbench(ctx: Any) -> None:
        for source, level in {1: 3, 8: 5, 10: 5, 32: 7, 35: 0}.items():
            await write(ctx, plic.bus, priority(source), level)
        await enable(ctx, plic, SUPERVISOR, 1, 8, 10, 32, 35)
        set_lines(ctx, plic, 1, 8, 10, 32, 35)
        order = [await claim(ctx, plic, SUPERVISOR) for _ in range(5)]
        assert order == [32, 8, 10, 1, 0], "priority 0 never interrupts"
        assert ctx.get(plic.external) == 0

    simulate(plic, testbench)


def test_a_threshold_hides_priorities_up_to_it() -> None:
    plic = Plic(sources=SOURCES)

    async def testbench(ctx: Any) -> None:
        await write(ctx, plic.bus, priority(10), 4)
        await enable(ctx, plic, MACHINE, 10)
        set_lines(ctx, plic, 10)
        for threshold in range(8):
            await write(ctx, plic.bus, Registers.threshold.address(MACHINE), threshold)
            assert ctx.get(plic.external) == (threshold < 4) << MACHINE

    simulate(plic, testbench)


def test_a_claim_ends_the_interrupt_for_every_context_before_it_is_answered() -> None:
    plic = Plic(sources=SOURCES)

    async def testbench(ctx: Any) -> None:
        await write(ctx, plic.bus, priority(10), 1)
        await enable(ctx, plic, MACHINE, 10)
        await enable(ctx, plic, SUPERVISOR, 10)
        set_lines(ctx, plic, 10)
        await settle(ctx)
        assert ctx.get(plic.external) == 0b11
        assert await claim(ctx, plic, MACHINE) == 10
        assert ctx.get(plic.external) == 0
        assert await claim(ctx, plic, SUPERVISOR) == 0

    simulate(plic, testbench)


def test_a_line_still_high_at_completion_interrupts_again() -> None:
    plic = Plic(sources=SOURCES)

    async def testbench(ctx: Any) -> None:
        await write(ctx, plic.bus, priority(11), 1)
        await enable(ctx, plic, SUPERVISOR, 11)
        set_lines(ctx, plic, 11)
        assert await claim(ctx, plic, SUPERVISOR) == 11
        await settle(ctx)
        assert ctx.get(plic.external) == 0, "in service: the gateway holds back"
        await complete(ctx, plic, SUPERVISOR, 10)
        await settle(ctx)
        assert ctx.get(plic.external) == 0, "another source's completion changes nothing"
        await complete(ctx, plic, SUPERVISOR, 11)
        await settle(ctx)
        assert ctx.get(plic.external) == 1 << SUPERVISOR
        assert await claim(ctx, plic, SUPERVISOR) == 11
        set_lines(ctx, plic)
        await complete(ctx, plic, SUPERVISOR, 11)
        await settle(ctx)
        assert ctx.get(plic.external) == 0

    simulate(plic, testbench)


def test_a_pulse_stays_pending_until_it_is_claimed() -> None:
    plic = Plic(sources=SOURCES)

    async def testbench(ctx: Any) -> None:
        assert await claim(ctx, plic, MACHINE) == 0  # past the clearing of the memories
        set_lines(ctx, plic, 33)
        await settle(ctx)
        set_lines(ctx, plic)
        await settle(ctx)
        assert await read(ctx, plic.bus, Registers.pending.address(1)) == 1 << (33 - 32)
        await write(ctx, plic.bus, Registers.pending.address(1), 0)
        assert await read(ctx, plic.bus, Registers.pending.address(1)) == 1 << (33 - 32)
        await write(ctx, plic.bus, priority(33), 1)
        await enable(ctx, plic, SUPERVISOR, 33)
        assert ctx.get(plic.external) == 1 << SUPERVISOR
        assert await claim(ctx, plic, SUPERVISOR) == 33
        assert await read(ctx, plic.bus, Registers.pending.address(1)) == 0

    simulate(plic, testbench)


def test_only_32_bit_accesses_are_answered() -> None:
    plic = Plic(sources=SOURCES)

    async def testbench(ctx: Any) -> None:
        for address in (0, 8, 0x1000, 0x2000, 0x20_0000):
            for size in (1, 2, 8):
                assert await refused(ctx, plic.bus, address, size)
                assert await refused(ctx, plic.bus, address, size, write=True)
            assert not await refused(ctx, plic.bus, address, 4)

    simulate(plic, testbench)


def test_reset_clears_what_software_wrote() -> None:
    from amaranth.hdl import ResetInserter, Signal
    from amaranth.sim import Simulator

    plic = Plic(sources=SOURCES)
    reset = Signal()

    async def testbench(ctx: Any) -> None:
        for source in SOURCES:
            await write(ctx, plic.bus, priority(source), 7)
        await enable(ctx, plic, MACHINE, *SOURCES)
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        for source in SOURCES:
            assert await read(ctx, plic.bus, priority(source)) == 0
        assert await read(ctx, plic.bus, Registers.enable.address(MACHINE, 0)) == 0

    simulator = Simulator(ResetInserter(reset)(plic))
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()


@pytest.mark.parametrize("sources", [(), (0,), (96,), (1, 1)])
def test_impossible_sources_are_named(sources: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="source"):
        Plic(sources=sources)
