"""The ECAM window: configuration space of 256 buses, of which bus 0 has functions (PCI Express Base 7.2.2)."""

from collections.abc import Collection

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.bus import register_bus

FUNCTION_WIDTH = 12
"""Address bits of one function's configuration space."""


class EcamAddress(data.Struct):
    """An offset in the window."""

    register: FUNCTION_WIDTH
    function: 3
    device: 5
    bus: 8


def function_name(device: int, function: int = 0) -> str:
    """Name of the port of a function."""
    return f"function_{device}_{function}"


class Ecam(wiring.Component):
    """Passes configuration accesses on to the functions. Where there is none reads give all ones, writes nothing.

    Parameters
    ----------
    functions : collection of (device, function)
        What is on bus 0.

    Members
    -------
    bus : In(register_bus)
        The window.
    function_<device>_<function> : Out(register_bus)
        Configuration space of each function.
    """

    def __init__(self, *, functions: Collection[tuple[int, int]]):
        self.functions = tuple(functions)
        for device, function in self.functions:
            if device not in range(32) or function not in range(8):
                raise ValueError(f"a function is (0..31, 0..7), not {(device, function)!r}")
            if function and (device, 0) not in self.functions:
                raise ValueError(f"device {device} has function {function} but no function 0: nobody would find it")
        if len(set(self.functions)) != len(self.functions):
            raise ValueError(f"a function is given twice in {self.functions!r}")
        super().__init__(
            {
                "bus": In(register_bus.Signature(addr_width=28)),
                **{
                    function_name(*place): Out(register_bus.Signature(addr_width=FUNCTION_WIDTH))
                    for place in self.functions
                },
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        address = Signal(EcamAddress)
        m.d.comb += [
            address.eq(self.bus.address),
            self.bus.done.eq(self.bus.valid),
            self.bus.read_data.eq((1 << 64) - 1),
        ]
        for place in self.functions:
            port = getattr(self, function_name(*place))
            device, function = place
            m.d.comb += [
                port.write.eq(self.bus.write),
                port.address.eq(address.register),
                port.mask.eq(self.bus.mask),
                port.write_data.eq(self.bus.write_data),
            ]
            with m.If((address.bus == 0) & (address.device == device) & (address.function == function)):
                m.d.comb += [
                    port.valid.eq(self.bus.valid),
                    self.bus.done.eq(port.done),
                    self.bus.read_data.eq(port.read_data),
                    self.bus.error.eq(port.error),
                ]
        return m
