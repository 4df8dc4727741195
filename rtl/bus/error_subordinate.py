"""The subordinate behind every address that belongs to nobody."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from . import axi4


class ErrorSubordinate(wiring.Component):
    """Answers every transaction with DECERR and the right number of beats (A3.4.4: a bus error must not hang the bus).

    One read and one write burst at a time.

    Parameters
    ----------
    addr_width, data_width, id_width : int
        As of `axi4.Signature`.

    Members
    -------
    bus : In(axi4.Signature)
        The subordinate port. Read data is zero.
    """

    def __init__(self, *, addr_width: int, data_width: int, id_width: int):
        super().__init__(
            {"bus": In(axi4.Signature(addr_width=addr_width, data_width=data_width, id_width=id_width))},
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus = self.bus

        beats_left = Signal(8)
        reading = Signal()
        m.d.comb += [
            bus.ar.ready.eq(~reading),
            bus.r.valid.eq(reading),
            bus.r.payload.resp.eq(axi4.Resp.DECERR),
            bus.r.payload.last.eq(beats_left == 0),
        ]
        with m.If(bus.ar.valid & bus.ar.ready):
            m.d.sync += [reading.eq(1), beats_left.eq(bus.ar.payload.len), bus.r.payload.id.eq(bus.ar.payload.id)]
        with m.If(bus.r.valid & bus.r.ready):
            m.d.sync += [beats_left.eq(beats_left - 1), reading.eq(~bus.r.payload.last)]

        m.d.comb += bus.b.payload.resp.eq(axi4.Resp.DECERR)
        with m.FSM(name="write"):
            with m.State("Wait for an address"):
                m.d.comb += bus.aw.ready.eq(1)
                with m.If(bus.aw.valid):
                    m.d.sync += bus.b.payload.id.eq(bus.aw.payload.id)
                    m.next = "Throw data away"
            with m.State("Throw data away"):
                m.d.comb += bus.w.ready.eq(1)
                with m.If(bus.w.valid & bus.w.payload.last):
                    m.next = "Refuse"
            with m.State("Refuse"):
                m.d.comb += bus.b.valid.eq(1)
                with m.If(bus.b.ready):
                    m.next = "Wait for an address"
        return m
