"""The console: a 16550 UART with FIFOs (ns16550a).

    THR --> transmit FIFO --+--> tx stream                    rx stream --+--> receive FIFO --> RBR
                            +-- loopback (MCR) -----------------------------+

Bytes leave and enter as streams: the simulation's harness takes them as they are, a board puts
`rtl.phy.uart_serial` behind, which makes start and stop bits. The registers are described in `rtl.registers.ns16550`.

Where the PC16550D data sheet leaves room, behaviour is that of QEMU's model, which every driver has met: THRE
interrupts again when IER enables it while the transmitter is empty; the receive timeout comes before received data in
IIR; a read of the empty receive FIFO gives 0; in loopback the modem inputs show the outputs and no delta bits. Modem
inputs are constant (CTS, DSR and DCD on). Parity, framing and break never are received: the outside hands over bytes.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.bus import register_bus
from rtl.periph.byte_fifo import ByteFifo
from rtl.periph.rate import Rate
from rtl.registers import ns16550
from rtl.registers.decoder import RegisterDecoder, layout
from rtl.registers.ns16550 import InterruptId, TriggerLevel

CRYSTAL_HZ = 3_686_400
"""Input clock of the baud rate generator, 16 times the rate of divisor 1; the device tree's clock-frequency."""

FIFO_DEPTH = 16
TIMEOUT_CHARACTERS = 4

MODEM_INPUTS = ns16550.Registers.msr.reset


class Uart(wiring.Component):
    """16550 UART (PC16550D data sheet, section 8).

    Parameters
    ----------
    clock_hz : int
        Nominal clock frequency, for the receive timeout.

    Members
    -------
    bus : In(register_bus)
        The registers. Of a wide access the lowest byte counts, the others read as zero (as on QEMU).
    tx : Out(stream(8)), rx : In(stream(8))
        The bytes sent and received. `rx` waits while there is no room, and until software has set up or looked at the
        receiver, so nothing is lost on this side of the line: not what was typed before the machine had started.
    tx_busy : In(1)
        The line is still sending a byte taken from `tx`: holds back LSR's transmitter_empty.
    rx_overrun : In(1)
        The line lost a byte, because `rx` waited: LSR's overrun.
    divisor : Out(16)
        DLM and DLL.
    line_control : Out
        LCR.
    interrupt : Out(1)
        Level interrupt.
    """

    def __init__(self, *, clock_hz: int):
        self.clock_hz = clock_hz
        super().__init__(
            {
                "bus": In(register_bus.Signature(addr_width=8)),
                "tx": Out(stream.Signature(8)),
                "rx": In(stream.Signature(8)),
                "tx_busy": In(1),
                "rx_overrun": In(1),
                "divisor": Out(16),
                "line_control": Out(layout(ns16550.Registers.lcr)),
                "interrupt": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.registers = registers = RegisterDecoder(ns16550.Registers, addr_width=8)
        m.submodules.transmit = transmit = ByteFifo(depth=FIFO_DEPTH)
        m.submodules.receive = receive = ByteFifo(depth=FIFO_DEPTH)

        wiring.connect(m, wiring.flipped(self.bus), registers.bus)
        m.d.comb += registers.bus.mask.eq(self.bus.mask & -self.bus.mask)  # the lowest byte only

        lcr, mcr, ier, lsr, iir = registers.lcr, registers.mcr, registers.ier, registers.lsr, registers.iir
        m.d.comb += [
            self.divisor.eq(Cat(registers.dll.value, registers.dlm.value)),
            self.line_control.eq(lcr.value),
        ]
        loop = mcr.value.loop

        # FIFO control (8.5)
        fifos_enabled = Signal()
        trigger = Signal(TriggerLevel)
        clear_receive = Signal()
        clear_transmit = Signal()
        fcr = registers.fcr
        with m.If(fcr.write):
            toggled = fcr.write_value.enable != fifos_enabled
            m.d.comb += [
                clear_receive.eq(fcr.write_value.clear_receive | toggled),
                clear_transmit.eq(fcr.write_value.clear_transmit | toggled),
            ]
            m.d.sync += [fifos_enabled.eq(fcr.write_value.enable), trigger.eq(fcr.write_value.trigger)]

        # Transmitter. Without FIFOs a byte written over another replaces it; a full FIFO drops it.
        thr_write = registers.thr.write
        transmit_empty = transmit.level == 0
        sent = Signal()
        m.d.comb += [
            transmit.push_data.eq(registers.thr.write_value),
            transmit.push.eq(thr_write & ~(fifos_enabled & (transmit.level == FIFO_DEPTH))),
            transmit.clear.eq(clear_transmit | (thr_write & ~fifos_enabled)),
            self.tx.payload.eq(transmit.head),
            self.tx.valid.eq(~transmit_empty & ~loop),
            sent.eq(~transmit_empty & (loop | self.tx.ready)),
            transmit.pop.eq(sent),
        ]

        # Receiver. Without FIFOs there is one byte, which keeps its value after it has been read.
        rbr = Signal(8)
        rbr_full = Signal()
        received = Signal()
        received_data = Signal(8)
        overrun = Signal()
        room = Mux(fifos_enabled, receive.level != FIFO_DEPTH, ~rbr_full)
        data_ready = Mux(fifos_enabled, receive.level != 0, rbr_full)
        rbr_read = registers.rbr.read
        # Software has set up or looked at the receiver: enabling the FIFOs forgets what came before.
        listening = Signal()
        with m.If(fcr.write | rbr_read | lsr.read | (ier.write & ier.write_value.received_data)):
            m.d.sync += listening.eq(1)
        m.d.comb += [
            self.rx.ready.eq(room & ~loop & listening),
            received.eq(Mux(loop, sent, self.rx.valid & self.rx.ready)),
            received_data.eq(Mux(loop, transmit.head, self.rx.payload)),
            receive.push_data.eq(received_data),
            receive.push.eq(received & fifos_enabled & room),
            receive.pop.eq(rbr_read & fifos_enabled & data_ready),
            receive.clear.eq(clear_receive),
            registers.rbr.value.eq(Mux(fifos_enabled, Mux(data_ready, receive.head, 0), rbr)),
        ]
        with m.If(rbr_read | clear_receive):
            m.d.sync += rbr_full.eq(0)
        with m.If(received & ~fifos_enabled):
            m.d.sync += [rbr.eq(received_data), rbr_full.eq(1)]
        with m.If(lsr.read):
            m.d.sync += overrun.eq(0)
        with m.If((received & ~room) | self.rx_overrun):
            m.d.sync += overrun.eq(1)

        # Receive timeout (8.6.1): four characters' time without a byte coming or going, and some are there.
        timeout_pending = Signal()
        m.submodules.timeout = timeout = ReceiveTimeout(clock_hz=self.clock_hz)
        m.d.comb += [
            timeout.divisor.eq(self.divisor),
            timeout.line_control.eq(self.line_control),
            timeout.restart.eq(fifos_enabled & (received | rbr_read)),
            timeout.run.eq(fifos_enabled & (receive.level != 0) & ~timeout_pending),
        ]
        with m.If(timeout.expired):
            m.d.sync += timeout_pending.eq(1)
        with m.If(rbr_read | clear_receive):
            m.d.sync += timeout_pending.eq(0)

        # THR empty: pending when the transmitter runs empty, when IER turns it on while it is, or FCR empties it.
        thr_empty_pending = Signal()
        with m.If((iir.read & (iir.value.id == InterruptId.THR_EMPTY) & ~iir.value.none_pending) | thr_write):
            m.d.sync += thr_empty_pending.eq(0)
        with m.If((sent & (transmit.level == 1) & ~thr_write) | clear_transmit):
            m.d.sync += thr_empty_pending.eq(1)
        with m.If(ier.write & (ier.write_value.thr_empty != ier.value.thr_empty)):
            m.d.sync += thr_empty_pending.eq(ier.write_value.thr_empty & transmit_empty)

        m.d.comb += [
            lsr.value.data_ready.eq(data_ready),
            lsr.value.overrun.eq(overrun),
            lsr.value.thr_empty.eq(transmit_empty),
            lsr.value.transmitter_empty.eq(transmit_empty & ~self.tx_busy),
            # In loopback the four modem outputs are the four modem inputs (8.7).
            registers.msr.value.eq(
                Mux(loop, Cat(Const(0, 4), mcr.value.rts, mcr.value.dtr, mcr.value.out1, mcr.value.out2), MODEM_INPUTS)
            ),
        ]

        # Interrupt identification (8.6), highest priority first.
        level_reached = Signal()
        with m.Switch(trigger):
            with m.Case(TriggerLevel.BYTES_1):
                m.d.comb += level_reached.eq(receive.level != 0)
            with m.Case(TriggerLevel.BYTES_4):
                m.d.comb += level_reached.eq(receive.level >= 4)
            with m.Case(TriggerLevel.BYTES_8):
                m.d.comb += level_reached.eq(receive.level >= 8)
            with m.Case(TriggerLevel.BYTES_14):
                m.d.comb += level_reached.eq(receive.level >= 14)
        m.d.comb += iir.value.fifos_enabled.eq(fifos_enabled.replicate(2))
        with m.If(ier.value.line_status & overrun):
            m.d.comb += iir.value.id.eq(InterruptId.LINE_STATUS)
        with m.Elif(ier.value.received_data & timeout_pending):
            m.d.comb += iir.value.id.eq(InterruptId.RECEIVE_TIMEOUT)
        with m.Elif(ier.value.received_data & data_ready & (~fifos_enabled | level_reached)):
            m.d.comb += iir.value.id.eq(InterruptId.RECEIVED_DATA)
        with m.Elif(ier.value.thr_empty & thr_empty_pending):
            m.d.comb += iir.value.id.eq(InterruptId.THR_EMPTY)
        with m.Else():
            m.d.comb += iir.value.none_pending.eq(1)  # the modem inputs never change
        m.d.comb += self.interrupt.eq(~iir.value.none_pending)
        return m


class ReceiveTimeout(wiring.Component):
    """Measures four characters' time, of which the length follows from divisor and LCR.

    Members
    -------
    divisor, line_control : In
        The line's settings.
    run : In(1)
        Time passes.
    restart : In(1)
        Starts over.
    expired : Out(1)
        One cycle: the time is over.
    """

    def __init__(self, *, clock_hz: int):
        self.clock_hz = clock_hz
        super().__init__(
            {
                "divisor": In(16),
                "line_control": In(layout(ns16550.Registers.lcr)),
                "run": In(1),
                "restart": In(1),
                "expired": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.rate = rate = Rate(ticks_hz=CRYSTAL_HZ // 16, clock_hz=self.clock_hz)

        # start bit, 5..8 data bits, parity, 1 or 2 stop bits
        lcr = self.line_control
        bits = Signal(range(12 * TIMEOUT_CHARACTERS + 1))
        character_bits = 7 + lcr.word_length + lcr.parity_enable + lcr.stop_bits
        tick = Signal(17)
        bit = Signal.like(bits)
        m.d.comb += [bits.eq(character_bits * TIMEOUT_CHARACTERS), rate.run.eq(self.run)]
        with m.If(self.restart):
            m.d.sync += [tick.eq(0), bit.eq(0)]
        with m.Elif(self.run):
            m.d.sync += tick.eq(tick + rate.ticks)
            with m.If(tick >= self.divisor):
                m.d.sync += [tick.eq(tick + rate.ticks - self.divisor), bit.eq(bit + 1)]
            with m.If(bit == bits):
                m.d.comb += self.expired.eq(1)
        return m
