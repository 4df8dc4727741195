"""The reading half of the DMA port: bursts of a device become reads of lines that the data cache was asked about."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO, SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from . import axi4

LINE_BITS = 6
LINE_BYTES = 1 << LINE_BITS
LINE_BEATS = LINE_BYTES // 8


class DmaReader(wiring.Component):
    """Splits read bursts at lines, asks for every line before it is read, and joins the data again.

    The next line is asked for while the current one streams. A line is read only when there is room for all of it here:
    a device that does not take its data never blocks the memory's read channel, which the cache needs to answer.

    Parameters
    ----------
    addr_width, id_width : int
        As of `axi4.Signature`, of the device.
    lines_in_flight : int
        Lines that may be on their way or wait here.

    Members
    -------
    request, response : In(stream), Out(stream)
        AR and R of the device. INCR bursts only.
    line : Out(stream of an address)
        A line about to be read; ready when memory is up to date for it.
    ar, r : Out(stream), In(stream)
        To the crossbar, identifier 0.
    """

    def __init__(self, *, addr_width: int, id_width: int, lines_in_flight: int = 8):
        if lines_in_flight < 1:
            raise ValueError(f"lines_in_flight must be 1 or more, not {lines_in_flight!r}")
        self._id_width = id_width
        self._lines = lines_in_flight
        super().__init__(
            {
                "request": In(stream.Signature(axi4.address_layout(addr_width, id_width))),
                "response": Out(stream.Signature(axi4.read_data_layout(64, id_width))),
                "line": Out(stream.Signature(addr_width)),
                "ar": Out(stream.Signature(axi4.address_layout(addr_width, 1))),
                "r": In(stream.Signature(axi4.read_data_layout(64, 1))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()

        # A piece is what is read with one burst: up to the end of the line, and at most as many beats as a line has.
        piece_layout = data.StructLayout({"id": self._id_width, "final": 1})
        m.submodules.pieces = pieces = SyncFIFO(width=piece_layout.size, depth=self._lines)
        beat_layout = data.StructLayout({"beat": self.response.payload.shape(), "end_of_piece": 1})
        # one more for the queue's output register: the memory behind it has a round number of rows
        m.submodules.beats = beats = SyncFIFOBuffered(width=beat_layout.size, depth=self._lines * LINE_BEATS + 1)
        free = Signal(range(self._lines + 1), init=self._lines)

        request = Signal(self.request.payload.shape())
        beats_left = Signal(9)
        to_line_end = (LINE_BYTES >> request.size[:2]) - (request.addr[:LINE_BITS] >> request.size[:2])
        most = Signal(range(LINE_BEATS + 1))
        m.d.comb += most.eq(Mux(to_line_end < LINE_BEATS, to_line_end, LINE_BEATS))
        piece = Signal(range(LINE_BEATS + 1))
        final = Signal()

        line_address = Cat(Const(0, LINE_BITS), request.addr[LINE_BITS:])
        # A burst does not cross 4 KiB: the adder is short.
        following = Signal(12)
        m.d.comb += following.eq(((request.addr[:12] >> request.size[:2]) + piece) << request.size[:2])
        piece_begins, piece_ends = Signal(), Signal()
        m.d.comb += [
            self.line.payload.eq(line_address),
            self.ar.payload.addr.eq(request.addr),
            self.ar.payload.len.eq((piece - 1)[:3]),
            self.ar.payload.size.eq(request.size),
            self.ar.payload.burst.eq(axi4.Burst.INCR),
            pieces.w_data.eq(Cat(request.id, final)),
            pieces.w_en.eq(piece_begins),
        ]
        with m.FSM():
            with m.State("Wait for a request"):
                m.d.comb += self.request.ready.eq(1)
                with m.If(self.request.valid):
                    m.d.sync += [request.eq(self.request.payload), beats_left.eq(self.request.payload.len + 1)]
                    m.next = "Ask the cache"
            with m.State("Ask the cache"):
                m.d.comb += self.line.valid.eq(free != 0)
                m.d.sync += [final.eq(beats_left <= most), piece.eq(Mux(beats_left <= most, beats_left, most))]
                with m.If(self.line.valid & self.line.ready):
                    m.next = "Read the line"
            with m.State("Read the line"):
                m.d.comb += self.ar.valid.eq(1)
                with m.If(self.ar.ready):
                    m.d.comb += piece_begins.eq(1)
                    m.d.sync += [
                        request.addr[:12].eq(following),
                        beats_left.eq(beats_left - piece),
                    ]
                    with m.If(final):
                        m.next = "Wait for a request"
                    with m.Else():
                        m.next = "Ask the cache"

        arriving = data.View(piece_layout, pieces.r_data)
        stored = data.View(beat_layout, beats.w_data)
        leaving = data.View(beat_layout, beats.r_data)
        m.d.comb += [
            self.r.ready.eq(1),
            stored.beat.id.eq(arriving.id),
            stored.beat.data.eq(self.r.payload.data),
            stored.beat.resp.eq(self.r.payload.resp),
            stored.beat.last.eq(self.r.payload.last & arriving.final),
            stored.end_of_piece.eq(self.r.payload.last),
            beats.w_en.eq(self.r.valid),
            pieces.r_en.eq(self.r.valid & self.r.payload.last),
            self.response.valid.eq(beats.r_rdy),
            self.response.payload.eq(leaving.beat),
            beats.r_en.eq(self.response.ready),
            piece_ends.eq(beats.r_rdy & self.response.ready & leaving.end_of_piece),
        ]
        with m.If(piece_begins & ~piece_ends):
            m.d.sync += free.eq(free - 1)
        with m.Elif(piece_ends & ~piece_begins):
            m.d.sync += free.eq(free + 1)
        return m
