"""Real-time clock (google,goldfish-rtc): nanoseconds since 1970-01-01 UTC, and an alarm.

The registers are described in `rtl.registers.goldfish_rtc`.
"""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.bus import register_bus
from rtl.periph.rate import Rate
from rtl.registers import goldfish_rtc
from rtl.registers.decoder import RegisterDecoder

NANOSECONDS_HZ = 1_000_000_000


class Rtc(wiring.Component):
    """The real-time clock.

    The alarm raises the interrupt when the time has reached it, and is then disarmed; the interrupt stays until
    software clears it, and shows only while enabled.

    Parameters
    ----------
    clock_hz : int
        Nominal clock frequency.

    Members
    -------
    bus : In(register_bus)
        The registers.
    initial_time : In(64)
        Time at reset, taken in the first cycle after it.
    interrupt : Out(1)
        Level interrupt.
    """

    def __init__(self, *, clock_hz: int):
        self.clock_hz = clock_hz
        super().__init__(
            {
                "bus": In(register_bus.Signature(addr_width=12)),
                "initial_time": In(64),
                "interrupt": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.rate = rate = Rate(ticks_hz=NANOSECONDS_HZ, clock_hz=self.clock_hz)
        m.submodules.registers = registers = RegisterDecoder(goldfish_rtc.Registers, addr_width=12)
        wiring.connect(m, wiring.flipped(self.bus), registers.bus)

        running = Signal()
        time = Signal(64)
        m.d.sync += [running.eq(1), time.eq(time + rate.ticks)]
        with m.If(~running):
            m.d.sync += time.eq(self.initial_time)

        # Reading the low half holds the high half; one 64-bit access reads both at once.
        held_high = Signal(32)
        m.d.comb += [
            registers.time_low.value.eq(time[:32]),
            registers.time_high.value.eq(held_high),
        ]
        with m.If(registers.time_low.read):
            m.d.comb += registers.time_high.value.eq(time[32:])
            m.d.sync += held_high.eq(time[32:])
        with m.If(registers.time_low.write):
            m.d.sync += time[:32].eq(registers.time_low.write_value)
        with m.If(registers.time_high.write):
            m.d.sync += time[32:].eq(registers.time_high.write_value)

        alarm = Signal(64)
        armed = Signal()
        pending = Signal()
        m.d.comb += [
            registers.alarm_low.value.eq(alarm[:32]),
            registers.alarm_status.value.armed.eq(armed),
            self.interrupt.eq(pending & registers.irq_enabled.value.enabled),
        ]
        with m.If(armed & (time >= alarm)):
            m.d.sync += [armed.eq(0), pending.eq(1)]
        with m.If(registers.alarm_low.write):
            m.d.sync += [alarm.eq(Cat(registers.alarm_low.write_value, registers.alarm_high.value)), armed.eq(1)]
        with m.If(registers.clear_alarm.write):
            m.d.sync += armed.eq(0)
        with m.If(registers.clear_interrupt.write):
            m.d.sync += pending.eq(0)
        return m
