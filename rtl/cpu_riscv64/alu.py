"""The integer unit of stage X: one adder, one rotator, one counter, one logic block, one result mux.

    A --(<<0..3, zero-extend)--> adder/subtracter --+--> compare --> condition
    A, B or 1 << B ------------> logic -------------+
    A --(word doubled)---------> rotate --> mask ---+--> result --(sign-extend bit 31 of words)-->
    A -------------------------> count, bytes ------+

The operation's encoding (`AluOp`) is the control word, so there is hardly any decoding. Shifts rotate and then mask,
which gives the 32-bit forms, rotations, extensions and BEXT with the same hardware: a word is doubled to 64 bits first,
so that rotating it by any amount brings the right bits into the low half.

Written with 64-bit operations rather than single bits: those are what a simulator compiles well. The carry out of the
subtraction is recovered from the sign bits; a 65th bit would double the simulator's work.
"""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .interfaces import AluOp


def population_count(m: Module, bits: Value) -> Value:
    """The number of ones, by carry-save adders over slices of the word (three slices become a sum and a carry)."""
    columns: list[Value] = [bits]  # columns[n] has bits of weight 2**n
    step = 0
    while any(len(column) > 2 for column in columns):
        parts: list[list[Value]] = [[] for _ in range(len(columns) + 1)]
        for weight, column in enumerate(columns):
            third = len(column) // 3
            if third:
                a, b, c = column[:third], column[third : 2 * third], column[2 * third : 3 * third]
                parts[weight].append(a ^ b ^ c)
                parts[weight + 1].append((a & b) | (c & (a | b)))
            parts[weight].append(column[3 * third :])
        columns = []
        for weight, pieces in enumerate(parts):
            width = sum(len(piece) for piece in pieces)
            if width:
                column = Signal(width, name=f"ones_{step}_{1 << weight}")
                m.d.comb += column.eq(Cat(pieces))
                columns.append(column)
        step += 1
    augend = Cat(column[0] for column in columns)
    addend = Cat(column[1] if len(column) > 1 else C(0, 1) for column in columns)
    return (augend + addend)[: len(bits).bit_length()]


class Alu(wiring.Component):
    """Integer operations of RV64I, Zba, Zbb and Zbs. Combinational.

    Members
    -------
    op : In(AluOp)
        The operation.
    word : In(1)
        Its 32-bit form (ADDW, SRAW, ROLW, CLZW, ...): the low words count, bit 31 of the result is extended.
        Defined for ADD, SUB, SLL, SRL, SRA, ROL, ROR, CLZ, CTZ and CPOP; 0 for all others.
    a, b : In(64)
        Operands.
    result : Out(64)
        The result; any value for EQ, NE, GE and GEU.
    condition : Out(1)
        The comparison EQ, NE, SLT, GE, SLTU or GEU of A and B; any value for other operations.
    """

    op: In(AluOp)
    word: In(1)
    a: In(64)
    b: In(64)
    result: Out(64)
    condition: Out(1)

    @staticmethod
    def _table(m: Module, name: str, rows: list[int], index: Value) -> Value:
        """A mask looked up by its number: a load to a simulator, one or two LUTs a bit to synthesis."""
        memory = m.submodules[name] = Memory(shape=64, depth=len(rows), init=rows)
        port = memory.read_port(domain="comb")
        m.d.comb += port.addr.eq(index)
        return port.data

    def elaborate(self, platform: object) -> Module:
        m = Module()
        a, b, word = self.a, self.b, self.word
        op = Value.cast(self.op)
        group = op[4:6]

        # --- adder, subtracter
        subtract = op[3]
        zero_extended = Signal(64)
        shift_one = op[0] & ~subtract
        shift_two = op[1] & ~subtract
        augend = Signal(64)
        addend = Signal(64)
        total = Signal(64)
        once = Signal(64)
        m.d.comb += [
            zero_extended.eq(Cat(a[:32], Mux(op[2] & ~subtract, 0, a[32:]))),
            once.eq(Mux(shift_one, Cat(C(0, 1), zero_extended[:63]), zero_extended)),
            augend.eq(Mux(shift_two, Cat(C(0, 2), once[:62]), once)),
            addend.eq(Mux(subtract, ~b, b)),
            total.eq(augend + addend + subtract),
        ]

        # --- compare; less-than from the sign bits: where they are equal, the difference's sign tells
        unsigned, negate = op[1], op[0]
        less = Mux(a[63] ^ b[63], Mux(unsigned, b[63], a[63]), total[63])
        m.d.comb += self.condition.eq(Mux(op[2], less, a == b) ^ negate)

        # --- logic; the minima and maxima are a choice of operand
        logic = Signal(64)
        operand = Signal(64)
        minmax = op[5]
        single_bit = Signal(64)
        m.d.comb += [
            single_bit.eq(self._table(m, "single_bit", [1 << n for n in range(64)], b[:6])),
            operand.eq(Mux(op[3] & ~minmax, single_bit, b) ^ (op[2] & ~minmax).replicate(64)),
        ]
        with m.If(minmax):
            m.d.comb += logic.eq(Mux(self.condition, a, b))
        with m.Else():
            m.d.comb += logic.eq(Mux(op[1], Mux(op[0], operand, a & operand), Mux(op[0], a | operand, a ^ operand)))

        # --- rotate and mask
        left, arithmetic, unmasked, special = op[0], op[1], op[2], op[3]
        bit_extract = special & ~arithmetic & ~unmasked
        amount = Signal(6)
        distance = Signal(6)  # to the right
        rotated = Signal(64)
        keep_top = Signal(6)  # bits 0 .. keep_top stay
        keep = Signal(64)
        doubled = Signal(64)
        m.d.comb += [
            amount.eq(Cat(b[:5], b[5] & ~word)),
            distance.eq(Mux(special & ~bit_extract, 0, Mux(left, -amount, amount))),
            doubled.eq(Cat(a[:32], Mux(word, a[:32], Mux(left & arithmetic, 0, a[32:])))),
        ]
        stage: Value = doubled
        for n in range(6):
            following = Signal(64, name=f"rotated_{1 << n}")
            m.d.comb += following.eq(Mux(distance[n], Cat(stage[1 << n :], stage[: 1 << n]), stage))
            stage = following
        m.d.comb += rotated.eq(stage)
        # right by n keeps bits up to 63 - n (31 - n in a word); left by n keeps bits from n: all but up to n - 1
        whole = (unmasked & ~special) | (left & ~distance.any())
        with m.If(special):
            # BEXT keeps bit 0, SEXT.B bits 7..0, SEXT.H and ZEXT.H bits 15..0
            m.d.comb += keep_top.eq(Cat(~bit_extract.replicate(3), unmasked))
        with m.Else():
            m.d.comb += keep_top.eq(Cat(~distance[:5], ~distance[5] & ~(word & ~left)) | whole.replicate(6))
        invert = left & ~whole & ~special
        low_bits = self._table(m, "low_bits", [(2 << n) - 1 for n in range(64)], keep_top)
        m.d.comb += keep.eq(low_bits ^ invert.replicate(64))
        sign = Mux(special, Mux(unmasked, a[15], a[7]), Mux(word, a[31], a[63]))
        fill = arithmetic & ~left & sign
        shifted = Signal(64)
        m.d.comb += shifted.eq((rotated & keep) | (fill.replicate(64) & ~keep))

        # --- counts: halve the word six times towards the first one from the top (CLZ) or from the bottom (CTZ)
        trailing = op[0]
        digits = []
        part: Value = a
        zero = ~Cat(a[:32], Mux(word, 0, a[32:])).any()
        for n in reversed(range(6)):
            half = 1 << n
            low, high = part[:half], part[half:]
            take_high = Signal(name=f"take_high_{half}")
            following = Signal(half, name=f"count_{half}")
            found_high = Mux(trailing, ~low.any(), high.any())
            if n == 5:
                found_high &= ~word
                digits.append(Mux(word, 0, found_high ^ ~trailing))
            else:
                digits.append(take_high ^ ~trailing)
            m.d.comb += [take_high.eq(found_high), following.eq(Mux(take_high, high, low))]
            part = following
        position = Cat(reversed(digits))
        zeros = Mux(zero, Mux(word, 32, 64), position)
        ones = population_count(m, Cat(a[:32], Mux(word, 0, a[32:])))
        counted = Mux(op[1], ones, zeros)

        # --- bytes
        reversed_bytes = Cat(a[8 * n : 8 * n + 8] for n in reversed(range(8)))
        some = [Signal(64, name=f"or_{n}") for n in range(6)]
        m.d.comb += [
            some[0].eq(a | (a >> 4)),
            some[1].eq(some[0] | (some[0] >> 2)),
            some[2].eq((some[1] | (some[1] >> 1)) & 0x0101_0101_0101_0101),
        ]
        for n, by in enumerate((1, 2, 4), start=3):
            m.d.comb += some[n].eq(some[n - 1] | Cat(C(0, by), some[n - 1][: 64 - by]))
        or_combined = some[5]

        # --- result
        value = Signal(64)
        with m.Switch(group):
            with m.Case(0):
                m.d.comb += value.eq(Mux(op[3] & op[2], self.condition, total))
            with m.Case(1):
                m.d.comb += value.eq(logic)
            with m.Case(2):
                m.d.comb += value.eq(shifted)
            with m.Default():
                with m.If(op[3]):
                    m.d.comb += value.eq(logic)
                with m.Elif(op[2]):
                    m.d.comb += value.eq(Mux(op[1], reversed_bytes, or_combined))
                with m.Else():
                    m.d.comb += value.eq(counted)
        m.d.comb += self.result.eq(Cat(value[:32], Mux(word, value[31].replicate(32), value[32:])))
        return m
