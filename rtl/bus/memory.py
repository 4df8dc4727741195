"""On-chip memory behind AXI4: boot SRAM, memory for boards without DRAM, and the memory of tests."""

from collections.abc import Iterable

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In
from amaranth.utils import ceil_log2

from . import axi4
from .burst import next_address


class AxiMemory(wiring.Component):
    """Block RAM as an AXI4 subordinate, one beat per cycle in each direction at the same time.

    Reads and writes are served in order, each kind on its own; a write is in memory when its response appears. All
    burst types, narrow and unaligned beats. Addresses wrap at the size: the crossbar's window says where the memory is.

    Parameters
    ----------
    size : int
        Bytes; a power of two, 64 or more.
    addr_width, id_width : int
        As of `axi4.Signature`. The data width is 64.
    read_latency : int
        Cycles from the acceptance of an address to the first beat, at least 2. More than 2 stands for a slower memory:
        the latency of bursts in flight overlaps.
    reads_in_flight : int
        Reads accepted beyond the one that is streaming, if `read_latency` is more than 2.
    init : iterable of int
        Initial contents, as doublewords.

    Members
    -------
    bus : In(axi4.Signature)
        The subordinate port.
    """

    def __init__(
        self,
        *,
        size: int,
        addr_width: int,
        id_width: int,
        read_latency: int = 2,
        reads_in_flight: int = 4,
        init: Iterable[int] = (),
    ):
        if size < 64 or size & (size - 1):
            raise ValueError(f"size must be a power of two, 64 or more, not {size!r}")
        if size > 1 << addr_width:
            raise ValueError(f"size {size:#x} does not fit {addr_width} address bits")
        if read_latency < 2:
            raise ValueError(f"read_latency must be 2 or more, not {read_latency!r}")
        if reads_in_flight < 1:
            raise ValueError(f"reads_in_flight must be 1 or more, not {reads_in_flight!r}")
        self._size = size
        self._read_latency = read_latency
        self._reads_in_flight = reads_in_flight
        self.memory = Memory(shape=64, depth=size // 8, init=init)
        super().__init__({"bus": In(axi4.Signature(addr_width=addr_width, data_width=64, id_width=id_width))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.memory = self.memory
        self._reads(m)
        self._writes(m)
        return m

    def _delayed_addresses(self, m: Module) -> tuple[data.View, Value, Signal]:
        """(payload, valid, ready) of read addresses, not before their time."""
        ar = self.bus.ar
        wait = self._read_latency - 2
        if wait == 0:
            ready = Signal()
            m.d.comb += ar.ready.eq(ready)
            return ar.payload, ar.valid, ready

        m.submodules.delay = delay = SyncFIFO(width=len(ar.payload.as_value()), depth=self._reads_in_flight)
        m.d.comb += [delay.w_data.eq(ar.payload), delay.w_en.eq(ar.valid), ar.ready.eq(delay.w_rdy)]
        # each acceptance travels down a line of `wait` cycles; what came out at its end is ripe until it is taken
        travelling = Signal(wait)
        ripe = Signal(range(self._reads_in_flight + 1))
        m.d.sync += travelling.eq(Cat(ar.valid & ar.ready, travelling))
        m.d.sync += ripe.eq(ripe + travelling[-1] - delay.r_en)
        return data.View(ar.payload.shape(), delay.r_data), travelling[-1] | (ripe != 0), delay.r_en

    def _reads(self, m: Module) -> None:
        r = self.bus.r
        port = self.memory.read_port()
        offered, offered_valid, take = self._delayed_addresses(m)

        request = Signal(offered.shape())
        beats_left = Signal(8)
        streaming = Signal()
        following = next_address(m, request.addr, length=request.len, size=request.size, burst=request.burst)

        advance = Signal()
        m.d.comb += [
            advance.eq(~r.valid | r.ready),
            port.en.eq(advance & streaming),
            port.addr.eq(request.addr[3 : ceil_log2(self._size)]),
            r.payload.data.eq(port.data),
            take.eq(offered_valid & (~streaming | (advance & (beats_left == 0)))),
        ]
        with m.If(advance):
            m.d.sync += r.valid.eq(streaming)
            with m.If(streaming):
                m.d.sync += [
                    r.payload.id.eq(request.id),
                    r.payload.last.eq(beats_left == 0),
                    request.addr.eq(following),
                    beats_left.eq(beats_left - 1),
                ]
                with m.If(beats_left == 0):
                    m.d.sync += streaming.eq(0)
        with m.If(take):
            m.d.sync += [request.eq(offered), beats_left.eq(offered.len), streaming.eq(1)]

    def _writes(self, m: Module) -> None:
        aw, w, b = self.bus.aw, self.bus.w, self.bus.b
        port = self.memory.write_port(granularity=8)
        request = Signal(aw.payload.shape())
        taking = Signal()  # an address was taken and its data is not complete
        current = Signal(aw.payload.shape())
        m.d.comb += current.eq(Mux(taking, request, aw.payload))
        following = next_address(m, current.addr, length=current.len, size=current.size, burst=current.burst)

        # Data is taken with its address or after it, the last beat only after the previous response is gone.
        m.d.comb += [
            aw.ready.eq(~taking),
            w.ready.eq((taking | aw.valid) & ~(w.payload.last & b.valid)),
            port.addr.eq(current.addr[3 : ceil_log2(self._size)]),
            port.data.eq(w.payload.data),
            port.en.eq(Mux(w.valid & w.ready, w.payload.strb, 0)),
        ]
        with m.If(b.ready):
            m.d.sync += b.valid.eq(0)
        with m.If(aw.valid & aw.ready):
            m.d.sync += [request.eq(aw.payload), taking.eq(1)]
        with m.If(w.valid & w.ready):
            m.d.sync += request.addr.eq(following)
            with m.If(w.payload.last):
                m.d.sync += [taking.eq(0), b.valid.eq(1), b.payload.id.eq(current.id)]
