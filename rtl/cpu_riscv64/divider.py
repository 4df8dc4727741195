"""The divider: one quotient bit a cycle, eight where they are all 0, and half the work when the dividend is short.

Restoring division on magnitudes. `remainder` and `quotient` form one 128-bit register that is shifted left: the
dividend leaves `quotient` at the top while quotient bits enter at the bottom. The divisor keeps its sign; it is added
instead of subtracted when negative. Early outs, so that common divisions take 10 to 20 cycles instead of 66:

- a dividend below 2**32 (every W form) starts half way;
- while eight more bits of the dividend still leave the remainder below the divisor, the eight quotient bits are 0 and
  are skipped at once. The first failure ends this.

Division by zero is hardly a case of its own: the divisor 0 is never larger, so all quotient bits are 1 and the
remainder is the dividend; only the half that was not worked on must be ones, and the quotient's sign must not be
applied. Overflow is none: the magnitude 2**63 is -2**63.
"""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from .interfaces import DivOp

SKIP = 8


class State(enum.Enum, shape=2):
    """What the divider is doing."""

    IDLE = 0
    MAGNITUDE = 1  # of the dividend
    DIVIDE = 2
    DONE = 3


class Divider(wiring.Component):
    """DIV, DIVU, REM, REMU and their W forms (Unprivileged 13.2).

    Members
    -------
    start : In(1)
        Take the operands and begin; not while `busy` unless with `cancel`.
    cancel : In(1)
        Forget the division that is under way.
    op : In(DivOp)
        Quotient or remainder, signed or not.
    word : In(1)
        The 32-bit form.
    a, b : In(64)
        Dividend and divisor, in the cycle of `start`.
    busy : Out(1)
        Dividing: from the cycle after `start` to the one before `done`.
    done : Out(1)
        `result` is there; both stay until the next `start` or `cancel`.
    result : Out(64)
        The result.
    """

    start: In(1)
    cancel: In(1)
    op: In(DivOp)
    word: In(1)
    a: In(64)
    b: In(64)
    busy: Out(1)
    done: Out(1)
    result: Out(64)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        state = Signal(State)
        remainder = Signal(64)
        quotient = Signal(64)  # the rest of the dividend above the quotient so far
        divisor = Signal(64)
        count = Signal(range(65))  # quotient bits to go
        skipping = Signal()
        want_remainder = Signal()
        word = Signal()
        divisor_negative = Signal()

        is_signed = (self.op == DivOp.DIV) | (self.op == DivOp.REM)

        def extended(operand: Value) -> Value:
            return Cat(operand[:32], Mux(self.word, (operand[31] & is_signed).replicate(32), operand[32:]))

        a, b = Signal(64), Signal(64)
        m.d.comb += [a.eq(extended(self.a)), b.eq(extended(self.b))]

        # one step: shift, try to subtract
        shifted = Signal(64)
        addend = Signal(64)
        difference = Signal(64)
        below = Signal()  # the remainder stays below the divisor
        m.d.comb += [
            shifted.eq(Mux(skipping, Cat(quotient[-SKIP:], remainder[:-SKIP]), Cat(quotient[-1:], remainder[:-1]))),
            addend.eq(divisor ^ (~divisor_negative).replicate(64)),
            difference.eq(shifted + addend + ~divisor_negative),
        ]
        lost = Mux(skipping, remainder[-SKIP:].any(), remainder[-1])
        carry = (shifted[-1] & addend[-1]) | ((shifted[-1] | addend[-1]) & ~difference[-1])
        m.d.comb += below.eq(~lost & ~carry)

        # one negation, for the dividend at the beginning and for the result at the end
        of_remainder = Signal()
        negate = Signal()
        selected = Signal(64)
        magnitude = Signal(64)
        m.d.comb += [
            selected.eq(Mux(of_remainder, remainder, quotient)),
            magnitude.eq((selected ^ negate.replicate(64)) + negate),
            self.result.eq(Cat(magnitude[:32], Mux(word, magnitude[31].replicate(32), magnitude[32:]))),
        ]
        # the dividend's magnitude is below 2**32: known before the magnitude is
        low, high = quotient[:32], quotient[32:]
        short = Mux(negate, high.all() & low.any(), ~high.any())
        by_zero = ~divisor.any()

        m.d.comb += [self.busy.eq((state != State.IDLE) & (state != State.DONE)), self.done.eq(state == State.DONE)]
        with m.Switch(state):
            with m.Case(State.MAGNITUDE):
                m.d.sync += [
                    quotient.eq(Mux(short, Cat(by_zero.replicate(32), magnitude[:32]), magnitude)),
                    negate.eq(Mux(want_remainder, negate, (negate ^ divisor_negative) & ~by_zero)),
                    of_remainder.eq(want_remainder),
                    count.eq(Mux(short, 32, 64)),
                    skipping.eq(1),
                    state.eq(State.DIVIDE),
                ]
            with m.Case(State.DIVIDE):
                with m.If(~skipping):
                    m.d.sync += [
                        remainder.eq(Mux(below, shifted, difference)),
                        quotient.eq(Cat(~below, quotient[:-1])),
                        count.eq(count - 1),
                    ]
                with m.Elif(below):
                    m.d.sync += [
                        remainder.eq(shifted),
                        quotient.eq(Cat(C(0, SKIP), quotient[:-SKIP])),
                        count.eq(count - SKIP),
                    ]
                with m.Else():
                    m.d.sync += skipping.eq(0)
                with m.If(count == Mux(skipping, SKIP, 1)):
                    with m.If(~skipping | below):
                        m.d.sync += state.eq(State.DONE)
        with m.If(self.cancel):
            m.d.sync += state.eq(State.IDLE)
        with m.If(self.start):
            m.d.sync += [
                remainder.eq(0),
                quotient.eq(a),
                divisor.eq(b),
                want_remainder.eq((self.op == DivOp.REM) | (self.op == DivOp.REMU)),
                word.eq(self.word),
                negate.eq(is_signed & a[63]),
                of_remainder.eq(0),
                divisor_negative.eq(is_signed & b[63]),
                state.eq(State.MAGNITUDE),
            ]
        return m
