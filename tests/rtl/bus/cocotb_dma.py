"""cocotb tests of the DMA port: a device (cocotbext-axi), memory (cocotbext-axi) and a write-back cache in Python."""

import random

import cocotb
from cocotb.triggers import FallingEdge, ReadOnly, RisingEdge
from cocotbext.axi import AxiBus, AxiMaster, AxiRam, AxiResp

from rtl.cpu_riscv64.interfaces import Probe
from tests.rtl.bus.cocotb_support import reset, stall

BASE = 0x8000_0000
SIZE = 0x2000


class Cache:
    """Dirty lines in front of `memory`; answers probes after 0 or more cycles."""

    def __init__(self, dut, memory: AxiRam, rng: random.Random):
        self.dut, self.memory, self.rng = dut, memory, rng
        self.dirty: dict[int, bytes] = {}
        self.held: int | None = None
        cocotb.start_soon(self.serve())

    async def serve(self):
        dut = self.dut
        dut.probe_done.value = 0
        while True:
            await RisingEdge(dut.clk)
            await ReadOnly()
            if dut.probe_release.value:
                assert self.held is not None, "release without a held line"
                self.held = None
            valid, kind, line = bool(dut.probe_valid.value), int(dut.probe_kind.value), int(dut.probe_address.value)
            await FallingEdge(dut.clk)
            done = valid and self.rng.random() < 0.4
            dut.probe_done.value = done
            if done:
                assert self.held is None and line % 64 == 0
                if line in self.dirty:
                    self.memory.write(line, self.dirty.pop(line))
                if kind == Probe.FLUSH.value:
                    self.held = line

    def read(self, address: int, length: int) -> bytes:
        """What the processor would load."""
        return bytes(
            self.dirty[byte & -64][byte % 64] if byte & -64 in self.dirty else self.memory.read(byte, 1)[0]
            for byte in range(address, address + length)
        )


@cocotb.test()
async def device_and_cache_agree(dut):
    rng = random.Random(cocotb.RANDOM_SEED)
    device = AxiMaster(AxiBus.from_prefix(dut, "device"), dut.clk, dut.rst)
    memory = AxiRam(AxiBus.from_prefix(dut, "bus"), dut.clk, dut.rst, size=2**32)
    await reset(dut)
    memory.write(BASE, rng.randbytes(SIZE))
    cache = Cache(dut, memory, rng)
    for probability in (0.0, 0.4):
        stall(rng, device, probability)
        stall(rng, memory, probability)
        for _ in range(25):
            for _ in range(rng.randrange(20)):
                cache.dirty[BASE + rng.randrange(0, SIZE, 64)] = rng.randbytes(64)
            address = BASE + rng.randrange(SIZE // 2 - 0x500)
            length = rng.choice((1, 4, 64, 512, rng.randint(1, 0x500)))
            size = rng.choice((1, 2, 3, 3, 3))
            other = address + SIZE // 2
            expected, data = cache.read(address, length), rng.randbytes(length)
            around = cache.read(other - 64, 64), cache.read(other + length, 64)
            read, write = device.init_read(address, length, size=size), device.init_write(other, data, size=size)
            await read.wait()
            await write.wait()
            assert read.data.resp == AxiResp.OKAY and write.data.resp == AxiResp.OKAY
            assert read.data.data == expected
            assert cache.held is None
            assert cache.read(other, length) == data
            assert around == (cache.read(other - 64, 64), cache.read(other + length, 64))
