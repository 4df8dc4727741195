"""The writing half of the DMA port: bursts of a device become lines that the data cache has given up."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from . import axi4
from .burst import next_address
from .dma_reader import LINE_BEATS, LINE_BITS, LINE_BYTES


class DmaWriter(wiring.Component):
    """Collects write data into lines, and writes each line as one burst of whole beats.

    A line is collected before the cache is asked to give it up: how long the line is held away from the cache, and the
    memory's write channel from everybody, never depends on the device. Two lines are kept, so that one fills while the
    other is written. Narrow and unaligned beats become strobes.

    Parameters
    ----------
    addr_width, id_width : int
        As of `axi4.Signature`, of the device.

    Members
    -------
    request, data, response : In(stream), In(stream), Out(stream)
        AW, W and B of the device. INCR bursts only. The response comes when all lines were written and released.
    line : Out(stream of an address)
        A line about to be written; ready when the cache no longer has it.
    released : Out(1)
        One cycle: the line that was last asked for is written.
    aw, w, b : Out(stream), Out(stream), In(stream)
        To the crossbar, identifier 0.
    """

    def __init__(self, *, addr_width: int, id_width: int):
        self._addr_width = addr_width
        self._id_width = id_width
        super().__init__(
            {
                "request": In(stream.Signature(axi4.address_layout(addr_width, id_width))),
                "data": In(stream.Signature(axi4.write_data_layout(64))),
                "response": Out(stream.Signature(axi4.write_response_layout(id_width))),
                "line": Out(stream.Signature(addr_width)),
                "released": Out(1),
                "aw": Out(stream.Signature(axi4.address_layout(addr_width, 1))),
                "w": Out(stream.Signature(axi4.write_data_layout(64))),
                "b": In(stream.Signature(axi4.write_response_layout(1))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.words = words = Memory(shape=64, depth=2 * LINE_BEATS, init=[])
        into = words.write_port(granularity=8)
        out_of = words.read_port(domain="comb")

        # What is known of each of the two lines beside its data
        number_layout = self._addr_width - LINE_BITS
        line_layout = data.StructLayout(
            {"number": number_layout, "strobes": LINE_BYTES, "id": self._id_width, "final": 1}
        )
        lines = [Signal(line_layout, name=f"line_{bank}") for bank in range(2)]
        full = Signal(2)
        filling, draining = Signal(), Signal()

        # --- filling ---
        request = Signal(self.request.payload.shape())
        strobes = Signal(LINE_BYTES)
        collected = Signal(LINE_BYTES)
        following = next_address(
            m, request.addr, length=request.len, size=request.size, burst=Const(axi4.Burst.INCR.value, 2)
        )
        m.d.comb += [
            collected.eq(strobes | (self.data.payload.strb << Cat(Const(0, 3), request.addr[3:LINE_BITS]))),
            into.addr.eq(Cat(request.addr[3:LINE_BITS], filling)),
            into.data.eq(self.data.payload.data),
        ]
        with m.FSM(name="fill"):
            with m.State("Wait for a request"):
                m.d.comb += self.request.ready.eq(1)
                m.d.sync += [request.eq(self.request.payload), strobes.eq(0)]
                with m.If(self.request.valid):
                    m.next = "Collect a line"
            with m.State("Collect a line"):
                m.d.comb += self.data.ready.eq(~full.bit_select(filling, 1))
                with m.If(self.data.valid & self.data.ready):
                    last = self.data.payload.last
                    m.d.comb += into.en.eq(self.data.payload.strb)
                    m.d.sync += [request.addr.eq(following), strobes.eq(collected)]
                    with m.If(last | (following[LINE_BITS] != request.addr[LINE_BITS])):
                        m.d.sync += [filling.eq(~filling), full.bit_select(filling, 1).eq(1), strobes.eq(0)]
                        for bank, line in enumerate(lines):
                            with m.If(filling == bank):
                                m.d.sync += [
                                    line.number.eq(request.addr[LINE_BITS:]),
                                    line.strobes.eq(collected),
                                    line.id.eq(request.id),
                                    line.final.eq(last),
                                ]
                    with m.If(last):
                        m.next = "Wait for a request"

        # --- draining ---
        line = Signal(line_layout)
        with m.If(draining):
            m.d.comb += line.eq(lines[1])
        with m.Else():
            m.d.comb += line.eq(lines[0])
        beat = Signal(range(LINE_BEATS))
        address_taken, data_taken = Signal(), Signal()
        line_address = Cat(Const(0, LINE_BITS), line.number)
        m.d.comb += [
            self.line.payload.eq(line_address),
            self.aw.payload.addr.eq(line_address),
            self.aw.payload.len.eq(LINE_BEATS - 1),
            self.aw.payload.size.eq(3),
            self.aw.payload.burst.eq(axi4.Burst.INCR),
            out_of.addr.eq(Cat(beat, draining)),
            self.w.payload.data.eq(out_of.data),
            self.w.payload.strb.eq(line.strobes.word_select(beat, 8)),
            self.w.payload.last.eq(beat == LINE_BEATS - 1),
            self.response.payload.id.eq(line.id),
        ]
        with m.FSM(name="drain"):
            with m.State("Wait for a line"):
                with m.If(full.bit_select(draining, 1)):
                    m.next = "Ask the cache"
            with m.State("Ask the cache"):
                m.d.comb += self.line.valid.eq(1)
                m.d.sync += [address_taken.eq(0), data_taken.eq(0)]
                with m.If(self.line.ready):
                    m.next = "Write the line"
            with m.State("Write the line"):
                m.d.comb += [self.aw.valid.eq(~address_taken), self.w.valid.eq(~data_taken)]
                with m.If(self.aw.ready):
                    m.d.sync += address_taken.eq(1)
                with m.If(self.w.valid & self.w.ready):
                    m.d.sync += [beat.eq(beat + 1), data_taken.eq(self.w.payload.last)]
                with m.If(address_taken & data_taken):
                    m.next = "Wait for the write"
            with m.State("Wait for the write"):
                m.d.comb += self.b.ready.eq(1)
                with m.If(self.b.valid):
                    with m.If(self.response.payload.resp == axi4.Resp.OKAY):
                        m.d.sync += self.response.payload.resp.eq(self.b.payload.resp)
                    m.next = "Release the line"
            with m.State("Release the line"):
                m.d.comb += self.released.eq(1)
                with m.If(line.final):
                    m.next = "Respond"
                with m.Else():
                    m.d.sync += [full.bit_select(draining, 1).eq(0), draining.eq(~draining)]
                    m.next = "Wait for a line"
            with m.State("Respond"):
                m.d.comb += self.response.valid.eq(1)
                with m.If(self.response.ready):
                    m.d.sync += [full.bit_select(draining, 1).eq(0), draining.eq(~draining)]
                    m.d.sync += self.response.payload.resp.eq(axi4.Resp.OKAY)
                    m.next = "Wait for a line"
        return m
