"""The coherent DMA port: what makes `dma-coherent` in the device tree true.

    device ── AXI4 ──┬── DmaReader ── one line a burst ──┬── AXI4 ── crossbar ── DRAM
                     └── DmaWriter ── one line a burst ──┘
                             │ lines
                          RoundRobin ── probe ── data cache

Every line is announced to the data cache before it is touched. A read wants memory to be up to date (CLEAN), a write
wants the line out of the cache (FLUSH) and kept out until it is written (`release`).

No deadlock: between the cache's answer and `release` the port needs nothing from the device (writes are collected
first), and it takes all read data from the crossbar at once (room is reserved first), so the cache can always do the
line read or write-back that its answer may need. Devices share one port through a `Crossbar` with a single window.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..cpu_riscv64.config import CoreConfig
from ..cpu_riscv64.interfaces import Probe, ProbeSignature
from . import axi4
from .dma_reader import DmaReader
from .dma_writer import DmaWriter
from .round_robin import RoundRobin

READER, WRITER = 0, 1


class DmaPort(wiring.Component):
    """AXI4 subordinate for device DMA, coherent with the data cache.

    Takes INCR bursts of any length, alignment and beat size; the device keeps the 4 KiB rule. Responses come in order,
    whatever their identifiers. The cache is asked about one line at a time, and not at all between a FLUSH and its
    `release`. Downstream are only bursts inside one line: writes are eight whole beats with strobes.

    Parameters
    ----------
    config : CoreConfig
        Of the core whose cache is asked; its `pa_width` is the address width.
    id_width : int
        Of the device's port.
    lines_in_flight : int
        Lines of read data that may be on their way or wait to be taken.

    Members
    -------
    device : In(axi4.Signature(addr_width=config.pa_width, id_width=id_width))
        The device, or the arbiter of several.
    bus : Out(axi4.Signature(addr_width=config.pa_width, id_width=1))
        To the crossbar.
    probe : Out(ProbeSignature)
        To the data cache.
    """

    def __init__(self, *, config: CoreConfig, id_width: int, lines_in_flight: int = 8):
        self._id_width = id_width
        self._addr_width = config.pa_width
        self._lines_in_flight = lines_in_flight
        super().__init__(
            {
                "device": In(axi4.Signature(addr_width=config.pa_width, data_width=64, id_width=id_width)),
                "bus": Out(axi4.Signature(addr_width=config.pa_width, data_width=64, id_width=1)),
                "probe": Out(ProbeSignature(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.reader = reader = DmaReader(
            addr_width=self._addr_width, id_width=self._id_width, lines_in_flight=self._lines_in_flight
        )
        m.submodules.writer = writer = DmaWriter(addr_width=self._addr_width, id_width=self._id_width)
        wiring.connect(m, wiring.flipped(self.device.ar), reader.request)
        wiring.connect(m, wiring.flipped(self.device.r), reader.response)
        wiring.connect(m, wiring.flipped(self.device.aw), writer.request)
        wiring.connect(m, wiring.flipped(self.device.w), writer.data)
        wiring.connect(m, wiring.flipped(self.device.b), writer.response)
        wiring.connect(m, reader.ar, wiring.flipped(self.bus.ar))
        wiring.connect(m, reader.r, wiring.flipped(self.bus.r))
        wiring.connect(m, writer.aw, wiring.flipped(self.bus.aw))
        wiring.connect(m, writer.w, wiring.flipped(self.bus.w))
        wiring.connect(m, writer.b, wiring.flipped(self.bus.b))

        # Nothing is asked between a flush and its release.
        m.submodules.turns = turns = RoundRobin(count=2)
        probe = self.probe
        flushed, answered = Signal(), Signal()
        m.d.comb += [
            turns.requests.eq(reader.line.valid | writer.line.valid << WRITER),
            probe.valid.eq(turns.valid & ~flushed),
            answered.eq(probe.valid & probe.done),
            turns.advance.eq(answered),
            probe.release.eq(writer.released),
        ]
        with m.If(turns.grant == WRITER):
            m.d.comb += [
                probe.kind.eq(Probe.FLUSH),
                probe.address.eq(writer.line.payload),
                writer.line.ready.eq(answered),
            ]
            with m.If(answered):
                m.d.sync += flushed.eq(1)
        with m.Else():
            m.d.comb += [
                probe.kind.eq(Probe.CLEAN),
                probe.address.eq(reader.line.payload),
                reader.line.ready.eq(answered),
            ]
        with m.If(writer.released):
            m.d.sync += flushed.eq(0)
        return m
