"""A window with nothing in it that answers all the same: reads give all ones, writes do nothing."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from rtl.bus import register_bus


class EmptyWindow(wiring.Component):
    """The PCI I/O port window, as long as no function has I/O ports.

    Members
    -------
    bus : In(register_bus)
        Always answered at once.
    """

    def __init__(self, *, addr_width: int):
        super().__init__({"bus": In(register_bus.Signature(addr_width=addr_width))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += [self.bus.done.eq(self.bus.valid), self.bus.read_data.eq((1 << 64) - 1)]
        return m
