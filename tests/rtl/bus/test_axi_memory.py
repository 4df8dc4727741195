# amaranth: UnusedElaboratable=no
"""AxiMemory against a dictionary: every burst type, narrow and unaligned beats, both directions, exact rates."""

import random

import pytest
from amaranth.sim import Simulator

from rtl.bus import axi4
from rtl.bus.memory import AxiMemory
from tests.rtl.bus.axi_model import ManagerModel, Stalls, SubordinateModel, Transaction, add_checker, random_burst

SIZE = 0x2000


def build(rng: random.Random, stall: float, read_latency: int, init=()):
    dut = AxiMemory(size=SIZE, addr_width=20, id_width=3, read_latency=read_latency, init=init)
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    manager = ManagerModel(dut.bus, stalls=Stalls(rng, stall))
    manager.add_to(simulator)
    add_checker(simulator, "bus", dut.bus)
    return simulator, manager, dut


@pytest.mark.parametrize("seed, read_latency", [(0, 2), (1, 3), (2, 9)])
def test_memory_keeps_what_is_written(seed, read_latency):
    print(f"seed {seed}")
    rng = random.Random(seed)
    init = [rng.getrandbits(64) for _ in range(SIZE // 8)]
    simulator, manager, dut = build(rng, rng.choice((0.0, 0.4)), read_latency, init)
    model = SubordinateModel(dut.bus, background=lambda address: init[address // 8])

    async def testbench(ctx):
        for _ in range(40):
            # writes in the lower page and reads in the upper one at the same time, or the other way round
            swap = rng.choice((0, 0x1000))
            batch = []
            for _ in range(rng.randint(1, 6)):
                address, beats, size = random_burst(rng, 0, 0x100, longest=20)
                write = rng.random() < 0.5
                transaction = Transaction(
                    write=write,
                    address=address + (swap if write else 0x1000 - swap),
                    beats=beats,
                    size=size,
                    ident=rng.randrange(8),
                    burst=rng.choice((axi4.Burst.INCR, axi4.Burst.INCR, axi4.Burst.FIXED)),
                )
                if beats in (2, 4, 8, 16) and rng.random() < 0.3:
                    transaction.burst = axi4.Burst.WRAP
                    transaction.address &= -(1 << size)
                if write:
                    transaction.data = [rng.getrandbits(64) for _ in range(beats)]
                    transaction.strobes = [
                        rng.choice((0xFF, rng.getrandbits(8))) & transaction.lanes(beat) for beat in range(beats)
                    ]
                batch.append(manager.issue(transaction))
            await manager.drain(ctx)
            for transaction in batch:
                for beat in range(transaction.beats):
                    address = transaction.beat_address(beat)
                    if transaction.write:
                        model.write(address, transaction.data[beat], transaction.strobes[beat])
                    else:
                        assert transaction.data[beat] == model.read(address), transaction
                assert set(transaction.responses) == {0}

    simulator.add_testbench(testbench)
    simulator.run()


@pytest.mark.parametrize("read_latency", [2, 3, 20])
def test_line_reads_stream_one_beat_a_cycle_after_the_latency(read_latency):
    simulator, manager, _ = build(random.Random(0), 0.0, read_latency)

    async def testbench(ctx):
        lines = [manager.issue(Transaction(write=False, address=64 * n, beats=8, ident=n)) for n in range(4)]
        await manager.drain(ctx)
        first = lines[0].start_cycle
        assert [line.end_cycle - first for line in lines] == [read_latency + 8 * n + 7 for n in range(4)]

    simulator.add_testbench(testbench)
    simulator.run()


def test_line_writes_stream_one_beat_a_cycle():
    simulator, manager, _ = build(random.Random(0), 0.0, 2)

    async def testbench(ctx):
        lines = [manager.issue(Transaction(write=True, address=64 * n, beats=8, data=[n] * 8)) for n in range(4)]
        await manager.drain(ctx)
        assert [line.end_cycle - lines[0].start_cycle for line in lines] == [8, 16, 24, 32]

    simulator.add_testbench(testbench)
    simulator.run()


@pytest.mark.parametrize("wrong", [{"size": 100}, {"size": 1 << 21}, {"read_latency": 1}, {"reads_in_flight": 0}])
def test_a_memory_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError):
        AxiMemory(**{"size": 0x1000, "addr_width": 20, "id_width": 1, **wrong})
