"""The console's serial line: start and stop bits around the UART's bytes, for boards.

    Uart.tx --> Transmitter --> tx pin            rx pin --> synchroniser --> Receiver --> Uart.rx
                     \\--- 16 ticks a bit: the 16550's crystal, divided by its divisor latch ---/

Speed and format follow the 16550's divisor latch and LCR (PC16550D data sheet, sections 8.1 and 8.3).
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from rtl.periph.rate import Rate
from rtl.periph.uart import CRYSTAL_HZ
from rtl.registers import ns16550
from rtl.registers.decoder import layout

OVERSAMPLING = 16
LINE_CONTROL = layout(ns16550.Registers.lcr)


class UartSerial(wiring.Component):
    """Serialiser and deserialiser of a 16550's line.

    A character with a parity or framing error is dropped: whoever sends noise gets no answer. One that is complete
    while the one before still waits in `rx` is dropped too, and `overrun` says so.

    Parameters
    ----------
    clock_hz : int
        Clock frequency; at least 16 times the fastest bit rate (3.7 MHz for divisor 1).

    Members
    -------
    tx : In(stream(8)), rx : Out(stream(8))
        Bytes to and from the UART.
    divisor : In(16), line_control : In(LCR)
        The UART's settings. Divisor 0 stops the line.
    busy : Out(1)
        A character is being sent.
    overrun : Out(1)
        One cycle: a received character was lost.
    pin_tx : Out(1), pin_rx : In(1)
        The line, 1 when idle. `pin_rx` needs no synchroniser outside.
    """

    def __init__(self, *, clock_hz: int):
        if clock_hz < CRYSTAL_HZ:
            raise ValueError(f"clock_hz must be {CRYSTAL_HZ} or more to sample a bit 16 times, not {clock_hz!r}")
        self.clock_hz = clock_hz
        super().__init__(
            {
                "tx": In(stream.Signature(8)),
                "rx": Out(stream.Signature(8)),
                "divisor": In(16),
                "line_control": In(LINE_CONTROL),
                "busy": Out(1),
                "overrun": Out(1),
                "pin_tx": Out(1, init=1),
                "pin_rx": In(1, init=1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.rate = rate = Rate(ticks_hz=CRYSTAL_HZ, clock_hz=self.clock_hz)
        m.submodules.transmitter = transmitter = Transmitter()
        m.submodules.receiver = receiver = Receiver()
        pin_rx = Signal(init=1)
        m.submodules.synchroniser = FFSynchronizer(self.pin_rx, pin_rx, init=1)

        # 16 ticks a bit
        tick = Signal()
        count = Signal(16)
        with m.If(rate.ticks != 0):
            with m.If(count + 1 >= self.divisor):
                m.d.comb += tick.eq(self.divisor != 0)
                m.d.sync += count.eq(0)
            with m.Else():
                m.d.sync += count.eq(count + 1)

        wiring.connect(m, wiring.flipped(self.tx), transmitter.bytes)
        m.d.comb += [
            transmitter.tick.eq(tick),
            transmitter.line_control.eq(self.line_control),
            self.busy.eq(transmitter.busy),
            receiver.tick.eq(tick),
            receiver.line_control.eq(self.line_control),
            receiver.pin.eq(pin_rx),
        ]
        m.d.sync += self.pin_tx.eq(transmitter.pin & ~self.line_control.send_break)

        with m.If(self.rx.ready):
            m.d.sync += self.rx.valid.eq(0)
        with m.If(receiver.received):
            with m.If(self.rx.valid & ~self.rx.ready):
                m.d.comb += self.overrun.eq(1)
            with m.Else():
                m.d.sync += [self.rx.valid.eq(1), self.rx.payload.eq(receiver.byte)]
        return m


def parity(data: Signal, line_control: object) -> Signal:
    """The parity bit of a character (unused data bits are 0): even, odd, or stuck at the opposite of even_parity."""
    return Mux(line_control.stick_parity, ~line_control.even_parity, data.xor() ^ ~line_control.even_parity)


class Transmitter(wiring.Component):
    """Sends one character after the other.

    Members
    -------
    bytes : In(stream(8))
        What to send; taken when the stop bit of the one before is over.
    tick : In(1)
        16 a bit.
    line_control : In(LCR)
        Format.
    busy, pin : Out(1)
        A character is under way; the line.
    """

    bytes: In(stream.Signature(8))
    tick: In(1)
    line_control: In(LINE_CONTROL)
    busy: Out(1)
    pin: Out(1, init=1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lcr = self.line_control
        data = Signal(8)
        # The bits still to be sent, the next one lowest: start, data, parity, stop, all ones behind.
        shift = Signal(12, init=0xFFF)
        bits_left = Signal(4)
        phase = Signal(range(OVERSAMPLING))
        m.d.comb += [
            data.eq(self.bytes.payload & (0xFF >> ~lcr.word_length)),
            self.busy.eq(bits_left != 0),
            self.bytes.ready.eq(~self.busy),
            self.pin.eq(shift[0]),
        ]
        width = lcr.word_length + 5
        with m.If(self.busy):
            with m.If(self.tick):
                m.d.sync += phase.eq(phase + 1)
                with m.If(phase == OVERSAMPLING - 1):
                    m.d.sync += [shift.eq(Cat(shift[1:], Const(1, 1))), bits_left.eq(bits_left - 1)]
        with m.Elif(self.bytes.valid):
            ones_behind = (0x7FF << width)[:11]
            parity_bit = (lcr.parity_enable & ~parity(data, lcr)) << width
            m.d.sync += [
                shift.eq(Cat(Const(0, 1), (data | ones_behind) & ~parity_bit)),
                bits_left.eq(1 + width + lcr.parity_enable + 1 + lcr.stop_bits),
                phase.eq(0),
            ]
        return m


class Receiver(wiring.Component):
    """Finds characters on the line: each bit is sampled in its middle, half a bit after the start bit's edge and on.

    Members
    -------
    pin : In(1)
        The line, synchronised.
    tick : In(1)
        16 a bit.
    line_control : In(LCR)
        Format.
    received : Out(1), byte : Out(8)
        One cycle: a good character.
    """

    pin: In(1, init=1)
    tick: In(1)
    line_control: In(LINE_CONTROL)
    received: Out(1)
    byte: Out(8)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lcr = self.line_control
        phase = Signal(range(OVERSAMPLING))
        number = Signal(3)
        parity_good = Signal()
        middle = self.tick & (phase == OVERSAMPLING // 2 - 1)
        with m.If(self.tick):
            m.d.sync += phase.eq(phase + 1)

        with m.FSM():
            with m.State("idle"):
                m.d.sync += [phase.eq(0), number.eq(0), self.byte.eq(0), parity_good.eq(1)]
                with m.If(~self.pin):
                    m.next = "start bit"
            with m.State("start bit"):
                with m.If(middle):
                    m.next = "data bits"
                    with m.If(self.pin):
                        m.next = "idle"  # a glitch
            with m.State("data bits"):
                with m.If(middle):
                    m.d.sync += [self.byte.bit_select(number, 1).eq(self.pin), number.eq(number + 1)]
                    with m.If(number == lcr.word_length + 4):
                        m.next = "stop bit"
                        with m.If(lcr.parity_enable):
                            m.next = "parity bit"
            with m.State("parity bit"):
                with m.If(middle):
                    m.d.sync += parity_good.eq(self.pin == parity(self.byte, lcr))
                    m.next = "stop bit"
            with m.State("stop bit"):
                with m.If(middle):
                    m.d.comb += self.received.eq(self.pin & parity_good)
                    m.next = "wait for idle"
            with m.State("wait for idle"):
                with m.If(self.pin):
                    m.next = "idle"
        return m
