"""The pipelined multiplier: four half-by-half products in X, their sum in M.

With A = a1 * 2**32 + a0 and B likewise, the product is a0 b0 + (a1 b0 + a0 b1) 2**32 + a1 b1 2**64. The products are
made of DSP blocks in stage X and kept in registers that are enabled by `start` only, so that nothing moves while no
multiplication runs. a1 and b1 carry a 33rd bit, the sign (or 0 for unsigned operands). Two additions follow each other:

    middle = a1 b0 + a0 b1                                        signed, 66 bits
    product[127:32] = (a1 b1 : a0 b0[63:32]) + middle
"""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .interfaces import MulOp


class Multiplier(wiring.Component):
    """MUL, MULH, MULHSU, MULHU and MULW; one a cycle, result one stage later.

    Members
    -------
    start : In(1)
        A multiplication is in X; ignored while `stall`. It may come again and again with the same operands.
    stall : In(1)
        The instruction in M stays there, and so does `result`.
    op : In(MulOp)
        Which half, and the signedness.
    word : In(1)
        MULW: the low half's bit 31 extended.
    a, b : In(64)
        Operands, in X.
    result : Out(64)
        In M: the cycle after `start`, until the next one.
    """

    start: In(1)
    stall: In(1)
    op: In(MulOp)
    word: In(1)
    a: In(64)
    b: In(64)
    result: Out(64)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        a_sign = Signal()
        b_sign = Signal()
        with m.Switch(self.op):
            with m.Case(MulOp.MULH):
                m.d.comb += [a_sign.eq(self.a[63]), b_sign.eq(self.b[63])]
            with m.Case(MulOp.MULHSU):
                m.d.comb += a_sign.eq(self.a[63])

        a0, a1 = Cat(self.a[:32], 0).as_signed(), Cat(self.a[32:], a_sign).as_signed()
        b0, b1 = Cat(self.b[:32], 0).as_signed(), Cat(self.b[32:], b_sign).as_signed()
        a0b0, a0b1, a1b0, a1b1 = (Signal(64, name=name) for name in ("a0b0", "a0b1", "a1b0", "a1b1"))
        a_negative = Signal()
        b_negative = Signal()
        upper = Signal()
        word = Signal()
        with m.If(self.start & ~self.stall):
            m.d.sync += [
                a0b0.eq(a0 * b0),
                a0b1.eq(a0 * b1),
                a1b0.eq(a1 * b0),
                a1b1.eq(a1 * b1),
                a_negative.eq(a_sign),
                b_negative.eq(b_sign),
                upper.eq(self.op != MulOp.MUL),
                word.eq(self.word),
            ]

        middle = Signal(signed(66))
        upper_part = Signal(96)
        m.d.comb += [
            middle.eq(Cat(a0b1, a0b1[63] & b_negative).as_signed() + Cat(a1b0, a1b0[63] & a_negative).as_signed()),
            upper_part.eq(Cat(a0b0[32:], a1b1) + middle),
            self.result.eq(
                Mux(
                    upper,
                    upper_part[32:],
                    Cat(a0b0[:32], Mux(word, a0b0[31].replicate(32), upper_part[:32])),
                )
            ),
        ]
        return m
