"""cocotb tests of the crossbar of test_bus_cocotb.py: managers ibus, dbus, dma; subordinates dram, peripherals."""

import random

import cocotb
from cocotb.triggers import Combine
from cocotbext.axi import AxiBus, AxiMaster, AxiMasterRead, AxiRam, AxiReadBus, AxiResp

from tests.rtl.bus.cocotb_support import reset, stall

BASES = {"dram": 0x8000_0000, "peripherals": 0x1000_0000}


@cocotb.test()
async def managers_reach_memory_at_the_same_time(dut):
    rng = random.Random(cocotb.RANDOM_SEED)
    await reset(dut)
    managers = {name: AxiMaster(AxiBus.from_prefix(dut, name), dut.clk, dut.rst) for name in ("dbus", "dma")}
    ibus = AxiMasterRead(AxiReadBus.from_prefix(dut, "ibus"), dut.clk, dut.rst)
    memories = {name: AxiRam(AxiBus.from_prefix(dut, name), dut.clk, dut.rst, size=2**32) for name in BASES}
    for port in (*managers.values(), *memories.values()):
        stall(rng, port, 0.2)

    for memory, base in BASES.items():
        memories[memory].write(base + 0x1_0000, bytes(range(256)) * 16)

    async def fetch():
        for _ in range(60):
            base = BASES[rng.choice(list(BASES))]
            offset = 64 * rng.randrange(64)
            response = await ibus.read(base + 0x1_0000 + offset, 64)
            assert response.data == bytes((offset + n) % 256 for n in range(64))
            assert response.resp == AxiResp.OKAY

    async def work(name: str, manager: AxiMaster, part: int):
        models = {memory: bytearray(0x1000) for memory in BASES}
        for base in BASES.values():
            await manager.write(base + part, bytes(0x1000))
        for _ in range(40):
            memory = rng.choice(list(BASES))
            offset, length = rng.randrange(0xD00), rng.choice((1, 8, 64, 256, rng.randint(1, 700)))
            address = BASES[memory] + part + offset
            if rng.random() < 0.5:
                data = rng.randbytes(length)
                models[memory][offset : offset + length] = data
                response = await manager.write(address, data)
            else:
                response = await manager.read(address, length)
                assert response.data == bytes(models[memory][offset : offset + length]), name
            assert response.resp == AxiResp.OKAY
        for memory, base in BASES.items():
            assert memories[memory].read(base + part, 0x1000) == bytes(models[memory])

    await Combine(
        cocotb.start_soon(fetch()),
        cocotb.start_soon(work("dbus", managers["dbus"], 0)),
        cocotb.start_soon(work("dma", managers["dma"], 0x1000)),
    )

    # several reads of one manager in flight, and nobody's address in between
    reads = [managers["dbus"].init_read(BASES["dram"] + 64 * n, 64) for n in range(4)]
    refused = managers["dbus"].init_read(0x4_0000_0000, 200)
    written = managers["dma"].init_write(0x4_0000_0000, bytes(200))
    for n, read in enumerate(reads):
        await read.wait()
        assert read.data.data == memories["dram"].read(BASES["dram"] + 64 * n, 64)
    await refused.wait()
    await written.wait()
    assert refused.data.resp == AxiResp.DECERR and written.data.resp == AxiResp.DECERR
