# amaranth: UnusedElaboratable=no
"""The crossbar: routing, order, fairness, error answers, rate, and freedom from deadlock under random stalls."""

import random

import pytest
from amaranth.sim import Simulator

from rtl.bus.address_map import Window
from rtl.bus.crossbar import Crossbar, Manager
from tests.rtl.bus.axi_model import DECERR, OKAY, ManagerModel, Stalls, SubordinateModel, Transaction, add_checker

WINDOWS = [
    Window(0x8000_0000, 0x800_0000, "dram"),
    Window(0x0000_0000, 0x3000_0000, "peripherals"),
    Window(0x3000_0000, 0x1000_0000, "pcie"),
    Window(0x4000_0000, 0x4000_0000, "pcie"),
    Window(0x1_0000_0000, 0x1800, "sram"),
]
MANAGERS = [Manager("ibus", id_width=1, read_only=True), Manager("dbus", id_width=2), Manager("dma", id_width=1)]


def soc_crossbar() -> Crossbar:
    return Crossbar(managers=MANAGERS, windows=WINDOWS, addr_width=36)


def owner(address: int) -> str | None:
    return next((window.name for window in WINDOWS if window.base <= address < window.end), None)


def background(address: int) -> int:
    return (address * 0x9E3779B97F4A7C15) & (2**64 - 1)


def build(dut, *, rng=None, stall=0.0, latency=1):
    """A simulator with models on every port."""
    rng = rng or random.Random(0)
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    managers, subordinates = {}, {}
    for manager in MANAGERS:
        port = getattr(dut, manager.name)
        managers[manager.name] = model = ManagerModel(port, stalls=Stalls(rng, stall))
        model.add_to(simulator)
        add_checker(simulator, manager.name, port)
    for name in ("dram", "peripherals", "pcie", "sram"):
        port = getattr(dut, name)
        subordinates[name] = model = SubordinateModel(
            port, stalls=Stalls(rng, stall), latency=latency, background=background
        )
        model.add_to(simulator)
        add_checker(simulator, name, port)
    return simulator, managers, subordinates


@pytest.mark.parametrize("seed", range(3))
def test_random_traffic_reaches_its_owner_and_comes_back_in_order(seed):
    print(f"seed {seed}")
    rng = random.Random(seed)
    dut = soc_crossbar()
    simulator, managers, subordinates = build(dut, rng=rng, stall=rng.choice((0.0, 0.3, 0.7)))
    expected: dict[int, int] = {}

    async def testbench(ctx):
        issued = []
        for _ in range(60):
            manager = rng.choice(MANAGERS)
            window = rng.choice([*WINDOWS[:4], Window(0x1_0000_0000, 0x1000, "sram"), None])
            beats = rng.choice((1, 2, 8))
            base = rng.choice((0x1_0000_1800, 0x8_0000_0000, 0x8800_0000)) if window is None else window.base
            write = not manager.read_only and rng.random() < 0.5
            # each manager writes to its own 1 KiB, so that the result does not depend on the arbitration
            offset = rng.randrange(0, 0x300, 64) + 0x400 * MANAGERS.index(manager)
            transaction = Transaction(
                write=write, address=base + offset, beats=beats, ident=rng.randrange(1 << manager.id_width)
            )
            if write:
                transaction.data = [rng.getrandbits(64) for _ in range(beats)]
                transaction.strobes = [rng.getrandbits(8) for _ in range(beats)]
            issued.append(managers[manager.name].issue(transaction))
            if rng.random() < 0.1:
                await ctx.tick().repeat(rng.randint(1, 40))
        for model in managers.values():
            await model.drain(ctx)

        for transaction in issued:
            name = owner(transaction.address)
            responses = 1 if transaction.write else transaction.beats
            assert transaction.responses == [DECERR if name is None else OKAY] * responses
            if transaction.write and name is not None:
                for beat, (value, strobe) in enumerate(zip(transaction.data, transaction.strobes, strict=True)):
                    address = transaction.beat_address(beat)
                    mask = sum(0xFF << (8 * lane) for lane in range(8) if strobe >> lane & 1)
                    expected[address] = expected.get(address, background(address)) & ~mask | value & mask
        memory = {}
        for name, model in subordinates.items():
            for address, value in model.memory.items():
                assert owner(address) == name
                memory[address] = value
        written = {address for address, value in memory.items() if value != background(address)}
        assert {address: memory[address] for address in written} == {
            address: value for address, value in expected.items() if value != background(address)
        }
        for transaction in issued:
            if not transaction.write and owner(transaction.address) is not None:
                final = [expected.get(transaction.beat_address(beat)) for beat in range(transaction.beats)]
                for beat, value in enumerate(transaction.data):
                    if final[beat] is None:
                        assert value == background(transaction.beat_address(beat))

    simulator.add_testbench(testbench)
    simulator.run()


def test_four_line_reads_in_flight_take_one_cycle_a_beat():
    dut = soc_crossbar()
    simulator, managers, _ = build(dut, latency=1)

    async def testbench(ctx):
        lines = [
            managers["dbus"].issue(Transaction(write=False, address=0x8000_0000 + 64 * n, beats=8, ident=n))
            for n in range(4)
        ]
        await managers["dbus"].drain(ctx)
        assert [line.start_cycle - lines[0].start_cycle for line in lines] == [0, 1, 2, 3]
        assert [line.end_cycle - lines[0].start_cycle for line in lines] == [8, 16, 24, 32]
        for line in lines:
            assert line.data == [background(line.beat_address(beat)) for beat in range(8)]

    simulator.add_testbench(testbench)
    simulator.run()


def test_line_writes_take_one_cycle_a_beat():
    dut = soc_crossbar()
    simulator, managers, _ = build(dut, latency=1)

    async def testbench(ctx):
        lines = [
            managers["dbus"].issue(
                Transaction(write=True, address=0x8000_0000 + 64 * n, beats=8, data=list(range(8)), ident=n)
            )
            for n in range(4)
        ]
        await managers["dbus"].drain(ctx)
        assert [line.start_cycle - lines[0].start_cycle for line in lines] == [0, 8, 16, 24]
        assert lines[3].end_cycle - lines[0].start_cycle <= 33

    simulator.add_testbench(testbench)
    simulator.run()


def test_an_idle_path_adds_no_cycle():
    dut = soc_crossbar()
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)

    async def testbench(ctx):
        ctx.set(dut.dbus.ar.payload, {"addr": 0x8000_0040, "len": 7, "size": 3, "burst": 1, "id": 3})
        ctx.set(dut.dbus.ar.valid, 1)
        ctx.set(dut.dram.ar.ready, 1)
        assert ctx.get(dut.dram.ar.valid) and ctx.get(dut.dbus.ar.ready)
        assert ctx.get(dut.dram.ar.payload.addr) == 0x8000_0040
        ident = ctx.get(dut.dram.ar.payload.id)
        await ctx.tick()
        ctx.set(dut.dbus.ar.valid, 0)
        ctx.set(dut.dram.r.payload, {"id": ident, "data": 0x55, "last": 1})
        ctx.set(dut.dram.r.valid, 1)
        ctx.set(dut.dbus.r.ready, 1)
        assert ctx.get(dut.dbus.r.valid) and ctx.get(dut.dram.r.ready)
        assert ctx.get(dut.dbus.r.payload.id) == 3 and ctx.get(dut.dbus.r.payload.data) == 0x55
        assert not ctx.get(dut.ibus.r.valid) and not ctx.get(dut.dma.r.valid)

    simulator.add_testbench(testbench)
    simulator.run()


def test_a_full_subordinate_serves_every_manager_in_turn():
    dut = soc_crossbar()
    simulator, managers, subordinates = build(dut)

    async def testbench(ctx):
        for name in ("ibus", "dbus", "dma"):
            for n in range(8):
                managers[name].issue(Transaction(write=False, address=0x8000_0000 + 64 * n, beats=1))
                if name != "ibus":
                    managers[name].issue(Transaction(write=True, address=0x8000_0000 + 64 * n, beats=4, data=[1] * 4))
        for model in managers.values():
            await model.drain(ctx)
        shift = dut.subordinate_id_width - 2
        for write, count in ((False, 3), (True, 2)):
            order = [seen.ident >> shift for seen in subordinates["dram"].seen if seen.write == write]
            for position in range(0, len(order) - count, count):
                assert len(set(order[position : position + count])) == count, order

    simulator.add_testbench(testbench)
    simulator.run()


def test_a_manager_waits_before_it_changes_the_subordinate():
    """Same-identifier responses must come back in order although the second subordinate is faster (A5.3)."""
    dut = soc_crossbar()
    simulator, managers, subordinates = build(dut)
    subordinates["dram"].latency = 30

    async def testbench(ctx):
        slow = managers["dbus"].issue(Transaction(write=False, address=0x8000_0000, beats=8))
        fast = managers["dbus"].issue(Transaction(write=False, address=0x1000_0000))
        other = managers["ibus"].issue(Transaction(write=False, address=0x1000, beats=8))
        await managers["dbus"].drain(ctx)
        assert managers["dbus"].done == [slow, fast]
        assert fast.start_cycle >= slow.end_cycle
        assert other.end_cycle < slow.end_cycle

    simulator.add_testbench(testbench)
    simulator.run()


def test_a_stalled_subordinate_does_not_stop_the_others():
    dut = soc_crossbar()
    simulator, managers, subordinates = build(dut)
    subordinates["peripherals"].latency = 400

    async def testbench(ctx):
        stuck = [
            managers["dma"].issue(Transaction(write=False, address=0x1000_0000)),
            managers["dma"].issue(Transaction(write=True, address=0x1000_0000, data=[1])),
        ]
        for n in range(4):
            managers["dbus"].issue(Transaction(write=False, address=0x8000_0000 + 64 * n, beats=8))
            managers["dbus"].issue(Transaction(write=True, address=0x8000_1000 + 64 * n, beats=8, data=[0] * 8))
        await managers["dbus"].drain(ctx, limit=80)
        assert not stuck[0].responses and not stuck[1].responses

    simulator.add_testbench(testbench)
    simulator.run()


def test_data_that_is_taken_before_its_address_stays_with_it():
    """A subordinate may take write data first (A3.3.1); the grant stays until it has taken the address too."""
    dut = soc_crossbar()
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    add_checker(simulator, "dram", dut.dram)

    async def testbench(ctx):
        for port, address in ((dut.dbus, 0x8000_0000), (dut.dma, 0x8000_1000)):
            ctx.set(port.aw.payload, {"addr": address, "size": 3, "burst": 1})
            ctx.set(port.aw.valid, 1)
            ctx.set(port.w.payload, {"data": address, "strb": 0xFF, "last": 1})
            ctx.set(port.w.valid, 1)
        ctx.set(dut.dram.w.ready, 1)
        taken = []
        for cycle in range(12):
            ctx.set(dut.dram.aw.ready, cycle % 4 == 3)
            if ctx.get(dut.dram.aw.valid) and ctx.get(dut.dram.aw.ready):
                taken.append(("address", ctx.get(dut.dram.aw.payload.addr)))
            if ctx.get(dut.dram.w.valid):
                taken.append(("data", ctx.get(dut.dram.w.payload.data)))
            await ctx.tick()
        kinds = [kind for kind, _ in taken]
        assert kinds == ["data", "address"] * 3
        assert all(taken[n][1] == taken[n + 1][1] for n in range(0, 6, 2))
        assert taken[0][1] != taken[2][1]

    simulator.add_testbench(testbench)
    simulator.run()


def test_no_more_transactions_are_outstanding_than_were_configured():
    dut = Crossbar(
        managers=[Manager("cpu")], windows=[Window(0x8000_0000, 0x1000, "dram")], addr_width=36, outstanding=3
    )
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)

    async def testbench(ctx):
        ctx.set(dut.dram.ar.ready, 1)
        ctx.set(dut.cpu.ar.payload.addr, 0x8000_0000)
        ctx.set(dut.cpu.ar.valid, 1)
        ctx.set(dut.cpu.r.ready, 1)
        ctx.set(dut.dram.r.payload.last, 1)
        accepted = []
        for cycle in range(12):
            # one ends in cycles 6 and 8
            ctx.set(dut.dram.r.valid, cycle in (6, 8))
            accepted.append(ctx.get(dut.cpu.ar.ready))
            assert accepted[-1] == ctx.get(dut.dram.ar.valid)
            await ctx.tick()
        assert accepted == [1, 1, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0]

    simulator.add_testbench(testbench)
    simulator.run()


def test_a_manager_reaches_only_what_it_was_given():
    dut = Crossbar(
        managers=[Manager("cpu"), Manager("dma", reaches=("dram",))],
        windows=[Window(0x8000_0000, 0x1000_0000, "dram"), Window(0, 0x1000_0000, "peripherals")],
        addr_width=36,
    )
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    managers = {name: ManagerModel(getattr(dut, name)) for name in ("cpu", "dma")}
    subordinates = {name: SubordinateModel(getattr(dut, name)) for name in ("dram", "peripherals")}
    for model in [*managers.values(), *subordinates.values()]:
        model.add_to(simulator)

    async def testbench(ctx):
        for name, address, response in (
            ("cpu", 0x100, OKAY),
            ("dma", 0x100, DECERR),
            ("dma", 0x8000_0000, OKAY),
        ):
            read = await managers[name].run(ctx, Transaction(write=False, address=address, beats=4))
            write = await managers[name].run(ctx, Transaction(write=True, address=address, beats=4, data=[7] * 4))
            assert read.responses == [response] * 4 and write.responses == [response]

    simulator.add_testbench(testbench)
    simulator.run()


def test_what_is_in_no_window_goes_elsewhere_if_there_is_such_a_subordinate():
    dut = Crossbar(
        managers=[Manager("cpu"), Manager("dma", reaches=("dram",))],
        windows=[Window(0x8000_0000, 0x1000_0000, "dram")],
        elsewhere="bridge",
        addr_width=36,
    )
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    managers = {name: ManagerModel(getattr(dut, name)) for name in ("cpu", "dma")}
    subordinates = {name: SubordinateModel(getattr(dut, name), background=background) for name in ("dram", "bridge")}
    for model in [*managers.values(), *subordinates.values()]:
        model.add_to(simulator)

    async def testbench(ctx):
        for address in (0, 0x7FFF_FFC0, 0x8000_0000, 0x8FFF_FFC0, 0x9000_0000, 0xF_FFFF_FFC0):
            read = await managers["cpu"].run(ctx, Transaction(write=False, address=address, beats=8))
            assert read.responses == [OKAY] * 8
            name = "dram" if 0x8000_0000 <= address < 0x9000_0000 else "bridge"
            assert subordinates[name].seen[-1].address == address
            refused = await managers["dma"].run(ctx, Transaction(write=False, address=address, beats=8))
            assert refused.responses == [OKAY if name == "dram" else DECERR] * 8

    simulator.add_testbench(testbench)
    simulator.run()


def test_one_subordinate_for_the_whole_address_space_needs_no_error_subordinate():
    dut = Crossbar(
        managers=[Manager("first", id_width=2), Manager("second", id_width=1)],
        windows=[Window(0, 1 << 36, "shared")],
        addr_width=36,
    )
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    models = [ManagerModel(dut.first), ManagerModel(dut.second)]
    memory = SubordinateModel(dut.shared, background=background)
    for model in [*models, memory]:
        model.add_to(simulator)
    add_checker(simulator, "shared", dut.shared)

    async def testbench(ctx):
        for n in range(4):
            for number, model in enumerate(models):
                address = 0x1000 * number + 64 * n
                model.issue(Transaction(write=True, address=address, beats=2, data=[n, number]))
                model.issue(Transaction(write=False, address=0xF_FFFF_F000 + 64 * n, beats=2))
        for model in models:
            await model.drain(ctx)
            for done in model.done:
                assert set(done.responses) == {OKAY}
        assert memory.read(0x1000 + 64 * 3) == 3 and memory.read(0x1008) == 1

    simulator.add_testbench(testbench)
    simulator.run()


@pytest.mark.parametrize(
    "windows, message",
    [
        ([], "at least one window"),
        ([Window(0, 0x1000, "a"), Window(0x800, 0x1000, "b")], "overlap at 0x800"),
        ([Window(0, 1 << 37, "a")], "beyond 36 address bits"),
        ([Window(0, 0x1000, "cpu")], "port names must differ"),
    ],
)
def test_bad_windows_are_refused(windows, message):
    with pytest.raises(ValueError, match=message):
        Crossbar(managers=[Manager("cpu")], windows=windows, addr_width=36)
