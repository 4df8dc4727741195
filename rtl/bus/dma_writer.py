"""The writing half of the DMA port: bursts of a device become lines that the data cache has given up."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
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
        into = words.write_port()
        out_of = words.read_port(domain="comb")
        bank = Signal()  # of the line that fills

        # --- collecting: while `full`, the line below waits to be taken over and nothing moves ---
        full = Signal()
        request = Signal(self.request.payload.shape())
        number = Signal(self._addr_width - LINE_BITS)
        strobes = Signal(LINE_BYTES)
        fresh = Signal()  # `strobes` are those of the line before
        final = Signal()
        # A word is put together here from its beats and stored one cycle later.
        word = Signal(64)
        enabled = Cat(enable.replicate(8) for enable in self.data.payload.strb)
        m.d.comb += into.data.eq(word)
        m.d.sync += into.en.eq(0)

        with m.FSM(name="collect"):
            with m.State("Wait for a request"):
                m.d.comb += self.request.ready.eq(~full)
                with m.If(self.request.valid & self.request.ready):
                    m.d.sync += [request.eq(self.request.payload), fresh.eq(1)]
                    m.next = "Collect a line"
            with m.State("Collect a line"):
                m.d.comb += self.data.ready.eq(~full)
                with m.If(self.data.valid & self.data.ready):
                    following = next_address(
                        m, request.addr, length=request.len, size=request.size, burst=Const(axi4.Burst.INCR.value, 2)
                    )
                    beat_strobes = self.data.payload.strb << Cat(Const(0, 3), request.addr[3:LINE_BITS])
                    line_ends = self.data.payload.last | (following[LINE_BITS] != request.addr[LINE_BITS])
                    m.d.sync += [
                        word.eq(word ^ ((word ^ self.data.payload.data) & enabled)),
                        into.addr.eq(Cat(request.addr[3:LINE_BITS], bank)),
                        into.en.eq(1),
                        strobes.eq(Mux(fresh, 0, strobes) | beat_strobes),
                        number.eq(request.addr[LINE_BITS:]),
                        final.eq(self.data.payload.last),
                        request.addr.eq(following),
                        fresh.eq(line_ends),
                        full.eq(line_ends),
                    ]
                    with m.If(self.data.payload.last):
                        m.next = "Wait for a request"

        # --- writing ---
        line = Signal.like(number)
        line_strobes = Signal.like(strobes)  # shifts, so that the next beat's are lowest
        last_line = Signal()
        beat = Signal(range(LINE_BEATS))
        address_taken, data_taken = Signal(), Signal()
        line_address = Cat(Const(0, LINE_BITS), line)
        m.d.comb += [
            self.line.payload.eq(line_address),
            self.aw.payload.addr.eq(line_address),
            self.aw.payload.len.eq(LINE_BEATS - 1),
            self.aw.payload.size.eq(3),
            self.aw.payload.burst.eq(axi4.Burst.INCR),
            out_of.addr.eq(Cat(beat, ~bank)),
            self.w.payload.data.eq(out_of.data),
            self.w.payload.strb.eq(line_strobes[:8]),
            self.w.payload.last.eq(beat == LINE_BEATS - 1),
        ]
        with m.FSM(name="write"):
            with m.State("Wait for a line"):
                with m.If(full):
                    m.d.sync += [
                        full.eq(0),
                        bank.eq(~bank),
                        line.eq(number),
                        line_strobes.eq(strobes),
                        last_line.eq(final),
                        self.response.payload.id.eq(request.id),
                        address_taken.eq(0),
                        data_taken.eq(0),
                    ]
                    m.next = "Ask the cache"
            with m.State("Ask the cache"):
                m.d.comb += self.line.valid.eq(1)
                with m.If(self.line.ready):
                    m.next = "Write the line"
            with m.State("Write the line"):
                m.d.comb += [self.aw.valid.eq(~address_taken), self.w.valid.eq(~data_taken)]
                with m.If(self.aw.ready):
                    m.d.sync += address_taken.eq(1)
                with m.If(self.w.valid & self.w.ready):
                    m.d.sync += [
                        beat.eq(beat + 1),
                        line_strobes.eq(line_strobes >> 8),
                        data_taken.eq(self.w.payload.last),
                    ]
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
                with m.If(last_line):
                    m.next = "Respond"
                with m.Else():
                    m.next = "Wait for a line"
            with m.State("Respond"):
                m.d.comb += self.response.valid.eq(1)
                with m.If(self.response.ready):
                    m.d.sync += self.response.payload.resp.eq(axi4.Resp.OKAY)
                    m.next = "Wait for a line"
        return m
