"""The goldfish RTC: time in nanoseconds, alarm and interrupt; registers judged by QEMU's."""

import random
from typing import Any

import pytest

from rtl import memory_map
from rtl.periph.rtc import Rtc
from rtl.registers.goldfish_rtc import Registers
from tests.rtl.periph.qemu_device import QemuDevices
from tests.rtl.periph.register_access import read, refused, write
from tests.rtl.periph.simulate import simulate

START = 1_700_000_000_123_456_789

TIME_LOW, TIME_HIGH, ALARM_LOW, ALARM_HIGH, IRQ_ENABLED, CLEAR_ALARM, ALARM_STATUS, CLEAR_INTERRUPT = (
    register.offset for register in Registers.registers().values()
)


async def set_alarm(ctx: Any, rtc: Rtc, time: int) -> None:
    await write(ctx, rtc.bus, ALARM_HIGH, time >> 32)
    await write(ctx, rtc.bus, ALARM_LOW, time & 0xFFFF_FFFF)


@pytest.mark.parametrize("clock_hz", [1_000_000, 50_000_000, 48_000_000, 3_000_000_000])
def test_time_starts_at_the_initial_time_and_counts_nanoseconds(clock_hz: int) -> None:
    rtc = Rtc(clock_hz=clock_hz)

    async def testbench(ctx: Any) -> None:
        ctx.set(rtc.initial_time, START)
        await ctx.tick()
        ctx.set(rtc.initial_time, 0)
        cycles = 0
        while cycles < 500:
            low = await read(ctx, rtc.bus, TIME_LOW)
            high = await read(ctx, rtc.bus, TIME_HIGH)
            elapsed = cycles * 10**9 // clock_hz
            assert abs((high << 32 | low) - START - elapsed) <= 2 * 10**9 // clock_hz + 1
            await ctx.tick().repeat(6)
            cycles += 10

    simulate(rtc, testbench)


def test_reading_the_low_half_holds_the_high_half() -> None:
    rtc = Rtc(clock_hz=1_000_000)

    async def testbench(ctx: Any) -> None:
        ctx.set(rtc.initial_time, 0x7_FFFF_F000)
        await ctx.tick()
        low = await read(ctx, rtc.bus, TIME_LOW)
        assert low >= 0xFFFF_F000
        await ctx.tick().repeat(10)  # the low half overflows
        assert await read(ctx, rtc.bus, TIME_HIGH) == 7
        await read(ctx, rtc.bus, TIME_LOW)
        assert await read(ctx, rtc.bus, TIME_HIGH) == 8
        assert await read(ctx, rtc.bus, TIME_LOW, 8) >> 32 == 8, "a 64-bit read is both halves of one moment"

    simulate(rtc, testbench)


def test_software_sets_the_time() -> None:
    rtc = Rtc(clock_hz=1_000_000_000)

    async def testbench(ctx: Any) -> None:
        await write(ctx, rtc.bus, TIME_HIGH, 0x1234)
        await write(ctx, rtc.bus, TIME_LOW, 0x5678_0000)
        time = await read(ctx, rtc.bus, TIME_LOW, 8)
        assert 0 <= time - 0x1234_5678_0000 < 10

    simulate(rtc, testbench)


def test_alarm_interrupts_when_its_time_has_come_until_it_is_cleared() -> None:
    rtc = Rtc(clock_hz=1_000_000)

    async def testbench(ctx: Any) -> None:
        ctx.set(rtc.initial_time, START)
        await ctx.tick()
        await set_alarm(ctx, rtc, START + 60_000)
        await write(ctx, rtc.bus, IRQ_ENABLED, 1)
        assert await read(ctx, rtc.bus, ALARM_STATUS) == 1
        cycles = 0
        while not ctx.get(rtc.interrupt):
            await ctx.tick()
            cycles += 1
            assert cycles < 100
        assert await read(ctx, rtc.bus, TIME_LOW, 8) >= START + 60_000
        assert cycles >= 40
        assert await read(ctx, rtc.bus, ALARM_STATUS) == 0, "it rings once"
        await write(ctx, rtc.bus, IRQ_ENABLED, 0)
        assert not ctx.get(rtc.interrupt)
        await write(ctx, rtc.bus, IRQ_ENABLED, 1)
        assert ctx.get(rtc.interrupt)
        await write(ctx, rtc.bus, CLEAR_INTERRUPT, 1)
        assert not ctx.get(rtc.interrupt)
        await set_alarm(ctx, rtc, START + 300_000)
        await write(ctx, rtc.bus, CLEAR_ALARM, 1)
        await ctx.tick().repeat(300)
        assert not ctx.get(rtc.interrupt), "a cleared alarm does not ring"

    simulate(rtc, testbench)


def test_registers_match_qemu() -> None:
    seed = 5
    print(f"seed {seed}")
    rng = random.Random(seed)
    rtc = Rtc(clock_hz=1_000_000_000)
    past, future = START >> 33, (START >> 32) * 2

    with QemuDevices(watch="in") as qemu:

        async def testbench(ctx: Any) -> None:
            ctx.set(rtc.initial_time, START)
            await ctx.tick()
            log = []
            for _ in range(200):
                register = rng.choice((ALARM_LOW, ALARM_HIGH, IRQ_ENABLED, CLEAR_ALARM, ALARM_STATUS, CLEAR_INTERRUPT))
                value = rng.choice((past, future)) if register == ALARM_HIGH else rng.getrandbits(32)
                log.append(f"{register:#x}={value:#x}")
                qemu.write(memory_map.RTC.base + register, value, 4)
                await write(ctx, rtc.bus, register, value)
                await ctx.tick()
                for register in range(ALARM_LOW, Registers.size, 4):
                    ours, theirs = await read(ctx, rtc.bus, register), qemu.read(memory_map.RTC.base + register, 4)
                    assert ours == theirs, f"{register:#x}: QEMU reads {theirs:#x}, we {ours:#x}, after {log[-9:]}"
                assert ctx.get(rtc.interrupt) == (memory_map.Interrupt.RTC in qemu.lines)

        simulate(rtc, testbench)


def test_only_words_inside_the_file_are_answered() -> None:
    rtc = Rtc(clock_hz=1_000_000)

    async def testbench(ctx: Any) -> None:
        for address, size in ((0, 1), (0, 2), (0x24, 4), (0x20, 8), (0xFF8, 8)):
            assert await refused(ctx, rtc.bus, address, size)
        assert not await refused(ctx, rtc.bus, 0x20, 4)

    simulate(rtc, testbench)
