"""PCI Express: ECAM, configuration headers, BARs that size and move; the host bridge judged by QEMU's."""

import random
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from rtl import memory_map
from rtl.bus import register_bus
from rtl.periph.pcie.config_header import HOST_BRIDGE, Bar, ConfigHeader, Identity
from rtl.periph.pcie.ecam import Ecam
from rtl.periph.pcie.memory_windows import MemoryWindows
from rtl.registers.pci import Registers
from tests.rtl.periph.qemu_device import QemuDevices
from tests.rtl.periph.register_access import read, write
from tests.rtl.periph.simulate import simulate

NVME = Identity(
    vendor_id=0x1B36,
    device_id=0x0010,
    class_code=0x01_08_02,
    revision_id=2,
    interrupt_pin=1,
    bars={0: Bar(0x4000, wide=True), 2: Bar(0x1000, prefetchable=True), 5: Bar(16)},
    capabilities_pointer=0x40,
    express=True,
)
COMMAND, STATUS = Registers.command.offset, Registers.status.offset
SCRATCH = 0x40  # QEMU's bridge keeps bytes here on; ours has nothing behind the header


@pytest.mark.parametrize("seed", range(2))
def test_host_bridge_header_matches_qemu(seed: int) -> None:
    print(f"seed {seed}")
    rng = random.Random(seed)
    header = ConfigHeader(HOST_BRIDGE)
    base = memory_map.PCIE_ECAM.base

    with QemuDevices() as qemu:

        async def testbench(ctx: Any) -> None:
            for _ in range(120):
                size = rng.choice((1, 2, 4, 8))
                address = rng.randrange(0, SCRATCH, size)
                value = rng.choice((0, rng.getrandbits(8 * size), (1 << 8 * size) - 1))
                if rng.random() < 0.5:
                    qemu.write(base + address, value, size)
                    await write(ctx, header.bus, address, value, size)
                else:
                    ours, theirs = await read(ctx, header.bus, address, size), qemu.read(base + address, size)
                    assert ours == theirs, f"{size} bytes at {address:#x}: QEMU reads {theirs:#x}, we {ours:#x}"
            for address in range(0, SCRATCH, 4):
                assert await read(ctx, header.bus, address) == qemu.read(base + address, 4), f"{address:#x}"
            assert await read(ctx, header.bus, 0x100) == qemu.read(base + 0x100, 4) == 0xFFFF_FFFF

        simulate(header, testbench)


def test_bars_answer_with_their_size_and_lie_where_they_are_put() -> None:
    header = ConfigHeader(NVME)

    async def testbench(ctx: Any) -> None:
        sizes = {}
        for n in range(6):
            address = Registers.bar_0.offset + 4 * n
            await write(ctx, header.bus, address, 0xFFFF_FFFF)
            sizes[n] = await read(ctx, header.bus, address)
            await write(ctx, header.bus, address, 0)
        assert sizes == {0: 0xFFFF_C004, 1: 0xFFFF_FFFF, 2: 0xFFFF_F008, 3: 0, 4: 0, 5: 0xFFFF_FFF0}

        await write(ctx, header.bus, Registers.bar_0.offset, 0x5_1234_5678, 8)
        assert ctx.get(header.bar_0_base) == 0x5_1234_4000
        assert await read(ctx, header.bus, Registers.bar_0.offset, 8) == 0x5_1234_4004
        await write(ctx, header.bus, Registers.bar_2.offset + 2, 0x4567, 2)
        assert ctx.get(header.bar_2_base) == 0x4567_0000
        await write(ctx, header.bus, Registers.bar_2.offset + 1, 0xFF, 1)
        assert ctx.get(header.bar_2_base) == 0x4567_F000
        await write(ctx, header.bus, Registers.bar_5.offset, 0x4000_0010)
        assert ctx.get(header.bar_5_base) == 0x4000_0010

    simulate(header, testbench)


def test_intx_is_the_functions_wish_unless_disabled() -> None:
    header = ConfigHeader(NVME)
    interrupt_status = Registers.status.fields["interrupt_status"].mask

    async def testbench(ctx: Any) -> None:
        assert await read(ctx, header.bus, STATUS, 2) == Registers.status.pack(capabilities_list=1)
        ctx.set(header.interrupt, 1)
        assert ctx.get(header.intx)
        await write(ctx, header.bus, COMMAND, Registers.command.pack(interrupt_disable=1), 2)
        assert not ctx.get(header.intx)
        assert await read(ctx, header.bus, STATUS, 2) & interrupt_status, "it shows all the same"
        assert ctx.get(header.command.interrupt_disable)

    simulate(header, testbench)


def test_identity_is_read_only() -> None:
    header = ConfigHeader(NVME)

    async def testbench(ctx: Any) -> None:
        for address in (0x00, 0x08, 0x2C, 0x34):
            await write(ctx, header.bus, address, 0xFFFF_FFFF)
        assert await read(ctx, header.bus, 0) == 0x0010_1B36
        assert await read(ctx, header.bus, 0x08) == 0x0108_0202
        assert await read(ctx, header.bus, 0x34) == 0x40
        assert await read(ctx, header.bus, 0x3C) == 0x0100

    simulate(header, testbench)


def test_what_is_behind_the_header_goes_to_the_capabilities() -> None:
    header = ConfigHeader(NVME)

    async def capabilities(ctx: Any) -> None:
        port = header.capabilities
        while True:
            await ctx.tick()
            ctx.set(port.done, ctx.get(port.valid) and not ctx.get(port.done))
            ctx.set(port.read_data, ctx.get(port.address))

    async def testbench(ctx: Any) -> None:
        for address in (0x40, 0xF8, 0x100, 0xFF8):
            assert await read(ctx, header.bus, address) == address
        assert await read(ctx, header.bus, 0x38) == 0

    simulate(header, testbench, capabilities)


@pytest.mark.parametrize("express", [False, True])
def test_without_capabilities_there_is_nothing_behind_the_header(express: bool) -> None:
    header = ConfigHeader(Identity(vendor_id=1, device_id=2, class_code=3, express=express))

    async def testbench(ctx: Any) -> None:
        assert await read(ctx, header.bus, 0x40, 8) == 0
        assert await read(ctx, header.bus, 0x100) == (0 if express else 0xFFFF_FFFF)

    simulate(header, testbench)


@pytest.mark.parametrize(
    "bars",
    [{6: Bar(16)}, {5: Bar(16, wide=True)}, {0: Bar(16, wide=True), 1: Bar(16)}],
)
def test_bars_without_a_place_are_named(bars: dict[int, Bar]) -> None:
    with pytest.raises(ValueError, match="BAR"):
        Identity(vendor_id=1, device_id=1, class_code=0, bars=bars)


class EcamWithTwoFunctions(wiring.Component):
    """A bridge at 0.0 and another function at 2.0."""

    bus: In(register_bus.Signature(addr_width=28))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.ecam = ecam = Ecam(functions=[(0, 0), (2, 0)])
        m.submodules.bridge = bridge = ConfigHeader(HOST_BRIDGE)
        m.submodules.nvme = nvme = ConfigHeader(NVME)
        wiring.connect(m, wiring.flipped(self.bus), ecam.bus)
        wiring.connect(m, ecam.function_0_0, bridge.bus)
        wiring.connect(m, ecam.function_2_0, nvme.bus)
        return m


def test_a_scan_finds_exactly_the_functions_that_are_there() -> None:
    ecam = EcamWithTwoFunctions()

    async def testbench(ctx: Any) -> None:
        found = {}
        for bus in (0, 1, 255):
            for device in range(32):
                for function in (0, 1, 7):
                    ids = await read(ctx, ecam.bus, bus << 20 | device << 15 | function << 12)
                    if ids != 0xFFFF_FFFF:
                        found[bus, device, function] = ids
        assert found == {(0, 0, 0): 0x0008_1B36, (0, 2, 0): 0x0010_1B36}
        await write(ctx, ecam.bus, 3 << 15 | COMMAND, 0xFFFF, 2)
        assert await read(ctx, ecam.bus, 2 << 15 | COMMAND, 2) == 0
        await write(ctx, ecam.bus, 2 << 15 | COMMAND, 6, 2)
        assert await read(ctx, ecam.bus, 2 << 15 | COMMAND, 2) == 6
        assert await read(ctx, ecam.bus, COMMAND, 2) == 0

    simulate(ecam, testbench)


def test_accesses_reach_the_bar_that_lies_there_while_it_is_enabled() -> None:
    windows = MemoryWindows(bars={"nvme": 0x4000, "display": 0x100})
    low, high = memory_map.PCIE_MMIO.base, memory_map.PCIE_MMIO_HIGH.base
    seen = []

    def device(name: str) -> Any:
        port = getattr(windows, name)

        async def process(ctx: Any) -> None:
            stall = 0
            while True:
                await ctx.tick()
                ctx.set(port.done, 0)
                if ctx.get(port.valid):
                    stall += 1
                    ctx.set(port.read_data, ctx.get(port.address) << 8)
                    if stall == 3:
                        seen.append((name, ctx.get(port.address), ctx.get(port.write)))
                        ctx.set(port.done, 1)
                        stall = 0
                        await ctx.tick()
                        ctx.set(port.done, 0)

        return process

    async def testbench(ctx: Any) -> None:
        ctx.set(windows.nvme_base, high + 0x1_0000)
        ctx.set(windows.display_base, low + 0x8000)
        assert await read(ctx, windows.high, 0x1_0000) == 0xFFFF_FFFF, "not enabled"
        ctx.set(windows.nvme_enable, 1)
        ctx.set(windows.display_enable, 1)
        assert await read(ctx, windows.high, 0x1_3008, 8) == 0x3008 << 8
        assert await read(ctx, windows.low, 0x8010, 8) == 0x10 << 8
        await write(ctx, windows.low, 0x80F8, 1)
        assert await read(ctx, windows.low, 0x1_3008, 8) == (1 << 64) - 1, "the same offset in the other window"
        assert await read(ctx, windows.high, 0x1_4000) == 0xFFFF_FFFF
        ctx.set(windows.nvme_base, low)
        assert await read(ctx, windows.low, 0x8, 8) == 8 << 8, "a BAR that has moved"
        assert await read(ctx, windows.high, 0x1_0008, 8) == (1 << 64) - 1

    simulate(windows, testbench, device("nvme"), device("display"))
    assert seen == [("nvme", 0x3008, 0), ("display", 0x10, 0), ("display", 0xF8, 1), ("nvme", 8, 0)]
