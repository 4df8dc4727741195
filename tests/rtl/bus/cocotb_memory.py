"""cocotb tests of AxiMemory, run by test_bus_cocotb.py."""

import random

import cocotb
from cocotbext.axi import AxiBus, AxiMaster, AxiResp

from tests.rtl.bus.cocotb_support import reset, stall

SIZE = 0x2000


@cocotb.test()
async def memory_agrees_with_a_bytearray(dut):
    rng = random.Random(cocotb.RANDOM_SEED)
    await reset(dut)
    manager = AxiMaster(AxiBus.from_prefix(dut, "bus"), dut.clk, dut.rst)
    model = bytearray(SIZE)
    await manager.write(0, bytes(SIZE))
    for probability in (0.0, 0.5):
        stall(rng, manager, probability)
        for _ in range(40):
            address = rng.randrange(SIZE - 700)
            length = rng.choice((1, 2, 8, 64, rng.randint(1, 700)))
            size = rng.choice((0, 1, 2, 3, 3))
            if rng.random() < 0.5:
                data = rng.randbytes(length)
                model[address : address + length] = data
                response = await manager.write(address, data, size=size)
            else:
                response = await manager.read(address, length, size=size)
                assert response.data == bytes(model[address : address + length])
            assert response.resp == AxiResp.OKAY
