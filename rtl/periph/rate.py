"""A frequency made from the clock by exact accumulation: what mtime and the RTC count with."""

from fractions import Fraction

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Rate(wiring.Component):
    """How many ticks of a given frequency happen in each clock cycle; right on average without any drift.

    Parameters
    ----------
    ticks_hz : int
        Frequency of the ticks. May be above the clock's: then several ticks fall into one cycle.
    clock_hz : int
        Frequency of the clock.

    Members
    -------
    run : In(1), reset value 1
        Time passes; low, everything stands still, and `ticks` counts for nothing.
    ticks : Out
        Ticks in this cycle: the whole part of ticks_hz / clock_hz, and one more where the fractions have added up.
    """

    def __init__(self, *, ticks_hz: int, clock_hz: int):
        if ticks_hz < 1 or clock_hz < 1:
            raise ValueError(f"frequencies must be positive, not ticks_hz={ticks_hz!r} clock_hz={clock_hz!r}")
        self.rate = Fraction(ticks_hz, clock_hz)
        self.whole = self.rate.numerator // self.rate.denominator
        super().__init__({"run": In(1, init=1), "ticks": Out(range(self.whole + 2))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rest, modulus = self.rate.numerator % self.rate.denominator, self.rate.denominator
        m.d.comb += self.ticks.eq(self.whole)
        if rest:
            # Counts from -modulus to -1, so that reaching zero is the carry.
            width = modulus.bit_length()
            phase = Signal(width, init=(1 << width) - modulus)
            sum_ = Signal(width + 1)
            m.d.comb += sum_.eq(phase + rest)
            with m.If(sum_[-1]):
                m.d.comb += self.ticks.eq(self.whole + 1)
            with m.If(self.run):
                m.d.sync += phase.eq(Mux(sum_[-1], sum_ - modulus, sum_))
        return m
