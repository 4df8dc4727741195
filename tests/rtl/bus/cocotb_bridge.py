"""cocotb tests of the register bridge of test_bus_cocotb.py: devices rom (at 0x1000) and uart (8 bytes)."""

import random

import cocotb
from cocotb.triggers import FallingEdge, ReadOnly, RisingEdge
from cocotbext.axi import AxiBus, AxiMaster, AxiResp

from tests.rtl.bus.cocotb_support import reset, stall


class Device:
    """Bytes behind a register-bus port. Answers after 0 or more cycles; refuses reads at `refused`."""

    def __init__(self, dut, name: str, size: int, rng: random.Random, refused: int = -1):
        self.dut, self.name, self.rng, self.refused = dut, name, rng, refused
        self.bytes = bytearray(rng.randbytes(size))
        cocotb.start_soon(self.serve())

    def port(self, field: str):
        return getattr(self.dut, f"{self.name}_{field}")

    async def serve(self):
        self.port("done").value = 0
        while True:
            await RisingEdge(self.dut.clk)
            await ReadOnly()
            valid = bool(self.port("valid").value) and self.rng.random() < 0.5
            write, address = bool(self.port("write").value), int(self.port("address").value)
            mask, data = int(self.port("mask").value), int(self.port("write_data").value)
            await FallingEdge(self.dut.clk)
            self.port("done").value = valid
            if not valid:
                continue
            self.port("error").value = address == self.refused
            self.port("read_data").value = int.from_bytes(self.bytes[address : address + 8], "little")
            if write:
                for lane in range(8):
                    if mask >> lane & 1:
                        self.bytes[address + lane] = data >> (8 * lane) & 0xFF


@cocotb.test()
async def registers_are_read_and_written_as_bytes(dut):
    rng = random.Random(cocotb.RANDOM_SEED)
    manager = AxiMaster(AxiBus.from_prefix(dut, "bus"), dut.clk, dut.rst)
    await reset(dut)
    rom = Device(dut, "rom", 0x400, rng, refused=0x3F8)
    uart = Device(dut, "uart", 8, rng)
    stall(rng, manager, 0.3)

    for _ in range(12):
        line = rng.randrange(0, 0x3C0, 64)
        response = await manager.read(0x1000 + line, 64)
        assert response.data == bytes(rom.bytes[line : line + 64]) and response.resp == AxiResp.OKAY
    for size in (0, 1, 2, 3) * 4:
        address = rng.randrange(0, 8, 1 << size)
        data = rng.randbytes(1 << size)
        response = await manager.write(0x1000_0000 + address, data, size=size)
        assert response.resp == AxiResp.OKAY
        assert uart.bytes[address : address + len(data)] == data
        response = await manager.read(0x1000_0000 + address, 1 << size, size=size)
        assert response.data == data
    assert (await manager.read(0x1000 + 0x3F8, 8)).resp == AxiResp.SLVERR
    assert (await manager.write(0x1000 + 0x3F8, bytes(4))).resp == AxiResp.SLVERR
    assert (await manager.read(0x1000 + 0x400, 64)).resp == AxiResp.DECERR
    assert (await manager.write(0x1000_0008, bytes(8))).resp == AxiResp.DECERR
