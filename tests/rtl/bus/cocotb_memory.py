"""cocotb tests of AxiMemory, run by test_bus_cocotb.py."""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiBurstType, AxiBus, AxiMaster, AxiResp

SIZE = 0x2000


async def reset(dut) -> None:
    cocotb.start_soon(Clock(dut.clk, 10, "ns").start())
    dut.rst.value = 1
    for _ in range(4):
        await RisingEdge(dut.clk)
    dut.rst.value = 0
    await RisingEdge(dut.clk)


def pauses(rng: random.Random, probability: float):
    while True:
        yield rng.random() < probability


@cocotb.test()
async def memory_agrees_with_a_bytearray(dut):
    rng = random.Random(1)
    await reset(dut)
    manager = AxiMaster(AxiBus.from_prefix(dut, "bus"), dut.clk, dut.rst)
    model = bytearray(SIZE)
    await manager.write(0, bytes(SIZE))
    for stall in (0.0, 0.5):
        for channel in (
            manager.write_if.aw_channel,
            manager.write_if.w_channel,
            manager.write_if.b_channel,
            manager.read_if.ar_channel,
            manager.read_if.r_channel,
        ):
            channel.set_pause_generator(pauses(rng, stall))
        for _ in range(40):
            address = rng.randrange(SIZE - 700)
            length = rng.choice((1, 2, 8, 64, rng.randint(1, 700)))
            size = rng.choice((0, 1, 2, 3, 3))
            if rng.random() < 0.5:
                data = rng.randbytes(length)
                model[address : address + length] = data
                response = await manager.write(address, data, size=size)
                assert response.resp == AxiResp.OKAY
            else:
                response = await manager.read(address, length, size=size)
                assert response.resp == AxiResp.OKAY
                assert response.data == bytes(model[address : address + length])
    assert AxiBurstType.INCR == 1
