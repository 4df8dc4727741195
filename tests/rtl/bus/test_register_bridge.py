# amaranth: UnusedElaboratable=no
"""The register bridge: which accesses reach which device, what comes back, and when it refuses."""

import random

import pytest
from amaranth.sim import Simulator

from rtl.bus import axi4
from rtl.bus.address_map import Window
from rtl.bus.register_bridge import RegisterBridge
from tests.rtl.bus.axi_model import (
    DECERR,
    OKAY,
    SLVERR,
    ManagerModel,
    Stalls,
    Transaction,
    add_checker,
    random_burst,
)

DEVICES = [
    Window(0x1000, 0xF000, "boot_rom"),
    Window(0x10_0000, 0x1000, "finisher"),
    Window(0x1000_0000, 0x8, "uart"),
    Window(0xC00_0000, 0x60_0000, "plic"),
]


class DeviceModel:
    """A register-bus device that answers after 0 or more cycles, and keeps a list of what it was asked."""

    def __init__(self, port, rng: random.Random, slow: float, refuses=lambda address: False):
        self.port, self.rng, self.slow, self.refuses = port, rng, slow, refuses
        self.seen: list[tuple[bool, int, int, int]] = []  # write, address, mask, data

    @staticmethod
    def contents(address: int) -> int:
        return (address + 1) * 0x9E3779B97F4A7C15 & (2**64 - 1)

    async def run(self, ctx) -> None:
        port = self.port
        while True:
            # junk while no access is over, to show that it does not count
            ctx.set(port.done, 0)
            ctx.set(port.read_data, self.rng.getrandbits(64))
            ctx.set(port.error, 1)
            if not ctx.get(port.valid):
                *_, valid = await ctx.tick().sample(port.valid)
                if not ctx.get(port.valid):
                    continue
            before = self.request(ctx)
            while self.rng.random() < self.slow:
                await ctx.tick()
                assert ctx.get(port.valid) and self.request(ctx) == before, "the request changed before done"
            write, address, _, _ = before
            ctx.set(port.done, 1)
            ctx.set(port.read_data, self.contents(address) if not write else self.rng.getrandbits(64))
            ctx.set(port.error, self.refuses(address))
            self.seen.append(before)
            await ctx.tick()

    def request(self, ctx) -> tuple[bool, int, int, int]:
        port = self.port
        return bool(ctx.get(port.write)), ctx.get(port.address), ctx.get(port.mask), ctx.get(port.write_data)


def build(rng: random.Random, stall: float = 0.0, slow: float = 0.0, refuses=lambda address: False):
    dut = RegisterBridge(devices=DEVICES, addr_width=36, id_width=4)
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    manager = ManagerModel(dut.bus, stalls=Stalls(rng, stall))
    manager.add_to(simulator)
    add_checker(simulator, "bus", dut.bus)
    devices = {device.name: DeviceModel(getattr(dut, device.name), rng, slow, refuses) for device in DEVICES}
    for device in devices.values():
        simulator.add_testbench(device.run, background=True)
    return simulator, manager, devices


def device_at(address: int) -> tuple[str | None, int]:
    for device in DEVICES:
        if device.base <= address < device.end:
            return device.name, address - device.base
    return None, 0


@pytest.mark.parametrize("seed", range(3))
def test_every_beat_becomes_the_right_access_or_the_right_error(seed):
    print(f"seed {seed}")
    rng = random.Random(seed)

    def refuses(address: int) -> bool:
        return address & 0x70 == 0x70

    simulator, manager, devices = build(rng, stall=rng.choice((0, 0.4)), slow=rng.choice((0, 0.6)), refuses=refuses)
    expected = {name: [] for name in devices}

    async def testbench(ctx):
        for _ in range(60):
            low, high = rng.choice(
                (
                    (0x1000, 0x1200),
                    (0x0, 0x1100),
                    (0xFF80, 0x10080),
                    (0x0FFF_FFE0, 0x1000_0020),
                    (0xC5F_FF80, 0xC60_0080),
                )
            )
            address, beats, size = random_burst(rng, low, high, longest=12)
            transaction = Transaction(
                write=rng.random() < 0.5,
                address=address,
                beats=beats,
                size=size,
                ident=rng.randrange(16),
                burst=rng.choice((axi4.Burst.FIXED, axi4.Burst.INCR)),
            )
            if beats in (2, 4, 8) and rng.random() < 0.3:
                transaction.burst = axi4.Burst.WRAP
                transaction.address &= -(1 << size)
            if transaction.write:
                transaction.data = [rng.getrandbits(64) for _ in range(beats)]
                transaction.strobes = [
                    rng.choice((0, 0xFF, rng.getrandbits(8))) & transaction.lanes(beat) for beat in range(beats)
                ]
            await manager.run(ctx, transaction)

            responses = []
            for beat in range(beats):
                name, offset = device_at(transaction.beat_address(beat))
                mask = transaction.strobes[beat] if transaction.write else transaction.lanes(beat)
                response = DECERR if name is None else SLVERR if refuses(offset) else OKAY
                if transaction.write and mask == 0:
                    responses.append(OKAY)
                    continue
                responses.append(response)
                if name is not None:
                    data = transaction.data[beat]
                    expected[name].append((transaction.write, offset & -8, mask, data if transaction.write else None))
                    if not transaction.write:
                        assert data == DeviceModel.contents(offset & -8)
            if transaction.write:
                responses = [next((response for response in responses if response != OKAY), OKAY)]
            assert transaction.responses == responses

        for name, device in devices.items():
            seen = [(write, address, mask, data if write else None) for write, address, mask, data in device.seen]
            assert seen == expected[name]

    simulator.add_testbench(testbench)
    simulator.run()


def test_an_access_takes_three_cycles_with_a_device_that_answers_at_once():
    simulator, manager, _ = build(random.Random(0))

    async def testbench(ctx):
        read = await manager.run(ctx, Transaction(write=False, address=0x10_0000))
        line = await manager.run(ctx, Transaction(write=False, address=0x1000, beats=8))
        write = await manager.run(ctx, Transaction(write=True, address=0x10_0000, data=[0x5555]))
        assert read.end_cycle - read.start_cycle == 3
        assert line.end_cycle - line.start_cycle == 24
        assert write.end_cycle - write.start_cycle == 3

    simulator.add_testbench(testbench)
    simulator.run()


def test_reads_and_writes_take_turns():
    simulator, manager, devices = build(random.Random(0))

    async def testbench(ctx):
        for n in range(8):
            manager.issue(Transaction(write=False, address=0x10_0000 + 8 * n))
            manager.issue(Transaction(write=True, address=0x10_0000 + 8 * n, data=[n]))
        await manager.drain(ctx)
        kinds = [write for write, *_ in devices["finisher"].seen]
        assert kinds[1:-1:2] == [kinds[1]] * 7 and kinds[0::2] == [kinds[0]] * 8 and kinds[0] != kinds[1]

    simulator.add_testbench(testbench)
    simulator.run()


def test_a_device_needs_a_name_and_a_window_of_its_own():
    for devices in ([Window(0, 8, "a"), Window(8, 8, "a")], [Window(0, 8, "bus")], []):
        with pytest.raises(ValueError):
            RegisterBridge(devices=devices, addr_width=36, id_width=4)
