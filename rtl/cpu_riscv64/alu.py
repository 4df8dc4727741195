"""The integer units: one adder, one rotator, one logic block, one OR at the end (counts and minima: `bits`).

    A --> shift left 0..3 --> adder/subtracter --+--> less than?
    A --(word doubled)--> rotate left --> mask --+
    A, B or 1 << B --> logic --------------------+--> result

The operation's encoding (`AluOp`) is nearly the control word. Shifts rotate and then mask, which gives the 32-bit
forms, rotations, extensions and BEXT with the same hardware: a word is doubled to 64 bits first, so that rotating it by
any amount brings the right bits into the low half. SHnADD has a shifter of its own: with the rotator's, the longest way
through the unit would go from the rotation's distance to the sum. A block that is not asked gives 0.

Written with 64-bit operations and small tables of masks rather than single bits: those are what a simulator compiles
well. The carry out of the subtraction is recovered from the sign bits; a 65th bit would double the simulator's work.

The reduced unit, for stage M, has the adder with its comparison and the logic block: what most often follows a load.
"""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, ValueLike
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .interfaces import AluOp


def reduced_has(op) -> Value:
    """Whether the reduced unit has the operation: groups 0 and 1 of `AluOp`, the adder's and the logic's."""
    return ~Value.cast(op)[5]


def less_than(a: Value, b: Value, difference: Value, *, unsigned: Value) -> Value:
    """A < B from the sign bits: where they are equal, that of the 64-bit difference tells."""
    return Mux(a[63] ^ b[63], Mux(unsigned, b[63], a[63]), difference[63])


class AluControl(data.Struct):
    """What the parts of an ALU are to do. Worked out a stage ahead (`alu_control`), for they begin with it."""

    word: 1  # the 32-bit form: the low words count, bit 31 of the result is extended
    sum: 1  # the adder's sum is wanted
    less: 1  # the comparison is wanted
    unsigned: 1
    subtract: 1
    shift_add: 2  # A goes to the adder shifted by so many bits
    zero_extend: 1  # only the low word of A counts
    logic_of_b: 1  # the logic's second operand is B
    single_bit: 1  # or 1 << B
    invert: 1  # or what is not that
    function: 2  # XOR, OR, AND, second operand
    rotating: 1
    turns: 1  # the rotator rotates by B
    right: 1  # to the right
    left: 1
    shift_left: 1
    fills: 1  # with the sign
    top_is_fixed: 1  # the last bit of a rotated word that stays
    top: 6


def alu_control(op: ValueLike, word: ValueLike) -> dict[str, Value]:
    """The fields of `AluControl` for an `AluOp` and its 32-bit form (ADDW, SRAW, ROLW, ...).

    The form is defined for ADD, SUB, SLL, SRL, SRA, ROL and ROR; 0 for all others.
    """
    op = Value.cast(op)
    adding, logical, rotating = op[4:6] == 0, op[4:6] == 1, op[4:6] == 2
    subtract = op[3]
    left, arithmetic, unmasked, special = op[0], op[1], op[2], op[3]
    bit_extract = special & ~arithmetic & ~unmasked
    # BEXT keeps bit 0, SEXT.B bits 7..0, SEXT.H and ZEXT.H bits 15..0
    special_top = Cat((~bit_extract).replicate(3), unmasked, C(0, 2))
    return {
        "word": Value.cast(word),
        "sum": adding & ~(op[3] & op[2]),
        "less": adding & op[3] & op[2],
        "unsigned": op[1],
        "subtract": subtract,
        "shift_add": op[0:2] & (~subtract & ~op[5]).replicate(2),
        "zero_extend": Mux(op[5], rotating & arithmetic & left, op[2] & ~subtract),
        "logic_of_b": logical & ~op[3],
        "single_bit": logical & op[3],
        "invert": logical & op[2],
        "function": Cat(logical & op[0], op[1] | ~logical),
        "rotating": rotating,
        "turns": rotating & (~special | bit_extract),
        "right": rotating & (~special | bit_extract) & ~left,
        "left": left,
        "shift_left": rotating & left & ~unmasked,
        "fills": rotating & arithmetic & ~left,
        "top_is_fixed": special | unmasked,
        "top": Mux(special, special_top, 63),
    }


class Comparator(wiring.Component):
    """The comparisons of branches, minima and maxima. Combinational; sooner than the ALU, which chooses operands.

    Members
    -------
    op : In(AluOp)
        EQ, NE, SLT, GE, SLTU or GEU; of MIN, MAX, MINU and MAXU: whether it is A.
    a, b : In(64)
        Operands.
    condition : Out(1)
        Whether it holds; any value for other operations.
    """

    op: In(AluOp)
    a: In(64)
    b: In(64)
    condition: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        op = Value.cast(self.op)
        difference = Signal(64)
        less = less_than(self.a, self.b, difference, unsigned=op[1])
        m.d.comb += [
            difference.eq(self.a - self.b),
            self.condition.eq(Mux(op[2], less, self.a == self.b) ^ op[0]),
        ]
        return m


class Alu(wiring.Component):
    """Integer operations of RV64I, Zba, Zbb and Zbs but group 3 of `AluOp`. Combinational.

    Parameters
    ----------
    reduced : bool
        Leave out the rotator: `result` is defined where `reduced_has(op)`.

    Members
    -------
    control : In(AluControl)
        What `alu_control` gives for the operation.
    a, b : In(64)
        Operands.
    result : Out(64)
        The result; any value for EQ, NE, GE, GEU, and group 3 of `AluOp`.
    """

    control: In(AluControl)
    a: In(64)
    b: In(64)
    result: Out(64)

    def __init__(self, *, reduced: bool = False):
        self.reduced = reduced
        super().__init__()

    @staticmethod
    def _table(m: Module, name: str, rows: list[int], index: Value) -> Value:
        """A mask looked up by its number: a load to a simulator, one or two LUTs a bit to synthesis."""
        memory = m.submodules[name] = Memory(shape=64, depth=len(rows), init=rows)
        port = memory.read_port(domain="comb")
        m.d.comb += port.addr.eq(index)
        return port.data

    def elaborate(self, platform: object) -> Module:
        m = Module()
        a, b, control = self.a, self.b, self.control
        word = control.word

        # --- adder, subtracter
        extended = Signal(64)
        by_one = Signal(64)
        augend = Signal(64)
        addend = Signal(64)
        total = Signal(64)
        m.d.comb += [
            extended.eq(Cat(a[:32], a[32:] & (~control.zero_extend).replicate(32))),
            by_one.eq(Mux(control.shift_add[0], extended << 1, extended)),
            augend.eq(Mux(control.shift_add[1], by_one << 2, by_one)),
            addend.eq(b ^ control.subtract.replicate(64)),
            total.eq(augend + addend + control.subtract),
        ]

        # --- logic: XOR, OR, AND or B; A & 0 when not asked
        ones = (1 << 64) - 1
        single_bits = self._table(m, "bit_in_byte", [(1 << n) * (ones // 255) for n in range(8)], b[:3])
        single_byte = self._table(
            m, "byte_of_bit", [0] * 8 + [255 << 8 * n for n in range(8)], Cat(b[3:6], control.single_bit)
        )
        operand = Signal(64)
        logic = Signal(64)
        m.d.comb += operand.eq(
            ((b & control.logic_of_b.replicate(64)) | (single_bits & single_byte)) ^ control.invert.replicate(64)
        )
        with m.Switch(control.function):
            with m.Case(0):
                m.d.comb += logic.eq(a ^ operand)
            with m.Case(1):
                m.d.comb += logic.eq(a | operand)
            with m.Case(2):
                m.d.comb += logic.eq(a & operand)
            with m.Case(3):
                m.d.comb += logic.eq(operand)

        # --- result
        sum_ = total & control.sum.replicate(64)
        parts = sum_ | logic | (control.less & less_than(a, b, total, unsigned=control.unsigned))
        if not self.reduced:
            parts |= self._shifted(m, extended)
        value = Signal(64)
        m.d.comb += [
            value.eq(parts),
            self.result.eq(Cat(value[:32], Mux(word, value[31].replicate(32), value[32:]))),
        ]
        return m

    def _shifted(self, m: Module, extended: Value) -> Value:
        """A rotated under its mask: bits up to `top` stay, or to the left of a left shift.

        `extended` is A as `zero_extend` says.
        """
        a, b, control = self.a, self.b, self.control
        word, rotating, shift_left = control.word, control.rotating, control.shift_left
        amount = Signal(6)
        distance = Signal(6)  # to the left
        doubled = Signal(64)
        rotated = Signal(64)
        m.d.comb += [
            amount.eq(Cat(b[:5], b[5] & ~word)),
            distance.eq((amount ^ control.right.replicate(6)) & control.turns.replicate(6)),
            doubled.eq(Cat(a[:32], Mux(word, a[:32], extended[32:]))),
            # to the right by n is to the left by ~n, and by 1
            rotated.eq(Mux(control.right, doubled.rotate_left(1), doubled)),
        ]
        for n, turn in enumerate(distance):
            before, rotated = rotated, Signal(64, name=f"rotated_{1 << n}")
            m.d.comb += rotated.eq(Mux(turn, Cat(before[64 - (1 << n) :], before[: 64 - (1 << n)]), before))
        top = Signal(6)
        last = Mux(control.left, amount, Cat(~amount[:5], ~amount[5] & ~word))
        m.d.comb += top.eq(Mux(control.top_is_fixed, control.top, last))
        ones = (1 << 64) - 1
        in_byte = [(2 << n) - 1 for n in range(8)] + [(1 << n) - 1 for n in range(8)]
        bits = self._table(m, "mask_bits", [row * (ones // 255) for row in in_byte], Cat(top[:3], shift_left))
        byte = self._table(m, "mask_byte", [0] * 8 + [255 << 8 * n for n in range(8)], Cat(top[3:], rotating))
        below = self._table(m, "mask_below", [0] * 8 + [(1 << 8 * n) - 1 for n in range(8)], Cat(top[3:], rotating))
        keep = Signal(64)
        m.d.comb += keep.eq(((bits & byte) | below) ^ shift_left.replicate(64))
        sign = Mux(control.top_is_fixed, Mux(control.top[3], a[15], a[7]), Mux(word, a[31], a[63]))
        fill = control.fills & sign
        return (rotated & keep) | (fill.replicate(64) & ~keep)
