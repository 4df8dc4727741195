"""Counts, minimum and maximum, and byte operations: too long for one stage, too rare to be worth one cycle.

    X  comparison (of the ALU); A --> zeros and ones of its nibbles and bytes --> registers
    M  those, A and B --> result

A trailing count is the leading count of the word turned round.
"""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .interfaces import AluOp


def is_bits(op) -> Value:
    """Whether an ALU operation is done here: group 3 of `AluOp`."""
    return Value.cast(op)[4:6].all()


class Nibble(data.Struct):
    """Four bits: whether one of them is set, and how many zeros are above the first."""

    any: 1
    zeros: 2


class Bits(wiring.Component):
    """CLZ, CTZ, CPOP, ORC.B, REV8, MIN, MAX, MINU, MAXU (Zbb), over two stages.

    Members
    -------
    op : In(AluOp), word : In(1), a : In(64), condition : In(1)
        In X: the operation, its 32-bit form (of the counts), rs1, and the ALU's comparison for a minimum or maximum.
    later_op : In(AluOp), later_word : In(1), later_a, later_b : In(64)
        In M: the same instruction, with rs1 and rs2.
    result : Out(64)
        In M, in the cycle after X; as long as the inputs of X stay, or `hold`.
    hold : In(1)
        Keep what was registered.
    """

    op: In(AluOp)
    word: In(1)
    a: In(64)
    condition: In(1)
    later_op: In(AluOp)
    later_word: In(1)
    later_a: In(64)
    later_b: In(64)
    result: Out(64)
    hold: In(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()

        # --- X
        op = Value.cast(self.op)
        turned = Signal(64)
        m.d.comb += turned.eq(
            Mux(
                op[0],
                Cat(Mux(self.word, C(0xFFFF_FFFF, 32), self.a[:31:-1]), self.a[31::-1]),
                Cat(Mux(self.word, C(0xFFFF_FFFF, 32), self.a[:32]), Mux(self.word, self.a[:32], self.a[32:])),
            )
        )
        nibbles = [Signal(Nibble, name=f"nibble{n}") for n in range(16)]  # from the top
        ones = [Signal(4, name=f"ones{n}") for n in range(8)]
        chooses_a = Signal()
        with m.If(~self.hold):
            m.d.sync += chooses_a.eq(self.condition)
            for n, nibble in enumerate(nibbles):
                four = turned[60 - 4 * n : 64 - 4 * n]
                m.d.sync += [
                    nibble.any.eq(four.any()),
                    nibble.zeros.eq(Cat(~four[3] & (four[2] | ~four[1]), ~four[3] & ~four[2])),
                ]
            for n, count in enumerate(ones):
                byte = self.a.word_select(n, 8)
                m.d.sync += count.eq(sum(byte[1:], byte[0]))

        # --- M
        later = Value.cast(self.later_op)
        groups = [Signal(4, name=f"group{n}") for n in range(4)]  # zeros above the first one, of 16 bits
        found = Signal(4)
        for n, group in enumerate(groups):
            four = nibbles[4 * n : 4 * n + 4]
            m.d.comb += found[n].eq(Cat(nibble.any for nibble in four).any())
            with m.If(four[0].any):
                m.d.comb += group.eq(four[0].zeros)
            with m.Elif(four[1].any):
                m.d.comb += group.eq(four[1].zeros | 4)
            with m.Elif(four[2].any):
                m.d.comb += group.eq(four[2].zeros | 8)
            with m.Else():
                m.d.comb += group.eq(four[3].zeros | 12)
        zeros = Signal(7)
        with m.If(found[0]):
            m.d.comb += zeros.eq(groups[0])
        with m.Elif(found[1]):
            m.d.comb += zeros.eq(groups[1] | 16)
        with m.Elif(found[2]):
            m.d.comb += zeros.eq(groups[2] | 32)
        with m.Elif(found[3]):
            m.d.comb += zeros.eq(groups[3] | 48)
        with m.Else():
            m.d.comb += zeros.eq(64)
        low = (ones[0] + ones[1]) + (ones[2] + ones[3])
        high = (ones[4] + ones[5]) + (ones[6] + ones[7])
        population = Signal(7)
        m.d.comb += population.eq(low + Mux(self.later_word, 0, high))

        a = self.later_a
        with m.If(later[3]):
            m.d.comb += self.result.eq(Mux(chooses_a, a, self.later_b))
        with m.Elif(later[2]):
            or_combined = Cat(a.word_select(n, 8).any().replicate(8) for n in range(8))
            m.d.comb += self.result.eq(Mux(later[1], Cat(a.word_select(n, 8) for n in reversed(range(8))), or_combined))
        with m.Else():
            m.d.comb += self.result.eq(Mux(later[1], population, zeros))
        return m
