"""The instruction decoder, generated from the table in `isa`.

Built as small read-only tables instead of a comparator per instruction: a simulator does a handful of indexed loads a
cycle, and synthesis turns constant tables into shared logic. The first table is addressed by opcode and funct3 and
settles most instructions; four others refine where several instructions share these bits:

    opcode, funct3 ------------> first ----------------------------+--> fields, legal
    opcode, funct3, funct7 ----> arithmetic --> rs2: unary --------+    (register and shift-immediate operations)
    funct5 --------------------> atomic ---------------------------+    (LR, SC, AMO)
    funct12 -------------------> privileged -----------------------+    (ECALL ... SFENCE.VMA)

Fields that are bits of the instruction (access size, AMO operation, ...) are wires; the table is checked for that.
"""

from collections.abc import Callable

from amaranth.hdl import C, Cat, Module, Mux, Value
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory as Rom
from amaranth.lib.wiring import In, Out

from .interfaces import AluOp, AmoOp, Branch, Control, CsrOp, DivOp, Memory, MulOp, OperandA, OperandB, System, Unit
from .isa import INSTRUCTIONS, Format, Instruction

OPCODE_AMO, OPCODE_SYSTEM = 0x2F, 0x73
# funct7 bits that tell the arithmetic instructions apart; the other three are 0 in all of them
FUNCT7_KEY = (0, 2, 4, 5)


class First(data.Struct):
    """Entry of the first table."""

    legal: 1
    arithmetic: 1  # unit, word and alu come from the arithmetic table
    plain_funct7: 1  # the bits of funct7 that are in no key must be 0
    atomic: 1
    privileged: 1
    reads_rs1: 1
    reads_rs2: 1
    writes: 1
    i: 1  # immediate format, one hot; none for 0
    s: 1
    b: 1
    u: 1
    j: 1
    unit: Unit
    word: 1
    alu: AluOp
    operand_a: OperandA
    operand_b: OperandB
    branch: Branch
    memory: Memory
    system: System


class Arithmetic(data.Struct):
    """Entry of the arithmetic table; `unary` is 0 or the number of a group whose members differ in the rs2 field."""

    legal: 1
    unit: Unit
    word: 1
    alu: AluOp
    unary: 3


class Opcode(data.Struct):
    """Entry of the table of opcodes: what is wanted early."""

    operand_a: OperandA
    operand_b: OperandB
    i: 1
    s: 1
    b: 1
    u: 1
    j: 1


_BY_OPCODE = ("operand_a", "operand_b", "i", "s", "b", "u", "j")


class Unary(data.Struct):
    """Entry of the table of operations with one operand."""

    legal: 1
    alu: AluOp


class Atomic(data.Struct):
    """Entry of the table of atomics."""

    legal: 1
    memory: Memory


class Privileged(data.Struct):
    """Entry of the table of privileged instructions."""

    legal: 1
    system: System


# Control fields that are bits of the instruction, by bit number from the lowest
DIRECT: dict[str, tuple[int, ...]] = {
    "size": (12, 13),
    "unsigned": (14,),
    "amo": (29, 30, 31, 27),
    "mul": (12, 13),
    "div": (12, 13),
    "csr": (12, 13),
    "csr_immediate": (14,),
}


def _common(rows: list[Instruction], name: str, default: object) -> object:
    """The value of a control field in which all rows that have it agree."""
    values = {row.control[name] for row in rows if name in row.control}
    if len(values) > 1:
        raise ValueError(f"{name} differs among {[row.name for row in rows]}: the decoder has no table that tells them")
    return values.pop() if values else default


def _rows(condition: Callable[[Instruction], bool]) -> list[Instruction]:
    return [row for row in INSTRUCTIONS if condition(row)]


def _agrees(row: Instruction, bits: dict[int, int]) -> bool:
    """Whether the row can have these values in these bits."""
    return all(not row.mask >> bit & 1 or (row.match >> bit & 1) == value for bit, value in bits.items())


def _bits(low: int, count: int, value: int) -> dict[int, int]:
    return {low + n: value >> n & 1 for n in range(count)}


def _is_shift_or_register(rows: list[Instruction]) -> bool:
    return any(row.mask >> 26 & 1 for row in rows)


def _arithmetic_opcode(opcode: int) -> bool:
    return opcode & 0x57 == 0x13


def first_table() -> list[dict]:
    """Contents of the first table, addressed by opcode bits 6..2 and funct3."""
    table = []
    for key in range(256):
        opcode, funct3 = (key & 31) << 2 | 3, key >> 5
        here = _bits(0, 7, opcode) | _bits(12, 3, funct3)
        rows = _rows(lambda row: _agrees(row, here))  # noqa: B023
        if not rows:
            table.append({})
            continue
        arithmetic = _arithmetic_opcode(opcode)
        atomic = opcode == OPCODE_AMO
        privileged = opcode == OPCODE_SYSTEM and funct3 == 0
        formats = {row.format for row in rows if row.name != "zext.h"}
        if len(formats) != 1:
            raise ValueError(f"immediate formats differ among {[row.name for row in rows]}")
        entry = {
            "legal": 1,
            "arithmetic": arithmetic,
            "plain_funct7": arithmetic and _is_shift_or_register(rows),
            "atomic": atomic,
            "privileged": privileged,
            "reads_rs1": any("rs1" in row.reads for row in rows),
            "reads_rs2": any("rs2" in row.reads for row in rows),
            "writes": any(row.writes for row in rows),
            "operand_a": _common(rows, "operand_a", OperandA.RS1),
            "operand_b": _common(rows, "operand_b", OperandB.RS2),
            "branch": _common(rows, "branch", Branch.NONE),
        }
        if not arithmetic:
            for name, default in (("unit", Unit.ALU), ("word", 0), ("alu", AluOp.ADD)):
                entry[name] = _common(rows, name, default)
        if not atomic:
            entry["memory"] = _common(rows, "memory", Memory.NONE)
        if not privileged:
            entry["system"] = _common(rows, "system", System.NONE)
        format_ = formats.pop()
        if format_ is not Format.NONE:
            entry[format_.name.lower()] = 1
        table.append(entry)
    return table


def opcode_table() -> list[dict]:
    """What the first table says whatever funct3 is, addressed by opcode bits 6..2: one level of logic."""
    first = first_table()
    table: list[dict] = []
    for opcode in range(32):
        rows = [row for row in first[opcode::32] if row]
        entry: dict = {}
        for row in rows:
            for name, value in row.items():
                if name in _BY_OPCODE and entry.setdefault(name, value) != value:
                    raise ValueError(f"{name} differs among instructions of opcode {opcode << 2 | 3:#x}")
        table.append(entry)
    return table


def arithmetic_tables() -> tuple[list[dict], list[dict]]:
    """Contents of the arithmetic table and of the one for operations with one operand.

    The first is addressed by opcode bits 3 and 5, funct3 and the key bits of funct7; the second by rs2 and group.
    """
    table: list[dict] = []
    unary: list[dict] = [{} for _ in range(256)]
    groups = 0
    for key in range(512):
        here = {0: 1, 1: 1, 2: 0, 3: key & 1, 4: 1, 5: key >> 1 & 1, 6: 0} | _bits(12, 3, key >> 2)
        here |= {25 + bit: 0 for bit in range(7)} | {25 + bit: key >> 5 + n & 1 for n, bit in enumerate(FUNCT7_KEY)}
        rows = _rows(lambda row: _agrees(row, here))  # noqa: B023
        if not rows:
            table.append({})
        elif len(rows) == 1 and not rows[0].mask >> 20 & 1:
            control = rows[0].control
            entry = {"legal": 1, "unit": control["unit"], "word": control["word"]}
            table.append(entry | {"alu": control.get("alu", AluOp.ADD)})
        else:
            if not all(row.mask >> 20 & 31 == 31 for row in rows):
                raise ValueError(f"{[row.name for row in rows]} cannot be told apart by rs2")
            groups += 1
            for row in rows:
                unary[row.match >> 20 & 31 | groups << 5] = {"legal": 1, "alu": row.control["alu"]}
            table.append({"legal": 1, "unit": Unit.ALU, "word": _common(rows, "word", 0), "unary": groups})
    if groups > 7:
        raise ValueError(f"{groups} groups of unary operations do not fit 3 bits")
    return table, unary


def atomic_table() -> list[dict]:
    """Contents of the table of atomics, addressed by funct5."""
    table: list[dict] = []
    for funct5 in range(32):
        here = _bits(0, 7, OPCODE_AMO) | _bits(27, 5, funct5)
        rows = _rows(lambda row: _agrees(row, here))  # noqa: B023
        table.append({"legal": 1, "memory": _common(rows, "memory", Memory.NONE)} if rows else {})
    return table


def privileged_table() -> list[dict]:
    """Contents of the table of privileged instructions, addressed by bits 20, 21, 22, 25, 28, 29."""
    table: list[dict] = []
    for key in range(64):
        here = _bits(0, 7, OPCODE_SYSTEM) | _bits(12, 3, 0) | _bits(20, 3, key)
        here |= {25: key >> 3 & 1, 28: key >> 4 & 1, 29: key >> 5 & 1}
        rows = _rows(lambda row: _agrees(row, here))  # noqa: B023
        table.append({"legal": 1, "system": _common(rows, "system", System.NONE)} if rows else {})
    return table


def _check_direct() -> None:
    for row in INSTRUCTIONS:
        for name, bits in DIRECT.items():
            value = row.control.get(name)
            if value is None:
                continue
            value = getattr(value, "value", value)
            for n, bit in enumerate(bits):
                if not row.mask >> bit & 1 or (row.match >> bit & 1) != (value >> n & 1):
                    raise ValueError(f"{row.name}: {name} is not in bits {bits} of the instruction")


class Decoder(wiring.Component):
    """Decodes one 32-bit instruction. Combinational.

    Members
    -------
    insn : In(32)
        The instruction, expanded if it was compressed.
    compressed : In(1)
        It was; goes to `control.compressed`.
    compressed_illegal : In(1)
        The expander found a reserved encoding: `control.illegal`.
    control : Out(Control)
        What to do. Register numbers are 0 where the instruction reads or writes none.
    immediate : Out(64)
        The sign-extended immediate, 0 for formats that have none.
    rs1, rs2 : Out(5)
        The register fields as they stand, early: for the register file, which may read in vain.
    """

    insn: In(32)
    compressed: In(1)
    compressed_illegal: In(1)
    control: Out(Control)
    immediate: Out(64)
    rs1: Out(5)
    rs2: Out(5)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        _check_direct()
        insn, control = self.insn, self.control
        rd, rs1, rs2 = insn[7:12], insn[15:20], insn[20:25]
        m.d.comb += [self.rs1.eq(rs1), self.rs2.eq(rs2)]

        def rom(name: str, shape: type[data.Struct], rows: list[dict], key: Value) -> data.View:
            memory = m.submodules[name] = Rom(shape=shape, depth=len(rows), init=rows)
            port = memory.read_port(domain="comb")
            m.d.comb += port.addr.eq(key)
            return port.data

        arithmetic_rows, unary_rows = arithmetic_tables()
        first = rom("first", First, first_table(), Cat(insn[2:7], insn[12:15]))
        by_opcode = rom("by_opcode", Opcode, opcode_table(), insn[2:7])
        funct7_key = Cat(insn[25 + bit] for bit in FUNCT7_KEY)
        arithmetic = rom("arithmetic", Arithmetic, arithmetic_rows, Cat(insn[3], insn[5], insn[12:15], funct7_key))
        unary = rom("unary", Unary, unary_rows, Cat(rs2, arithmetic.unary))
        atomic = rom("atomic", Atomic, atomic_table(), insn[27:32])
        privileged = rom("privileged", Privileged, privileged_table(), Cat(insn[20:23], insn[25], insn[28:30]))
        is_unary = arithmetic.unary.any()

        # --- legality
        funct7_other = Cat(insn[25 + bit] for bit in range(7) if bit not in FUNCT7_KEY).any()
        arithmetic_legal = arithmetic.legal & (unary.legal | ~is_unary) & ~(first.plain_funct7 & funct7_other)
        is_lr = Value.cast(atomic.memory) == Memory.LOAD_RESERVED
        atomic_legal = atomic.legal & ~(is_lr & rs2.any())
        is_sfence = insn[25]
        privileged_legal = (
            privileged.legal
            & ~Cat(insn[26:28], insn[30:32], rd).any()
            & (is_sfence | ~Cat(insn[15:20], insn[23:25]).any())
        )
        legal = (
            first.legal
            & insn[0:2].all()
            & (~first.arithmetic | arithmetic_legal)
            & (~first.atomic | atomic_legal)
            & (~first.privileged | privileged_legal)
        )

        # --- fields
        def bits(name: str) -> Value:
            return Cat(insn[bit] for bit in DIRECT[name])

        read_rs1 = first.reads_rs1 & ~(first.privileged & ~is_sfence)
        read_rs2 = first.reads_rs2 & ~(first.privileged & ~is_sfence)
        unit = Mux(first.arithmetic, Value.cast(arithmetic.unit), Value.cast(first.unit))
        alu = Mux(is_unary, Value.cast(unary.alu), Value.cast(arithmetic.alu))
        memory = Mux(first.atomic, Value.cast(atomic.memory), Value.cast(first.memory))
        system = Mux(first.privileged, Value.cast(privileged.system), Value.cast(first.system))
        # CSRRS and CSRRC of x0 (or of uimm 0) do not write
        csr = Mux((insn[12:14] != 1) & ~rs1.any(), C(CsrOp.READ.value, 2), bits("csr"))
        m.d.comb += [
            control.illegal.eq(~legal | self.compressed_illegal),
            control.unit.eq(Unit(unit)),
            control.rd.eq(Mux(first.writes, rd, 0)),
            control.rs1.eq(Mux(read_rs1, rs1, 0)),
            control.rs2.eq(Mux(read_rs2, rs2, 0)),
            control.word.eq(Mux(first.arithmetic, arithmetic.word, first.word)),
            control.alu.eq(AluOp(Mux(first.arithmetic, alu, Value.cast(first.alu)))),
            control.operand_a.eq(by_opcode.operand_a),
            control.operand_b.eq(by_opcode.operand_b),
            control.branch.eq(first.branch),
            control.memory.eq(Memory(memory)),
            control.size.eq(bits("size")),
            control.unsigned.eq(bits("unsigned")),
            control.amo.eq(AmoOp(bits("amo"))),
            control.mul.eq(MulOp(bits("mul"))),
            control.div.eq(DivOp(bits("div"))),
            control.csr.eq(CsrOp(csr)),
            control.csr_immediate.eq(bits("csr_immediate")),
            control.system.eq(System(system)),
            control.compressed.eq(self.compressed),
        ]

        # --- immediate (Unprivileged figure 2.4), by the ranges of bits that move together
        sign = insn[31] & (by_opcode.i | by_opcode.s | by_opcode.b | by_opcode.u | by_opcode.j)
        m.d.comb += self.immediate.eq(
            Cat(
                Mux(by_opcode.i, insn[20], by_opcode.s & insn[7]),
                Mux(by_opcode.i | by_opcode.j, insn[21:25], Mux(by_opcode.s | by_opcode.b, insn[8:12], 0)),
                Mux(by_opcode.i | by_opcode.s | by_opcode.b | by_opcode.j, insn[25:31], 0),
                Mux(by_opcode.j, insn[20], Mux(by_opcode.b, insn[7], Mux(by_opcode.u, 0, sign))),
                Mux(by_opcode.u | by_opcode.j, insn[12:20], sign.replicate(8)),
                Mux(by_opcode.u, insn[20:31], sign.replicate(11)),
                sign.replicate(33),
            )
        )
        return m
