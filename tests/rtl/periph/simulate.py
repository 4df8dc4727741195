"""Runs testbenches on one component with Amaranth's simulator."""

from collections.abc import Callable
from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.sim import Simulator


def simulate(component: wiring.Component, testbench: Callable[..., Any], *background: Callable[..., Any]) -> None:
    """Clocks `component` until `testbench` ends; `background` ones run beside it."""
    m = Module()
    m.submodules.dut = component
    m.d.sync += Signal(name="clocked").eq(1)  # components without registers have no clock of their own
    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    for process in background:
        simulator.add_testbench(process, background=True)
    simulator.run()
