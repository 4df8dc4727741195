"""Stands in for the core in tests of the SoC: the test drives its ports."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.bus import axi4
from rtl.cpu_riscv64.config import CoreConfig
from rtl.cpu_riscv64.interfaces import ProbeSignature, Rvfi, events_layout


class StubCore(wiring.Component):
    """The core's ports and nothing behind them."""

    def __init__(self, config: CoreConfig):
        members = {
            "ibus": Out(axi4.Signature(addr_width=config.pa_width, data_width=64, id_width=1)),
            "dbus": Out(axi4.Signature(addr_width=config.pa_width, data_width=64, id_width=2)),
            "probe": In(ProbeSignature(config)),
            "software_interrupt": In(1),
            "timer_interrupt": In(1),
            "external_interrupt_m": In(1),
            "external_interrupt_s": In(1),
            "time": In(64),
            "ram_end": In(config.pa_width),
            "events": Out(events_layout()),
            "retire": Out(1),
            "pc": Out(64),
            "privilege": Out(2),
        }
        if config.rvfi:
            members["rvfi"] = Out(Rvfi())
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        return Module()
