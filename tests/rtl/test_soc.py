"""The SoC by its buses: a stub stands where the core is, and its data bus reaches everything as on QEMU's `virt`."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from amaranth.sim import Simulator

from rtl import memory_map
from rtl.cpu_riscv64.config import CoreConfig
from rtl.memory_map import Interrupt
from rtl.periph.boot_rom import reset_vector
from rtl.registers import clint, goldfish_rtc, ns16550, plic
from rtl.registers.sifive_test import Command
from rtl.soc import Soc, SocConfig
from tests.rtl.bus.axi_model import DECERR, OKAY, SLVERR, ManagerModel, Stalls, SubordinateModel, Transaction
from tests.rtl.stub_core import StubCore

ONES = (1 << 64) - 1


class Bench:
    """A SoC with a model of the core's buses, of DRAM, and of a device behind the DMA port if there is one."""

    def __init__(self, config: SocConfig | None = None, seed: int = 0):
        print(f"seed {seed}")
        config = config or SocConfig()
        self.core = StubCore(config.core)
        self.soc = Soc(config, core=self.core)
        rng = random.Random(seed)
        self.dbus = ManagerModel(self.core.dbus, stalls=Stalls(rng, 0.3))
        self.ibus = ManagerModel(self.core.ibus, stalls=Stalls(rng, 0.3))
        self.dram = SubordinateModel(self.soc.dram, stalls=Stalls(rng, 0.3), background=lambda address: address * 3)
        self.dma = ManagerModel(self.soc.dma, stalls=Stalls(rng, 0.3)) if config.dma else None

    def run(self, testbench: Callable[..., Any], *background: Callable[..., Any]) -> None:
        simulator = Simulator(self.soc)
        simulator.add_clock(1e-6)
        for model in (self.dbus, self.ibus, self.dram, self.dma):
            if model is not None:
                model.add_to(simulator)
        for process in background:
            simulator.add_testbench(process, background=True)
        simulator.add_testbench(testbench)
        simulator.run()

    async def read(self, ctx: Any, address: int, size: int = 4) -> int | str:
        """The value, or the error's name."""
        transaction = Transaction(write=False, address=address, size=size.bit_length() - 1)
        await self.dbus.run(ctx, transaction)
        if transaction.responses != [OKAY]:
            return {SLVERR: "SLVERR", DECERR: "DECERR"}[transaction.responses[0]]
        return transaction.data[0] >> 8 * (address % 8) & ((1 << 8 * size) - 1)

    async def write(self, ctx: Any, address: int, value: int, size: int = 4) -> str | None:
        data = [value << 8 * (address % 8)]
        transaction = Transaction(write=True, address=address, size=size.bit_length() - 1, data=data)
        await self.dbus.run(ctx, transaction)
        return {OKAY: None, SLVERR: "SLVERR", DECERR: "DECERR"}[transaction.responses[0]]


def reg(region: memory_map.Region, register: Any, *index: int) -> int:
    return region.base + register.address(*index)


# What QEMU 7.2 does with loads from M-mode: value, or an access fault.
READS = [
    (0x0, 4, "DECERR"),
    (0x1000, 4, 0x297),
    (0x1020, 8, 0),
    (0xFFFC, 4, 0),
    (0x1_0000, 4, "DECERR"),
    (0x10_0000, 4, 0),
    (0x10_0000, 2, 0),
    (0x10_0000, 1, "SLVERR"),
    (0x10_0000, 8, "SLVERR"),
    (0x10_0FFC, 4, 0),
    (0x10_1008, 4, 0),
    (0x10_1008, 8, 0),
    (0x10_1008, 2, "SLVERR"),
    (0x10_1020, 4, 0),
    (0x10_1024, 4, "SLVERR"),
    (0x10_1020, 8, "SLVERR"),
    (0x200_0000, 4, 0),
    (0x200_0000, 8, "SLVERR"),
    (0x200_0000, 1, "SLVERR"),
    (0x200_3FFC, 4, 0),
    (0x200_4000, 8, 0),
    (0x200_4004, 4, 0),
    (0x200_4000, 2, "SLVERR"),
    (0x200_7FF8, 8, 0),
    (0x200_C000, 4, "SLVERR"),
    (0x300_0000, 4, 0xFFFF_FFFF),
    (0x400_0000, 4, "DECERR"),
    (0xC00_0000, 4, 0),
    (0xC00_0000, 8, "SLVERR"),
    (0xC5F_FFFC, 4, 0),
    (0xC60_0000, 4, "DECERR"),
    (0x1000_0004, 4, 0x08),
    (0x1000_0005, 1, 0x60),
    (0x1000_0006, 2, 0xB0),
    (0x1000_0008, 1, "SLVERR"),
    (0x1000_9000, 4, "DECERR"),
    (0x2000_0000, 8, 0),
    (0x23FF_FFF8, 8, 0),
    (0x2400_0000, 4, "DECERR"),
    (0x3000_0000, 4, 0x0008_1B36),
    (0x3000_0000, 2, 0x1B36),
    (0x3000_0000, 8, 0x0008_1B36),
    (0x3000_0008, 8, 0x0600_0000),
    (0x3000_002C, 4, 0x1100_1AF4),
    (0x3000_0100, 4, 0xFFFF_FFFF),
    (0x3000_1000, 4, 0xFFFF_FFFF),
    (0x3000_8000, 2, 0xFFFF),
    (0x3010_0000, 8, ONES),
    (0x3FFF_FFF8, 8, ONES),
    (0x4000_0000, 4, 0xFFFF_FFFF),
    (0x7FFF_FFF8, 8, ONES),
    (0x4_0000_0000, 8, ONES),
    (0x7_FFFF_FFFF, 1, 0xFF),
    (0x8_0000_0000, 4, "DECERR"),
]

WRITES = [
    (0x1000, 4, None),
    (0x10_0004, 4, None),
    (0x10_0000, 1, "SLVERR"),
    (0x200_0000, 8, "SLVERR"),
    (0x200_C000, 4, "SLVERR"),
    (0x300_0000, 1, None),
    (0x400_0000, 4, "DECERR"),
    (0xC00_0000, 1, "SLVERR"),
    (0xC00_0000, 4, None),
    (0x1000_0008, 1, "SLVERR"),
    (0x3000_0000, 4, None),
    (0x3000_8000, 8, None),
    (0x4000_0000, 8, None),
    (0x4_0000_0000, 8, None),
    (0x8_0000_0000, 8, "DECERR"),
]


def test_every_part_of_the_map_answers_or_refuses_as_on_qemu() -> None:
    bench = Bench()

    async def testbench(ctx: Any) -> None:
        for address, size, expected in READS:
            assert await bench.read(ctx, address, size) == expected, f"read of {size} at {address:#x}"
        for address, size, expected in WRITES:
            assert await bench.write(ctx, address, 0, size) == expected, f"write of {size} at {address:#x}"
        assert await bench.read(ctx, 0x1000) == 0x297, "the boot ROM ignores writes"

    bench.run(testbench)


def test_the_core_fetches_the_reset_vector_by_lines() -> None:
    bench = Bench()
    contents = reset_vector().ljust(128, b"\0")

    async def testbench(ctx: Any) -> None:
        for line in (0, 64):
            transaction = await bench.ibus.run(ctx, Transaction(write=False, address=0x1000 + line, beats=8))
            assert transaction.responses == [OKAY] * 8
            assert b"".join(beat.to_bytes(8, "little") for beat in transaction.data) == contents[line : line + 64]

    bench.run(testbench)


def test_dram_is_reached_from_both_buses() -> None:
    bench = Bench()

    async def testbench(ctx: Any) -> None:
        values = [n * 0x1111 for n in range(8)]
        for address in (0x8000_0000, 0x3_FFFF_FFC0):
            await bench.dbus.run(ctx, Transaction(write=True, address=address, beats=8, data=list(values)))
            for bus in (bench.dbus, bench.ibus):
                assert (await bus.run(ctx, Transaction(write=False, address=address, beats=8))).data == values
        assert (await bench.ibus.run(ctx, Transaction(write=False, address=0x8000_1000))).data == [0x8000_1000 * 3]

    bench.run(testbench)


def test_dma_asks_the_core_about_each_line_and_shares_dram_with_it() -> None:
    bench = Bench(SocConfig(dma=True))
    probed = []

    async def cache(ctx: Any) -> None:
        probe = bench.core.probe
        while True:
            *_, valid, address = await ctx.tick().sample(probe.valid, probe.address)
            if valid:
                probed.append(address)
                ctx.set(probe.done, 1)
                await ctx.tick()
                ctx.set(probe.done, 0)

    async def testbench(ctx: Any) -> None:
        assert bench.dma is not None
        data = [n * 0x0101 for n in range(16)]
        await bench.dma.run(ctx, Transaction(write=True, address=0x8000_2000, beats=16, data=list(data)))
        read = await bench.dma.run(ctx, Transaction(write=False, address=0x8000_2000, beats=16))
        assert read.data == data and read.responses == [OKAY] * 16
        assert (await bench.dbus.run(ctx, Transaction(write=False, address=0x8000_2000, beats=8))).data == data[:8]
        assert set(probed) == {0x8000_2000, 0x8000_2040}

    bench.run(testbench, cache)


@pytest.mark.parametrize("options", [{}, {"dma": True}, {"core": CoreConfig(rvfi=True)}, {"clock_hz": 50_000_000}])
def test_every_configuration_is_a_netlist_without_a_warning(options: dict[str, Any]) -> None:
    import warnings

    from amaranth.back import rtlil

    config = SocConfig(**options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = rtlil.convert(Soc(config, core=StubCore(config.core)))
    assert "memory width 64 size 512 \\rom" in text, "the simulation finds the boot ROM by this name"
    for name in ("dma__ar__valid", "rvfi__valid"):
        assert (f"\\{name}" in text) == bool(options.get("dma") if name.startswith("dma") else config.core.rvfi)


def test_interrupts_reach_the_core_through_the_plic() -> None:
    bench = Bench()
    soc, core = bench.soc, bench.core

    async def testbench(ctx: Any) -> None:
        lines = {Interrupt(Interrupt.VIRTIO_0 + n): (soc.virtio_interrupts, n) for n in range(8)}
        lines |= {Interrupt(Interrupt.PCI_A + n): (soc.pci_interrupts, n) for n in range(4)}
        for word in range(plic.WORDS):
            await bench.write(ctx, reg(memory_map.PLIC, plic.Registers.enable, 1, word), 0xFFFF_FFFF)
        for source, (port, bit) in lines.items():
            await bench.write(ctx, reg(memory_map.PLIC, plic.Registers.priority, source - 1), 1)
            ctx.set(port, 1 << bit)
            await ctx.tick().repeat(30)
            assert ctx.get(core.external_interrupt_s), source.name
            assert not ctx.get(core.external_interrupt_m)
            ctx.set(port, 0)
            claim = reg(memory_map.PLIC, plic.Registers.claim, 1)
            assert await bench.read(ctx, claim) == source
            assert not ctx.get(core.external_interrupt_s), source.name
            await bench.write(ctx, claim, source)

        # The devices inside, to M-mode.
        uart, rtc = ns16550.Registers, goldfish_rtc.Registers
        for source in (Interrupt.UART, Interrupt.RTC):
            await bench.write(ctx, reg(memory_map.PLIC, plic.Registers.priority, source - 1), 7)
        await bench.write(ctx, reg(memory_map.PLIC, plic.Registers.enable, 0, 0), 0xFFFF_FFFF)
        claim = reg(memory_map.PLIC, plic.Registers.claim, 0)
        await bench.write(ctx, reg(memory_map.UART, uart.ier), 2, 1)
        assert await bench.read(ctx, claim) == Interrupt.UART
        await bench.write(ctx, reg(memory_map.RTC, rtc.irq_enabled), 1)
        await bench.write(ctx, reg(memory_map.RTC, rtc.alarm_low), 0)
        assert await bench.read(ctx, claim) == Interrupt.RTC

    bench.run(testbench)


def test_timer_and_software_interrupts_reach_the_core() -> None:
    bench = Bench()
    core = bench.core

    async def testbench(ctx: Any) -> None:
        assert not ctx.get(core.timer_interrupt)
        now = await bench.read(ctx, reg(memory_map.CLINT, clint.Registers.mtime), 8)
        await bench.write(ctx, reg(memory_map.CLINT, clint.Registers.mtimecmp, 0), now + 2000, 8)
        while ctx.get(core.time) < now + 2000:
            assert not ctx.get(core.timer_interrupt)
            await ctx.tick()
        await ctx.tick()
        assert ctx.get(core.timer_interrupt)
        assert ctx.get(bench.soc.mtime) == ctx.get(core.time)
        msip = reg(memory_map.CLINT, clint.Registers.msip, 0)
        await bench.write(ctx, msip, 1)
        assert ctx.get(core.software_interrupt)
        await bench.write(ctx, msip, 0)
        assert not ctx.get(core.software_interrupt)

    bench.run(testbench)


def test_console_bytes_and_the_finisher_leave_the_soc() -> None:
    bench = Bench()
    soc = bench.soc

    async def testbench(ctx: Any) -> None:
        ctx.set(soc.uart_rx.payload, ord("?"))
        ctx.set(soc.uart_rx.valid, 1)
        await ctx.tick().repeat(10)
        await bench.read(ctx, reg(memory_map.UART, ns16550.Registers.lsr), 1)  # from now on the UART takes bytes
        ctx.set(soc.uart_rx.valid, 0)
        assert await bench.read(ctx, memory_map.UART.base, 1) == ord("?")
        await bench.write(ctx, memory_map.UART.base, ord("!"), 1)
        assert ctx.get(soc.uart_tx.valid) and ctx.get(soc.uart_tx.payload) == ord("!")
        bench.dbus.issue(
            Transaction(write=True, address=memory_map.FINISHER.base, size=2, data=[7 << 16 | Command.FAIL])
        )
        while not ctx.get(soc.finish.valid):
            await ctx.tick()
        assert (ctx.get(soc.finish.code), ctx.get(soc.finish.reset)) == (7, 0)

    bench.run(testbench)


def test_the_rtc_starts_from_the_time_outside() -> None:
    bench = Bench()
    start = 1_700_000_000 * 10**9

    async def testbench(ctx: Any) -> None:
        ctx.set(bench.soc.rtc_time, start)
        low = await bench.read(ctx, reg(memory_map.RTC, goldfish_rtc.Registers.time_low))
        high = await bench.read(ctx, reg(memory_map.RTC, goldfish_rtc.Registers.time_high))
        assert start <= (high << 32 | low) < start + 10**6

    bench.run(testbench)


def test_ram_end_reaches_the_core() -> None:
    bench = Bench()

    async def testbench(ctx: Any) -> None:
        ctx.set(bench.soc.ram_end, 0x9000_0000)
        assert ctx.get(bench.core.ram_end) == 0x9000_0000

    bench.run(testbench)


@pytest.mark.parametrize(("name", "value"), [("clock_hz", 0), ("ram_bytes", 1000), ("ram_bytes", 1 << 40)])
def test_impossible_options_are_named(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=name):
        SocConfig(**{name: value})


def test_configurations_are_hashable_and_compare() -> None:
    assert SocConfig() == SocConfig()
    assert hash(SocConfig(clock_hz=2_000_000)) != hash(SocConfig())
