# amaranth: UnusedElaboratable=no
"""The copy engine, two of them, through the arbiter and the DMA port: what devices do to memory and cache, together."""

import random

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from rtl.bus import axi4, register_bus
from rtl.bus.address_map import Window
from rtl.bus.copy_engine import CopyEngine
from rtl.bus.crossbar import Crossbar, Manager
from rtl.bus.dma import DmaPort
from rtl.cpu_riscv64.config import CoreConfig
from rtl.cpu_riscv64.interfaces import ProbeSignature
from rtl.registers.copy_engine import Registers
from tests.rtl.bus.axi_model import DECERR, OKAY, Stalls, SubordinateModel, add_checker
from tests.rtl.bus.test_dma import CacheModel, background

CONFIG = CoreConfig()


class TwoDevices(wiring.Component):
    """Two copy engines share a DMA port."""

    first: In(register_bus.Signature(addr_width=12))
    second: In(register_bus.Signature(addr_width=12))
    bus: Out(axi4.Signature(addr_width=36, id_width=1))
    probe: Out(ProbeSignature(CONFIG))

    def elaborate(self, platform):
        m = Module()
        m.submodules.arbiter = arbiter = Crossbar(
            managers=[Manager("first"), Manager("second")], windows=[Window(0, 1 << 36, "port")], addr_width=36
        )
        m.submodules.port = port = DmaPort(config=CONFIG, id_width=arbiter.subordinate_id_width)
        m.submodules.first = first = CopyEngine(addr_width=36)
        m.submodules.second = second = CopyEngine(addr_width=36, burst_bytes=2048)
        wiring.connect(m, wiring.flipped(self.first), first.registers)
        wiring.connect(m, wiring.flipped(self.second), second.registers)
        wiring.connect(m, first.bus, arbiter.first)
        wiring.connect(m, second.bus, arbiter.second)
        wiring.connect(m, arbiter.port, port.device)
        wiring.connect(m, port.bus, wiring.flipped(self.bus))
        wiring.connect(m, port.probe, wiring.flipped(self.probe))
        self.interrupts = [first.interrupt, second.interrupt]
        self.inner = {"first": first.bus, "second": second.bus, "port": port.device}
        return m


async def access(ctx, port, register, value: int | None = None) -> int:
    """Writes `value` to a register, or reads it."""
    lane = register.offset % 8
    ctx.set(port.address, register.offset & -8)
    ctx.set(port.mask, ((1 << register.bytes) - 1) << lane)
    ctx.set(port.write, value is not None)
    ctx.set(port.write_data, (value or 0) << (8 * lane))
    ctx.set(port.valid, 1)
    done = False
    while not done:
        *_, done, data, error = await ctx.tick().sample(port.done, port.read_data, port.error)
    ctx.set(port.valid, 0)
    assert not error
    return data >> (8 * lane) & ((1 << register.width) - 1)


async def copy(ctx, port, source: int, destination: int, length: int) -> int:
    """Runs a copy; returns the status at its end, after clearing it."""
    await access(ctx, port, Registers.source, source)
    await access(ctx, port, Registers.destination, destination)
    await access(ctx, port, Registers.length, length)
    await access(ctx, port, Registers.command, Registers.command.pack(start=1))
    for _ in range(2000):
        status = await access(ctx, port, Registers.status)
        if Registers.status.unpack(status)["done"]:
            await access(ctx, port, Registers.status, status)
            return status
        await ctx.tick()
    raise AssertionError("the copy does not end")


def read_bytes(cache: CacheModel, address: int, length: int) -> bytes:
    words = b"".join(
        cache.load(word).to_bytes(8, "little") for word in range(address & -8, (address + length + 7) & -8, 8)
    )
    return words[address % 8 : address % 8 + length]


def build(rng, stall=0.0, slow=0.0, respond=lambda address: OKAY):
    dut = TwoDevices()
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    memory = SubordinateModel(dut.bus, stalls=Stalls(rng, stall), latency=8, background=background, respond=respond)
    cache = CacheModel(dut, memory, rng, slow)
    memory.add_to(simulator)
    simulator.add_testbench(cache.run, background=True)
    add_checker(simulator, "bus", dut.bus)
    for name, port in dut.inner.items():
        add_checker(simulator, name, port)
    return simulator, dut, cache


@pytest.mark.parametrize("seed", range(2))
def test_two_devices_copy_what_the_processor_wrote(seed):
    print(f"seed {seed}")
    rng = random.Random(seed)
    simulator, dut, cache = build(rng, stall=rng.choice((0, 0.3)), slow=0.3)
    lengths = [0, 1, 7, 63, 64, 300, rng.randrange(600)]

    def device(port, base):
        async def run(ctx):
            for _ in range(6):
                length = rng.choice(lengths)
                # page boundaries lie in the middle of both
                source = base + 0xE00 + rng.randrange(0x400)
                destination = base + 0x4E00 + rng.randrange(0x80) * 8 + source % 8
                for _ in range(8):
                    cache_address = base + 0xE00 + 8 * rng.randrange(0x100) + rng.choice((0, 0x4000))
                    if cache_address & -64 != cache.held:
                        cache.store(cache_address, rng.getrandbits(64))
                before = read_bytes(cache, destination - 16, 16), read_bytes(cache, destination + length, 16)
                expected = read_bytes(cache, source, length)
                status = await copy(ctx, port, source, destination, length)
                assert Registers.status.unpack(status) == {"busy": 0, "done": 1, "error": 0}
                assert read_bytes(cache, destination, length) == expected
                after = read_bytes(cache, destination - 16, 16), read_bytes(cache, destination + length, 16)
                assert before == after

        return run

    simulator.add_testbench(device(dut.first, 0x8000_0000))
    simulator.add_testbench(device(dut.second, 0x8001_0000))
    simulator.run()


def test_refusals_and_bus_errors_are_reported_and_the_interrupt_follows_done():
    def respond(address: int) -> int:
        return DECERR if address < 0x8000_0000 else OKAY

    simulator, dut, cache = build(random.Random(0), respond=respond)

    async def testbench(ctx):
        for source, destination, error in (
            (0x8000_0001, 0x8000_1000, 1),
            (0x1000, 0x8000_1000, 1),
            (0x8000_1000, 0x1000, 1),
            (0x8000_1000, 0x8000_2000, 0),
        ):
            status = await copy(ctx, dut.first, source, destination, 100)
            assert Registers.status.unpack(status)["error"] == error
        await access(ctx, dut.first, Registers.interrupt, 1)
        assert not ctx.get(dut.interrupts[0])
        await access(ctx, dut.first, Registers.length, 0)
        await access(ctx, dut.first, Registers.command, 1)
        await ctx.tick().repeat(3)
        assert ctx.get(dut.interrupts[0]) and not ctx.get(dut.interrupts[1])
        await access(ctx, dut.first, Registers.status, 2)
        await ctx.tick()
        assert not ctx.get(dut.interrupts[0])

    simulator.add_testbench(testbench)
    simulator.run()
