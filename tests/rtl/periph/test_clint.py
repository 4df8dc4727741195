"""The CLINT: mtime at 10 MHz from any clock, mtimecmp, msip; registers judged by QEMU's."""

import random
from typing import Any

import pytest

from rtl import memory_map
from rtl.periph.clint import Clint
from rtl.registers.clint import Registers
from tests.rtl.periph.qemu_device import QemuDevices
from tests.rtl.periph.register_access import BusError, read, refused, write
from tests.rtl.periph.simulate import simulate

MSIP, MTIMECMP, MTIME = Registers.msip.address(0), Registers.mtimecmp.address(0), Registers.mtime.address()


@pytest.mark.parametrize("clock_hz", [1_000_000, 10_000_000, 12_000_000, 50_000_000, 3_333_333, 33_554_432])
def test_mtime_counts_at_10_mhz_without_drift(clock_hz: int) -> None:
    clint = Clint(clock_hz=clock_hz)

    async def testbench(ctx: Any) -> None:
        for cycle in range(3000):
            assert ctx.get(clint.time) == cycle * 10_000_000 // clock_hz
            await ctx.tick()

    simulate(clint, testbench)


def test_timer_interrupt_is_high_while_mtime_has_reached_mtimecmp() -> None:
    clint = Clint(clock_hz=10_000_000)

    async def testbench(ctx: Any) -> None:
        await ctx.tick().repeat(5)
        assert not ctx.get(clint.timer_interrupt), "nobody has set mtimecmp"
        for target in (100, 300):
            await write(ctx, clint.bus, MTIMECMP, target, 8)
            await ctx.tick()
            while ctx.get(clint.time) < target:
                assert not ctx.get(clint.timer_interrupt)
                await ctx.tick()
            await ctx.tick()
            assert ctx.get(clint.timer_interrupt)
        await write(ctx, clint.bus, MTIMECMP + 4, 0xFFFF_FFFF, 4)
        await ctx.tick()
        assert not ctx.get(clint.timer_interrupt)
        await write(ctx, clint.bus, MTIME, (1 << 64) - 3, 8)
        await ctx.tick().repeat(2)
        assert ctx.get(clint.timer_interrupt), "mtime was set past it"

    simulate(clint, testbench)


@pytest.mark.parametrize("seed", range(2))
def test_registers_match_qemu(seed: int) -> None:
    print(f"seed {seed}")
    rng = random.Random(seed)
    clint = Clint(clock_hz=1)
    base = memory_map.CLINT.base

    with QemuDevices() as qemu:

        async def testbench(ctx: Any) -> None:
            # QEMU stands still, and so does our mtime for these tests of registers: reads of it compare upper bits.
            for _ in range(150):
                address, size = rng.choice(
                    ((MSIP, 4), (MSIP + 4, 4), (MTIMECMP, 8), (MTIMECMP, 4), (MTIMECMP + 4, 4), (MTIMECMP + 8, 8))
                )
                value = rng.getrandbits(8 * size)
                # Registers of a hart that is not there hold nothing.
                qemu.write(base + address, value, size)
                await write(ctx, clint.bus, address, value, size)
                for address, size in ((MSIP, 4), (MSIP + 4, 4), (MTIMECMP, 8), (MTIMECMP + 8, 8), (MTIMECMP + 4, 4)):
                    ours, theirs = await read(ctx, clint.bus, address, size), qemu.read(base + address, size)
                    assert ours == theirs, f"{address:#x}: QEMU reads {theirs:#x}, we {ours:#x}"

        simulate(clint, testbench)


def test_halves_of_mtime_are_written_alone() -> None:
    clint = Clint(clock_hz=1_000_000_000)

    async def testbench(ctx: Any) -> None:
        await write(ctx, clint.bus, MTIME, 0x1111_1111_2222_2200, 8)
        await write(ctx, clint.bus, MTIME + 4, 0x3333_3333, 4)
        assert await read(ctx, clint.bus, MTIME, 8) == 0x3333_3333_2222_2200
        await write(ctx, clint.bus, MTIME, 0x4444_4400, 4)
        assert await read(ctx, clint.bus, MTIME + 4, 4) == 0x3333_3333
        assert await read(ctx, clint.bus, MTIME, 4) == 0x4444_4400

    simulate(clint, testbench)


def test_each_hart_has_its_own_interrupts() -> None:
    clint = Clint(clock_hz=10_000_000, harts=3)

    async def testbench(ctx: Any) -> None:
        for hart in range(3):
            await write(ctx, clint.bus, Registers.msip.address(hart), 1, 4)
            assert ctx.get(clint.software_interrupt) == 1 << hart
            await write(ctx, clint.bus, Registers.msip.address(hart), 0, 4)
            await write(ctx, clint.bus, Registers.mtimecmp.address(hart), 0, 8)
            await ctx.tick()
            assert ctx.get(clint.timer_interrupt) == 1 << hart
            await write(ctx, clint.bus, Registers.mtimecmp.address(hart), (1 << 64) - 1 - hart, 8)
            await ctx.tick()
        for hart in range(3):
            assert await read(ctx, clint.bus, Registers.mtimecmp.address(hart), 8) == (1 << 64) - 1 - hart
        with pytest.raises(BusError):
            await read(ctx, clint.bus, 0xC000, 4)
        assert await refused(ctx, clint.bus, 0, 8)

    simulate(clint, testbench)
