"""Recognises sequential access and names the lines to fetch ahead.

Two streams, each inside one page (the next page's frame is not known). The first miss opens a stream, the access to
the line after it confirms it; from then on, `DISTANCE` lines ahead of the program are kept under way.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..config import CoreConfig

STREAMS = 2
DISTANCE = 3
LINES_PER_PAGE = 64


class StreamPrefetcher(wiring.Component):
    """Stream detector.

    Parameters
    ----------
    config : CoreConfig

    Members
    -------
    access : In(1), miss : In(1), line : In(pa_width - 6)
        The program loads from or stores to this line; it was not in the cache.
    valid : Out(1), prefetch : Out(pa_width - 6), take : In(1)
        A line to fetch ahead, and that it was dealt with.
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        line = config.pa_width - 6
        super().__init__(
            {
                "access": In(1),
                "miss": In(1),
                "line": In(line),
                "valid": Out(1),
                "prefetch": Out(line),
                "take": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        page = self.line[6:]
        in_page = self.line[:6]
        oldest = Signal(range(STREAMS))
        matched = Signal(STREAMS)
        wants = Signal(STREAMS)
        offers = []
        for i in range(STREAMS):
            frame = Signal(len(page), name=f"frame{i}")
            following = Signal(7, name=f"following{i}")  # the line expected next; LINES_PER_PAGE: none
            ahead = Signal(7, name=f"ahead{i}")  # the first line not asked for yet
            confirmed = Signal(name=f"confirmed{i}")
            m.d.comb += [
                matched[i].eq((following == in_page) & (frame == page)),
                wants[i].eq(confirmed & ~following[6] & ~ahead[6] & (ahead - following < DISTANCE)),
            ]
            with m.If(self.take & wants[i] & ~wants[:i].any()):
                m.d.sync += ahead.eq(ahead + 1)
            with m.If(self.access & matched[i]):
                m.d.sync += [following.eq(in_page + 1), confirmed.eq(1)]
                with m.If(~confirmed | (ahead <= in_page)):
                    m.d.sync += ahead.eq(in_page + 1)
            with m.Elif(self.miss & ~matched.any() & (oldest == i)):
                m.d.sync += [frame.eq(page), following.eq(in_page + 1), confirmed.eq(0)]
            offers.append(Cat(ahead[:6], frame))
        with m.If(self.miss & ~matched.any()):
            m.d.sync += oldest.eq(oldest + 1)
        m.d.comb += [self.valid.eq(wants.any()), self.prefetch.eq(Mux(wants[0], offers[0], offers[1]))]
        return m
