# amaranth: UnusedElaboratable=no
"""Every AXI4 port kind of the bus, driven and checked by cocotbext-axi on Verilator.

Each test builds a simulator once (cached under build/cocotb); the tests themselves are in the cocotb_*.py files.
"""

from rtl.bus.address_map import Window
from rtl.bus.crossbar import Crossbar, Manager
from rtl.bus.dma import DmaPort
from rtl.bus.memory import AxiMemory
from rtl.bus.register_bridge import RegisterBridge
from rtl.cpu_riscv64.config import CoreConfig
from tests import cocotb_runner

HERE = "tests.rtl.bus"


def test_memory_serves_cocotbext_axi():
    memory = AxiMemory(size=0x2000, addr_width=20, id_width=4, read_latency=5)
    cocotb_runner.run(memory, name="axi_memory", module=f"{HERE}.cocotb_memory", seed=1)


def test_crossbar_connects_cocotbext_axi_managers_to_memories():
    crossbar = Crossbar(
        managers=[Manager("ibus", read_only=True), Manager("dbus", id_width=2), Manager("dma")],
        windows=[Window(0x8000_0000, 0x800_0000, "dram"), Window(0, 0x3000_0000, "peripherals")],
        addr_width=36,
    )
    cocotb_runner.run(crossbar, name="crossbar", module=f"{HERE}.cocotb_crossbar", seed=1)


def test_register_bridge_serves_cocotbext_axi():
    bridge = RegisterBridge(
        devices=[Window(0x1000, 0x400, "rom"), Window(0x1000_0000, 8, "uart")], addr_width=36, id_width=4
    )
    cocotb_runner.run(bridge, name="register_bridge", module=f"{HERE}.cocotb_bridge", seed=1)


def test_dma_port_is_coherent_for_a_cocotbext_axi_device():
    port = DmaPort(config=CoreConfig(), id_width=2)
    cocotb_runner.run(port, name="dma_port", module=f"{HERE}.cocotb_dma", seed=1)
