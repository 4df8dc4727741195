"""The serial line of the console, against a model of the line in Python."""

import random
from typing import Any

import pytest

from rtl.phy.uart_serial import UartSerial
from rtl.registers.ns16550 import Registers
from tests.rtl.periph.simulate import simulate

CRYSTAL_HZ = 3_686_400
LCR = Registers.lcr

FORMATS = [
    LCR.pack(word_length=3),
    LCR.pack(word_length=2, parity_enable=1),
    LCR.pack(word_length=3, parity_enable=1, even_parity=1),
    LCR.pack(word_length=0, parity_enable=1, stick_parity=1, stop_bits=1),
    LCR.pack(word_length=1, parity_enable=1, even_parity=1, stick_parity=1),
]


def character(byte: int, lcr: int) -> list[int]:
    """The bits of a character on the line."""
    form = LCR.unpack(lcr)
    data = [byte >> n & 1 for n in range(form["word_length"] + 5)]
    bits = [0, *data]
    if form["parity_enable"]:
        even = sum(data) % 2
        bits.append(1 - form["even_parity"] if form["stick_parity"] else even ^ 1 ^ form["even_parity"])
    return bits + [1] * (1 + form["stop_bits"])


def data_bits(lcr: int) -> int:
    return (1 << LCR.unpack(lcr)["word_length"] + 5) - 1


async def drive(ctx: Any, line: UartSerial, bits: list[int], cycles: float) -> None:
    """Bits on the receive pin, each so many cycles long."""
    time = 0.0
    for bit in bits:
        ctx.set(line.pin_rx, bit)
        time += cycles
        await ctx.tick().repeat(int(time))
        time -= int(time)


@pytest.mark.parametrize("lcr", FORMATS)
@pytest.mark.parametrize(("clock_hz", "divisor"), [(CRYSTAL_HZ, 1), (8_000_000, 2)])
def test_what_is_sent_has_the_format_and_speed_of_the_settings(lcr: int, clock_hz: int, divisor: int) -> None:
    seed = lcr
    print(f"seed {seed}")
    rng = random.Random(seed)
    line = UartSerial(clock_hz=clock_hz)
    cycles = clock_hz / (CRYSTAL_HZ / 16 / divisor)

    async def testbench(ctx: Any) -> None:
        ctx.set(line.divisor, divisor)
        ctx.set(line.line_control, ctx_lcr(lcr))
        assert ctx.get(line.pin_tx) == 1

        for _ in range(4):
            byte = rng.randrange(256)
            ctx.set(line.tx.payload, byte)
            ctx.set(line.tx.valid, 1)
            await ctx.tick().until(line.tx.ready)
            ctx.set(line.tx.valid, 0)
            assert ctx.get(line.busy)
            # to the middle of the start bit, then bit by bit
            bits = character(byte, lcr)
            position = cycles / 2 + 1
            time = 0
            for bit in bits:
                await ctx.tick().repeat(int(position) - time)
                time = int(position)
                assert ctx.get(line.pin_tx) == bit
                position += cycles
            while ctx.get(line.busy):
                await ctx.tick()
                time += 1
            assert abs(time - len(bits) * cycles) <= 4

    simulate(line, testbench)


def ctx_lcr(lcr: int) -> dict[str, int]:
    return {name: int(value) for name, value in LCR.unpack(lcr).items()}


@pytest.mark.parametrize("lcr", FORMATS)
@pytest.mark.parametrize("deviation", [-0.03, 0, 0.03])
def test_characters_are_received_from_a_line_three_percent_off(lcr: int, deviation: float) -> None:
    seed = lcr
    print(f"seed {seed}")
    rng = random.Random(seed)
    line = UartSerial(clock_hz=CRYSTAL_HZ)
    cycles = 16 * (1 + deviation)
    sent = [rng.randrange(256) for _ in range(6)]
    got = []

    async def take(ctx: Any) -> None:
        while True:
            ctx.set(line.rx.ready, rng.random() < 0.1)
            _, _, valid, ready, byte = await ctx.tick().sample(line.rx.valid, line.rx.ready, line.rx.payload)
            if valid and ready:
                got.append(byte)

    async def testbench(ctx: Any) -> None:
        ctx.set(line.divisor, 1)
        ctx.set(line.line_control, ctx_lcr(lcr))
        await ctx.tick().repeat(40)
        for byte in sent:
            await drive(ctx, line, character(byte, lcr) + [1] * rng.randrange(3), cycles)
        await ctx.tick().repeat(200)

    simulate(line, testbench, take)
    assert got == [byte & data_bits(lcr) for byte in sent]


def test_glitches_parity_errors_and_framing_errors_give_no_byte() -> None:
    line = UartSerial(clock_hz=CRYSTAL_HZ)
    lcr = FORMATS[2]

    async def testbench(ctx: Any) -> None:
        ctx.set(line.divisor, 1)
        ctx.set(line.line_control, ctx_lcr(lcr))
        await ctx.tick().repeat(40)
        await drive(ctx, line, [0], 5)
        await drive(ctx, line, [1], 300)
        good = character(0x5A, lcr)
        wrong_parity, no_stop = list(good), list(good)
        wrong_parity[-2] ^= 1
        no_stop[-1] = 0
        for bits in (wrong_parity, [1], no_stop, [1, 1]):
            await drive(ctx, line, bits, 16)
        assert not ctx.get(line.rx.valid)
        await drive(ctx, line, good, 16)
        assert ctx.get(line.rx.valid) and ctx.get(line.rx.payload) == 0x5A

    simulate(line, testbench)


def test_a_character_that_finds_the_one_before_still_waiting_is_an_overrun() -> None:
    line = UartSerial(clock_hz=CRYSTAL_HZ)
    lcr = FORMATS[0]
    overruns = []

    async def watch(ctx: Any) -> None:
        async for _, _, overrun in ctx.tick().sample(line.overrun):
            if overrun:
                overruns.append(True)

    async def testbench(ctx: Any) -> None:
        ctx.set(line.divisor, 1)
        ctx.set(line.line_control, ctx_lcr(lcr))
        for byte in (1, 2):
            await drive(ctx, line, character(byte, lcr), 16)
        assert ctx.get(line.rx.payload) == 1
        assert overruns == [True]

    simulate(line, testbench, watch)


def test_break_holds_the_line_low_and_divisor_zero_stops_it() -> None:
    line = UartSerial(clock_hz=CRYSTAL_HZ)

    async def testbench(ctx: Any) -> None:
        ctx.set(line.line_control, ctx_lcr(LCR.pack(word_length=3, send_break=1)))
        await ctx.tick().repeat(2)
        assert ctx.get(line.pin_tx) == 0
        ctx.set(line.line_control, ctx_lcr(LCR.pack(word_length=3)))
        ctx.set(line.tx.payload, 0)
        ctx.set(line.tx.valid, 1)
        await ctx.tick().repeat(1000)
        assert ctx.get(line.busy), "without a divisor the character never ends"

    simulate(line, testbench)


def test_a_clock_too_slow_to_sample_is_named() -> None:
    with pytest.raises(ValueError, match="1000000"):
        UartSerial(clock_hz=1_000_000)
