"""Every AXI4 port kind of the bus, driven and checked by cocotbext-axi on Verilator."""

from rtl.bus.memory import AxiMemory
from tests import cocotb_runner


def test_memory_serves_cocotbext_axi():
    memory = AxiMemory(size=0x2000, addr_width=20, id_width=4, read_latency=5)
    cocotb_runner.run(memory, name="axi_memory", module="tests.rtl.bus.cocotb_memory", seed=1)
