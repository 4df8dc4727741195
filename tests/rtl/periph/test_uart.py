"""The console UART, judged by QEMU's 16550 and by the PC16550D data sheet."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from rtl import memory_map
from rtl.periph.uart import FIFO_DEPTH, Uart
from rtl.registers import ns16550
from rtl.registers.ns16550 import InterruptId, Registers
from tests.rtl.periph.qemu_device import QemuDevices
from tests.rtl.periph.register_access import read, refused, write
from tests.rtl.periph.simulate import simulate

RBR, THR, IER, IIR, FCR, LCR, MCR, LSR, MSR, SCR = (
    getattr(Registers, name).offset for name in ("rbr", "thr", "ier", "iir", "fcr", "lcr", "mcr", "lsr", "msr", "scr")
)
DLAB = Registers.lcr.fields["dlab"].mask
LOOP = Registers.mcr.fields["loop"].mask
DATA_READY = Registers.lsr.fields["data_ready"].mask
OVERRUN = Registers.lsr.fields["overrun"].mask
THR_EMPTY = Registers.lsr.fields["thr_empty"].mask
SLOW = 1_000_000_000  # clock so fast that no receive timeout comes by itself


def receiver(uart: Uart, out: bytearray, rng: random.Random | None = None) -> Callable[..., Any]:
    """Takes what the UART sends; with `rng` at random times only."""

    async def process(ctx: Any) -> None:
        while True:
            ctx.set(uart.tx.ready, rng is None or rng.random() < 0.3)
            _, _, valid, ready, byte = await ctx.tick().sample(uart.tx.valid, uart.tx.ready, uart.tx.payload)
            if valid and ready:
                out.append(byte)

    return process


async def send(ctx: Any, uart: Uart, byte: int) -> None:
    """Hands a byte to the receiver."""
    ctx.set(uart.rx.payload, byte)
    ctx.set(uart.rx.valid, 1)
    await ctx.tick().until(uart.rx.ready)
    ctx.set(uart.rx.valid, 0)


@pytest.mark.parametrize("seed", range(4))
def test_random_register_accesses_match_qemu(seed: int) -> None:
    print(f"seed {seed}")
    rng = random.Random(seed)
    uart = Uart(clock_hz=SLOW)
    sent = bytearray()
    expected = bytearray()
    log = []

    with QemuDevices(watch="in") as qemu:

        async def testbench(ctx: Any) -> None:
            lcr = mcr = 0
            for _ in range(500):
                what = rng.random()
                if what < 0.10 and not mcr & LOOP:
                    # A byte comes in over the line, where both have room for sure.
                    await ctx.tick()
                    status = await read(ctx, uart.bus, LSR, 1), qemu_read(qemu, LSR)
                    if (status[0] | status[1]) & DATA_READY:
                        continue
                    byte = rng.randrange(256)
                    log.append(f"line {byte:#x}")
                    qemu.serial.send(bytes([byte]))
                    while not qemu_read(qemu, LSR) & DATA_READY:
                        pass
                    await send(ctx, uart, byte)
                elif what < 0.55:
                    register = rng.choice((RBR, RBR, IER, IIR, IIR, LCR, MCR, LSR, LSR, MSR, SCR))
                    size = rng.choice((1, 1, 1, 1, 2, 4))
                    register -= register % size
                    theirs = qemu.read(memory_map.UART.base + register, size)
                    ours = await read(ctx, uart.bus, register, size)
                    log.append(f"read {register} {size} -> {ours:#x}")
                    assert ours == theirs, f"QEMU reads {theirs:#x}; last accesses: {log[-20:]}"
                else:
                    register = rng.choice((THR, THR, THR, IER, IER, FCR, LCR, MCR, LSR, MSR, SCR))
                    value = rng.randrange(256)
                    if register == LCR and rng.random() < 0.7:
                        value &= ~DLAB
                    if register == THR and not lcr & DLAB and not mcr & LOOP:
                        expected.append(value)
                    lcr = value if register == LCR else lcr
                    mcr = value if register == MCR else mcr
                    log.append(f"write {register} {value:#x}")
                    qemu.write(memory_map.UART.base + register, value, 1)
                    await write(ctx, uart.bus, register, value, 1)
                await ctx.tick().repeat(3)
                theirs = memory_map.Interrupt.UART in qemu.lines
                assert ctx.get(uart.interrupt) == theirs, f"QEMU's interrupt is {theirs} after {log[-20:]}"

        def qemu_read(qemu: QemuDevices, register: int) -> int:
            return qemu.read(memory_map.UART.base + register, 1)

        simulate(uart, testbench, receiver(uart, sent))
        assert sent == expected
        qemu.serial.settimeout(5)
        theirs = b""
        while len(theirs) < len(expected):
            theirs += qemu.serial.recv(4096)
        assert sent == theirs


def test_bytes_keep_their_order_through_both_fifos_under_stalls() -> None:
    seed = 11
    print(f"seed {seed}")
    rng = random.Random(seed)
    uart = Uart(clock_hz=SLOW)
    outgoing = bytes(rng.randrange(256) for _ in range(120))
    incoming = bytes(rng.randrange(256) for _ in range(120))
    sent = bytearray()
    got = bytearray()

    async def testbench(ctx: Any) -> None:
        await write(ctx, uart.bus, FCR, Registers.fcr.pack(enable=1), 1)
        queue = list(outgoing)
        for _ in range(2000):
            if not queue and len(got) == len(incoming):
                break
            status = Registers.lsr.unpack(await read(ctx, uart.bus, LSR, 1))
            assert not status["overrun"]
            if status["data_ready"]:
                got.append(await read(ctx, uart.bus, RBR, 1))
            if status["thr_empty"]:
                for byte in queue[:FIFO_DEPTH]:
                    await write(ctx, uart.bus, THR, byte, 1)
                del queue[:FIFO_DEPTH]
        while not Registers.lsr.unpack(await read(ctx, uart.bus, LSR, 1))["transmitter_empty"]:
            pass
        await ctx.tick()

    async def line(ctx: Any) -> None:
        await ctx.tick().repeat(10)  # turning the FIFOs on empties them
        for byte in incoming:
            await ctx.tick().repeat(rng.randrange(1, 4))
            await send(ctx, uart, byte)

    simulate(uart, testbench, line, receiver(uart, sent, rng))
    assert got == incoming
    assert sent == outgoing


def test_receive_interrupt_waits_for_the_trigger_level() -> None:
    uart = Uart(clock_hz=SLOW)

    async def testbench(ctx: Any) -> None:
        await write(ctx, uart.bus, IER, Registers.ier.pack(received_data=1), 1)
        for trigger, level in enumerate((1, 4, 8, 14)):
            await write(ctx, uart.bus, FCR, Registers.fcr.pack(enable=1, clear_receive=1, trigger=trigger), 1)
            for count in range(1, FIFO_DEPTH + 1):
                await send(ctx, uart, count)
                await ctx.tick()
                assert ctx.get(uart.interrupt) == (count >= level), f"{count} bytes, level {level}"
            assert not ctx.get(uart.rx.ready), "a full FIFO takes no more"
            iir = Registers.iir.unpack(await read(ctx, uart.bus, IIR, 1))
            assert iir["id"] == InterruptId.RECEIVED_DATA
            for count in range(FIFO_DEPTH):
                assert await read(ctx, uart.bus, RBR, 1) == count + 1
                assert ctx.get(uart.interrupt) == (FIFO_DEPTH - count - 1 >= level)

    simulate(uart, testbench)


@pytest.mark.parametrize(
    ("divisor", "lcr", "character_bits"),
    [(2, 0x03, 10), (1, 0x00, 7), (3, 0x1F, 12)],
)
def test_receive_timeout_comes_after_four_characters_time(divisor: int, lcr: int, character_bits: int) -> None:
    clock_hz = 1_000_000
    uart = Uart(clock_hz=clock_hz)
    expected = 4 * character_bits * clock_hz * divisor / 230_400

    async def testbench(ctx: Any) -> None:
        await write(ctx, uart.bus, LCR, DLAB, 1)
        await write(ctx, uart.bus, 0, divisor, 1)
        await write(ctx, uart.bus, LCR, lcr, 1)
        await write(ctx, uart.bus, FCR, Registers.fcr.pack(enable=1, trigger=ns16550.TriggerLevel.BYTES_8), 1)
        await write(ctx, uart.bus, IER, Registers.ier.pack(received_data=1), 1)

        async def cycles_to_interrupt() -> int:
            for cycle in range(int(expected * 2)):
                if ctx.get(uart.interrupt):
                    return cycle
                await ctx.tick()
            raise AssertionError("no receive timeout")

        await ctx.tick().repeat(int(expected * 2))
        assert not ctx.get(uart.interrupt), "an empty FIFO has no timeout"
        for byte in (1, 2, 3):
            await send(ctx, uart, byte)
            await ctx.tick().repeat(int(expected / 2))  # each byte starts the time over
            assert not ctx.get(uart.interrupt)
        await send(ctx, uart, 4)
        assert abs(await cycles_to_interrupt() - expected) <= 12
        assert Registers.iir.unpack(await read(ctx, uart.bus, IIR, 1))["id"] == InterruptId.RECEIVE_TIMEOUT
        assert ctx.get(uart.interrupt), "reading IIR does not clear a receive timeout"
        assert await read(ctx, uart.bus, RBR, 1) == 1
        assert not ctx.get(uart.interrupt), "reading RBR does"
        assert abs(await cycles_to_interrupt() - expected) <= 12, "and the time starts over for those left"

    simulate(uart, testbench)


def test_transmitter_interrupts_once_each_time_it_runs_empty() -> None:
    uart = Uart(clock_hz=SLOW)

    async def testbench(ctx: Any) -> None:
        ctx.set(uart.tx.ready, 0)
        await write(ctx, uart.bus, FCR, Registers.fcr.pack(enable=1), 1)
        await write(ctx, uart.bus, IER, Registers.ier.pack(thr_empty=1), 1)
        assert ctx.get(uart.interrupt), "enabled while empty: interrupts at once"
        assert Registers.iir.unpack(await read(ctx, uart.bus, IIR, 1))["id"] == InterruptId.THR_EMPTY
        assert not ctx.get(uart.interrupt), "reading IIR clears it"
        for byte in range(3):
            await write(ctx, uart.bus, THR, byte, 1)
        for left in (2, 1, 0):
            assert not ctx.get(uart.interrupt)
            assert not await read(ctx, uart.bus, LSR, 1) & THR_EMPTY
            ctx.set(uart.tx.ready, 1)
            await ctx.tick()
            ctx.set(uart.tx.ready, 0)
            assert ctx.get(uart.interrupt) == (left == 0)
        ctx.set(uart.tx_busy, 1)
        status = Registers.lsr.unpack(await read(ctx, uart.bus, LSR, 1))
        assert status["thr_empty"] and not status["transmitter_empty"], "the line still sends the last byte"
        await write(ctx, uart.bus, THR, 9, 1)
        assert not ctx.get(uart.interrupt), "a write clears it too"

    simulate(uart, testbench)


def test_a_byte_lost_on_the_line_is_an_overrun_until_lsr_is_read() -> None:
    uart = Uart(clock_hz=SLOW)

    async def testbench(ctx: Any) -> None:
        await write(ctx, uart.bus, IER, Registers.ier.pack(line_status=1), 1)
        ctx.set(uart.rx_overrun, 1)
        await ctx.tick()
        ctx.set(uart.rx_overrun, 0)
        assert ctx.get(uart.interrupt)
        assert Registers.iir.unpack(await read(ctx, uart.bus, IIR, 1))["id"] == InterruptId.LINE_STATUS
        assert await read(ctx, uart.bus, LSR, 1) & OVERRUN
        assert not ctx.get(uart.interrupt)
        assert not await read(ctx, uart.bus, LSR, 1) & OVERRUN

    simulate(uart, testbench)


@pytest.mark.parametrize(
    ("register", "value"),
    [(FCR, Registers.fcr.pack(enable=1)), (IER, Registers.ier.pack(received_data=1)), (LSR, None), (RBR, None)],
    ids=["FCR", "IER", "LSR", "RBR"],
)
def test_what_is_typed_before_software_looks_at_the_receiver_waits(register: int, value: int | None) -> None:
    uart = Uart(clock_hz=SLOW)

    async def testbench(ctx: Any) -> None:
        ctx.set(uart.rx.payload, ord("h"))
        ctx.set(uart.rx.valid, 1)
        await write(ctx, uart.bus, LCR, Registers.lcr.pack(dlab=1), 1)
        await write(ctx, uart.bus, LCR, 3, 1)
        await write(ctx, uart.bus, IER, 0, 1)
        assert not ctx.get(uart.rx.ready)
        await (read(ctx, uart.bus, register, 1) if value is None else write(ctx, uart.bus, register, value, 1))
        await ctx.tick().until(uart.rx.ready)
        ctx.set(uart.rx.valid, 0)
        assert await read(ctx, uart.bus, LSR, 1) & DATA_READY
        assert await read(ctx, uart.bus, RBR, 1) == ord("h")

    simulate(uart, testbench)


def test_addresses_behind_the_eight_registers_are_refused() -> None:
    uart = Uart(clock_hz=SLOW)

    async def testbench(ctx: Any) -> None:
        for address in (8, 0x10, 0xF8):
            assert await refused(ctx, uart.bus, address, 1)
            assert await refused(ctx, uart.bus, address, 1, write=True)
        assert not await refused(ctx, uart.bus, 0, 8)

    simulate(uart, testbench)


def test_divisor_and_line_control_reach_the_line() -> None:
    uart = Uart(clock_hz=SLOW)

    async def testbench(ctx: Any) -> None:
        assert ctx.get(uart.divisor) == 12
        await write(ctx, uart.bus, LCR, DLAB, 1)
        await write(ctx, uart.bus, Registers.dll.offset, 0x34, 1)
        await write(ctx, uart.bus, Registers.dlm.offset, 0x12, 1)
        await write(ctx, uart.bus, LCR, 0x1B, 1)
        assert ctx.get(uart.divisor) == 0x1234
        assert ctx.get(uart.line_control.as_value()) == 0x1B
        await write(ctx, uart.bus, THR, 0x99, 1)
        assert ctx.get(uart.divisor) == 0x1234, "without DLAB the write goes to THR"

    simulate(uart, testbench)
