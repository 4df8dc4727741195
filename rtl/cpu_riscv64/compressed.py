"""RV64C: turns a 16-bit instruction into the 32-bit one it stands for (Unprivileged chapter 27).

The decoder then knows one instruction set only. The floating-point loads and stores of C are illegal here, and so is
every reserved encoding; hints expand to instructions that write x0. The result is chosen by a tree of two-way
selections over quadrant and funct3: each leaf is used once, so that a simulator need only build the one it takes.
"""

from collections.abc import Sequence

from amaranth.hdl import C, Cat, Module, Mux, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

OP_LOAD, OP_IMM, OP_IMM_32, OP_STORE, OP_REG, OP_LUI, OP_32 = 0x03, 0x13, 0x1B, 0x23, 0x33, 0x37, 0x3B
OP_BRANCH, OP_JALR, OP_JAL, OP_SYSTEM = 0x63, 0x67, 0x6F, 0x73


def _select(index: Value, leaves: Sequence[Value]) -> Value:
    """`leaves[index]` as a tree of multiplexers."""
    if len(leaves) == 1:
        return leaves[0]
    half = len(leaves) // 2
    top = index[len(index) - 1]
    return Mux(top, _select(index[:-1], leaves[half:]), _select(index[:-1], leaves[:half]))


def _i(imm: Value, rs1: Value, funct3: int, rd: Value, opcode: int) -> Value:
    return Cat(C(opcode, 7), rd, C(funct3, 3), rs1, imm)


def _r(funct7: int | Value, rs2: Value, rs1: Value, funct3: int | Value, rd: Value, opcode: int | Value) -> Value:
    funct7 = C(funct7, 7) if isinstance(funct7, int) else funct7
    funct3 = C(funct3, 3) if isinstance(funct3, int) else funct3
    opcode = C(opcode, 7) if isinstance(opcode, int) else opcode
    return Cat(opcode, rd, funct3, rs1, rs2, funct7)


def _s(imm: Value, rs2: Value, rs1: Value, funct3: int) -> Value:
    return Cat(C(OP_STORE, 7), imm[:5], C(funct3, 3), rs1, rs2, imm[5:])


class Expander(wiring.Component):
    """Expands a compressed instruction; a 32-bit one passes unchanged. Combinational.

    Members
    -------
    raw : In(32)
        The instruction stream at the program counter; the upper half does not matter for a compressed instruction.
    insn : Out(32)
        The 32-bit instruction; any value where `illegal`.
    compressed : Out(1)
        The instruction is two bytes long.
    illegal : Out(1)
        Reserved or unimplemented compressed encoding.
    """

    raw: In(32)
    insn: Out(32)
    compressed: Out(1)
    illegal: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        raw = self.raw
        r = raw[:16]

        x0, x2 = C(0, 5), C(2, 5)
        rd = r[7:12]  # rd/rs1, full register number
        rs2 = r[2:7]
        rd_ = Cat(r[7:10], C(1, 2))  # rd'/rs1'
        rs2_ = Cat(r[2:5], C(1, 2))  # rs2', and rd' of loads
        sign = r[12]

        # immediates, in order of their bits in the expanded instruction
        imm6 = Cat(r[2:7], sign.replicate(7))
        shamt = Cat(r[2:7], r[12])
        word_offset = Cat(C(0, 2), r[6], r[10:13], r[5], C(0, 5))
        double_offset = Cat(C(0, 3), r[10:13], r[5:7], C(0, 4))
        load_word_sp = Cat(C(0, 2), r[4:7], r[12], r[2:4], C(0, 4))
        load_double_sp = Cat(C(0, 3), r[5:7], r[12], r[2:5], C(0, 3))
        store_word_sp = Cat(C(0, 2), r[9:13], r[7:9], C(0, 4))
        store_double_sp = Cat(C(0, 3), r[10:13], r[7:10], C(0, 3))
        addi4spn = Cat(C(0, 2), r[6], r[5], r[11:13], r[7:11], C(0, 2))
        addi16sp = Cat(C(0, 4), r[6], r[2], r[5], r[3:5], sign.replicate(3))
        jump = Cat(r[3:6], r[11], r[2], r[7], r[6], r[9:11], r[8], sign)  # bits 1..11
        branch = Cat(r[3:5], r[10:12], r[2], r[5:7], sign)  # bits 1..8

        # a leaf that is illegal may be anything: repeat a neighbour, so that the selection disappears
        q0 = [
            _i(addi4spn, x2, 0, rs2_, OP_IMM),
            _i(double_offset, rd_, 2, rs2_, OP_LOAD),  # c.fld: illegal
            _i(word_offset, rd_, 2, rs2_, OP_LOAD),
            _i(double_offset, rd_, 3, rs2_, OP_LOAD),
            _s(word_offset, rs2_, rd_, 2),  # reserved
            _s(double_offset, rs2_, rd_, 3),  # c.fsd: illegal
            _s(word_offset, rs2_, rd_, 2),
            _s(double_offset, rs2_, rd_, 3),
        ]

        # c.sub, c.xor, c.or, c.and; c.subw, c.addw
        arithmetic = _r(
            Cat(C(0, 5), ~r[5:7].any(), C(0, 1)),
            rs2_,
            rd_,
            Mux(r[12], C(0, 3), Cat(r[5] & r[6], r[6], r[5] | r[6])),
            rd_,
            Mux(r[12], C(OP_32, 7), C(OP_REG, 7)),
        )
        misc = _select(
            r[10:12],
            [
                _i(Cat(shamt, C(0b000000, 6)), rd_, 5, rd_, OP_IMM),
                _i(Cat(shamt, C(0b010000, 6)), rd_, 5, rd_, OP_IMM),
                _i(imm6, rd_, 7, rd_, OP_IMM),
                arithmetic,
            ],
        )
        c_branch = Cat(
            C(OP_BRANCH, 7), sign, branch[0:4], r[13], C(0, 2), rd_, x0, branch[4:7], sign.replicate(3), sign
        )
        q1 = [
            _i(imm6, rd, 0, rd, OP_IMM),
            _i(imm6, rd, 0, rd, OP_IMM_32),
            _i(imm6, x0, 0, rd, OP_IMM),
            Mux(
                rd == 2,
                _i(addi16sp, x2, 0, x2, OP_IMM),
                Cat(C(OP_LUI, 7), rd, r[2:7], sign.replicate(15)),
            ),
            misc,
            Cat(C(OP_JAL, 7), x0, sign.replicate(8), sign, jump[0:10], sign),
            c_branch,
            c_branch,
        ]

        rs2_zero = ~rs2.any()
        jumps = Mux(
            r[12] & ~rd.any(),
            C(0x00100073, 32),  # c.ebreak
            _i(C(0, 12), rd, 0, Cat(r[12], C(0, 4)), OP_JALR),  # c.jr, c.jalr (link in x1)
        )
        moves = _r(0, rs2, Mux(r[12], rd, x0), 0, rd, OP_REG)
        q2 = [
            _i(Cat(shamt, C(0, 6)), rd, 1, rd, OP_IMM),
            _i(load_double_sp, x2, 3, rd, OP_LOAD),  # c.fldsp: illegal
            _i(load_word_sp, x2, 2, rd, OP_LOAD),
            _i(load_double_sp, x2, 3, rd, OP_LOAD),
            Mux(rs2_zero, jumps, moves),
            _s(store_double_sp, rs2, x2, 3),  # c.fsdsp: illegal
            _s(store_word_sp, rs2, x2, 2),
            _s(store_double_sp, rs2, x2, 3),
        ]

        funct3 = r[13:16]
        expanded = Mux(r[1], _select(funct3, q2), Mux(r[0], _select(funct3, q1), _select(funct3, q0)))
        long = r[0] & r[1]
        m.d.comb += [
            self.compressed.eq(~long),
            self.insn.eq(Mux(long, raw, expanded)),
        ]

        no, yes = C(0, 1), C(1, 1)
        rd_zero = ~rd.any()
        no_immediate = ~Cat(r[2:7], r[12]).any()
        bad0 = [~r[5:13].any(), yes, no, no, yes, yes, no, no]
        bad1 = [no, rd_zero, no, no_immediate, r[10:13].all() & r[6], no, no, no]
        bad2 = [no, yes, rd_zero, rd_zero, ~r[12] & rd_zero & rs2_zero, yes, no, no]
        m.d.comb += self.illegal.eq(
            Mux(r[1], ~r[0] & _select(funct3, bad2), Mux(r[0], _select(funct3, bad1), _select(funct3, bad0)))
        )
        return m
