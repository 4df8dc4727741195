"""A memory-to-memory copy engine: the test device behind the DMA port.

It has what a real device's DMA has and nothing else: registers, bursts, byte-exact beginnings and ends, an interrupt.
Its write data is its read data, so it also shows that the DMA port lets the two make progress together. The registers
are described in `rtl.registers.copy_engine`.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from rtl.registers import copy_engine
from rtl.registers.decoder import RegisterDecoder

from . import axi4, register_bus


class CopyEngine(wiring.Component):
    """Copies bytes from one physical address to another, in bursts.

    Source and destination must be equal modulo 8: data is not shifted. They should not overlap. A copy stops after the
    burst in which an error came back.

    Parameters
    ----------
    addr_width : int
        Physical address bits.
    burst_bytes : int
        Longest burst, a power of two from 64 to 2048 (256 beats).

    Members
    -------
    registers : In(register_bus.Signature)
        A page.
    bus : Out(axi4.Signature(id_width=1))
        To the DMA port.
    interrupt : Out(1)
        Level interrupt.
    """

    def __init__(self, *, addr_width: int, burst_bytes: int = 256):
        if burst_bytes not in (64, 128, 256, 512, 1024, 2048):
            raise ValueError(f"burst_bytes must be a power of two from 64 to 2048, not {burst_bytes!r}")
        self._addr_width = addr_width
        self._burst_bytes = burst_bytes
        super().__init__(
            {
                "registers": In(register_bus.Signature(addr_width=12)),
                "bus": Out(axi4.Signature(addr_width=addr_width, data_width=64, id_width=1)),
                "interrupt": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.decoder = registers = RegisterDecoder(copy_engine.Registers, addr_width=12)
        wiring.connect(m, wiring.flipped(self.registers), registers.bus)
        m.submodules.words = words = SyncFIFOBuffered(width=64, depth=self._burst_bytes // 8)
        bus = self.bus

        status = Signal.like(registers.status.value)
        m.d.comb += [
            registers.status.value.eq(status),
            self.interrupt.eq(status.done & registers.interrupt.value.enable),
        ]
        with m.If(registers.status.write & registers.status.write_bytes[0]):
            with m.If(registers.status.write_value.done):
                m.d.sync += status.done.eq(0)
            with m.If(registers.status.write_value.error):
                m.d.sync += status.error.eq(0)

        source = Signal(self._addr_width)
        destination = Signal(self._addr_width)
        left = Signal(64)

        # A chunk ends where the source or the destination meets a multiple of the burst length: never across 4 KiB.
        room_bits = self._burst_bytes.bit_length() - 1
        to_boundary = Signal(range(self._burst_bytes + 1))
        chunk = Signal.like(to_boundary)
        most = Mux(
            source[:room_bits] > destination[:room_bits],
            self._burst_bytes - source[:room_bits],
            self._burst_bytes - destination[:room_bits],
        )
        end = Signal(range(self._burst_bytes + 8))
        m.d.comb += [to_boundary.eq(most), end.eq(source[:3] + chunk)]

        read_taken, write_taken, data_taken = Signal(), Signal(), Signal()
        beat = Signal(8)
        last_beat = Signal(8)
        first_lanes = (Const(0xFF, 8) << source[:3])[:8]
        last_lanes = Const(0xFF, 8) >> ~(end - 1)[:3]
        m.d.comb += [
            last_beat.eq((end - 1)[3:]),
            bus.ar.payload.addr.eq(Cat(Const(0, 3), source[3:])),
            bus.aw.payload.addr.eq(Cat(Const(0, 3), destination[3:])),
            bus.w.payload.last.eq(beat == last_beat),
            bus.w.payload.data.eq(words.r_data),
            bus.w.payload.strb.eq(
                Mux(beat == 0, first_lanes, 0xFF) & Mux(bus.w.payload.last, last_lanes, 0xFF),
            ),
            words.w_data.eq(bus.r.payload.data),
            words.w_en.eq(bus.r.valid),
            bus.r.ready.eq(words.w_rdy),
        ]
        for address in (bus.ar.payload, bus.aw.payload):
            m.d.comb += [address.len.eq(last_beat), address.size.eq(3), address.burst.eq(axi4.Burst.INCR)]
        with m.If(bus.r.valid & bus.r.ready & (bus.r.payload.resp != axi4.Resp.OKAY)):
            m.d.sync += status.error.eq(1)

        with m.FSM():
            with m.State("Wait for a start"):
                m.d.sync += [
                    source.eq(registers.source.value),
                    destination.eq(registers.destination.value),
                    left.eq(registers.length.value),
                ]
                with m.If(registers.command.write & registers.command.write_value.start):
                    m.d.sync += status.busy.eq(1)
                    m.next = "Plan a chunk"

            with m.State("Plan a chunk"):
                m.d.sync += [
                    chunk.eq(Mux(left < to_boundary, left, to_boundary)),
                    beat.eq(0),
                    read_taken.eq(0),
                    write_taken.eq(0),
                    data_taken.eq(0),
                ]
                with m.If(source[:3] != destination[:3]):
                    m.d.sync += status.error.eq(1)
                with m.If((left == 0) | status.error | (source[:3] != destination[:3])):
                    m.d.sync += [status.busy.eq(0), status.done.eq(1)]
                    m.next = "Wait for a start"
                with m.Else():
                    m.next = "Copy the chunk"

            with m.State("Copy the chunk"):
                m.d.comb += [
                    bus.ar.valid.eq(~read_taken),
                    bus.aw.valid.eq(~write_taken),
                    bus.w.valid.eq(words.r_rdy & ~data_taken),
                    words.r_en.eq(bus.w.ready & ~data_taken),
                ]
                with m.If(bus.ar.ready):
                    m.d.sync += read_taken.eq(1)
                with m.If(bus.aw.ready):
                    m.d.sync += write_taken.eq(1)
                with m.If(bus.w.valid & bus.w.ready):
                    m.d.sync += [beat.eq(beat + 1), data_taken.eq(bus.w.payload.last)]
                with m.If(write_taken & data_taken):
                    m.next = "Wait for the write"

            with m.State("Wait for the write"):
                m.d.comb += bus.b.ready.eq(1)
                with m.If(bus.b.valid):
                    m.d.sync += [
                        source.eq(source + chunk),
                        destination.eq(destination + chunk),
                        left.eq(left - chunk),
                    ]
                    with m.If(bus.b.payload.resp != axi4.Resp.OKAY):
                        m.d.sync += status.error.eq(1)
                    m.next = "Plan a chunk"
        return m
