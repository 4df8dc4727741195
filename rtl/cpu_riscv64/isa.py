"""Every instruction of the core in one table, from which the decoder is generated and which can be printed.

RV64I, M, A, Zicsr, Zifencei, Zba, Zbb, Zbs and the privileged instructions. The compressed instructions are not here:
`compressed.Expander` turns them into these. An encoding that no row matches is illegal. Rows follow the unprivileged
specification (chapters 2, 5, 7, 8, 13, 14, 28) and the privileged one (3.3, 10.6); hints are ordinary rows that write
x0.

A row says what the pipeline must know: the fields of `Control`, the immediate's format, the registers it reads and
writes. Where a result is produced and what may flush the pipeline follow from the unit.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from .interfaces import AluOp, AmoOp, Branch, CsrOp, DivOp, Memory, MulOp, OperandA, OperandB, System, Unit


class Format(Enum):
    """Immediate formats (Unprivileged 2.3); NONE gives 0. The values are the decoder's internal code."""

    NONE = 0
    I = 1  # noqa: E741
    S = 2
    B = 3
    U = 4
    J = 5


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    name       assembler mnemonic
    extension  the extension that brings it
    pattern    32 characters from bit 31 down, `0`, `1` or `-` for an operand bit
    format     immediate format
    reads      the register operands it reads, a subset of ("rs1", "rs2")
    writes     it writes rd
    control    the fields of `Control` that are not 0 or that matter, by name
    """

    name: str
    extension: str
    pattern: str
    format: Format
    reads: tuple[str, ...]
    writes: bool
    control: dict[str, Any] = field(hash=False)

    @property
    def mask(self) -> int:
        """Bits that are fixed."""
        return int(self.pattern.replace("0", "1").replace("-", "0"), 2)

    @property
    def match(self) -> int:
        """Their values."""
        return int(self.pattern.replace("-", "0"), 2)

    @property
    def unit(self) -> Unit:
        """Who executes it."""
        return self.control["unit"]

    @property
    def produced(self) -> str:
        """The stage at whose end the result exists: `X`, `M`, or nothing where no register is written."""
        if not self.writes:
            return ""
        return "X" if self.unit in (Unit.ALU, Unit.BRANCH) else "M"

    @property
    def flushes(self) -> str:
        """What may discard younger instructions: a wrong prediction in X, or an effect at the commit point M."""
        if self.control.get("system") is System.FENCE:
            return ""
        return {
            Unit.BRANCH: "mispredict (X)",
            Unit.MEMORY: "trap (M)",
            Unit.CSR: "write, trap (M)",
            Unit.SYSTEM: "always (M)",
        }.get(self.unit, "")

    def matches(self, encoding: int) -> bool:
        """Whether a 32-bit encoding is this instruction."""
        return encoding & self.mask == self.match


def _pattern(*parts: str) -> str:
    text = "".join(parts)
    if len(text) != 32:
        raise ValueError(f"a pattern has 32 characters: {text!r}")
    return text


REGISTER = "-----"
LOAD, MISC_MEM, OP_IMM, AUIPC, OP_IMM_32 = "0000011", "0001111", "0010011", "0010111", "0011011"
STORE, AMO, OP, LUI, OP_32 = "0100011", "0101111", "0110011", "0110111", "0111011"
BRANCH, JALR, JAL, SYSTEM = "1100011", "1100111", "1101111", "1110011"


def _register(name: str, extension: str, funct7: str, funct3: str, word: int = 0, opcode: str = OP, **control: Any):
    control = {"unit": Unit.ALU, "operand_b": OperandB.RS2, "word": word} | control
    pattern = _pattern(funct7, REGISTER, REGISTER, funct3, REGISTER, opcode)
    return Instruction(name, extension, pattern, Format.NONE, ("rs1", "rs2"), True, control)


def _unary(name: str, extension: str, funct12: str, funct3: str, alu: AluOp, word: int = 0, opcode: str = OP_IMM):
    # the function code is in the immediate's place; operand B is not looked at
    control = {"unit": Unit.ALU, "alu": alu, "word": word}
    control["operand_b"] = OperandB.RS2 if opcode == OP_32 else OperandB.IMMEDIATE
    pattern = _pattern(funct12, REGISTER, funct3, REGISTER, opcode)
    return Instruction(name, extension, pattern, Format.NONE if opcode == OP_32 else Format.I, ("rs1",), True, control)


def _immediate(name: str, extension: str, top: str, funct3: str, alu: AluOp, word: int = 0, opcode: str = OP_IMM):
    control = {"unit": Unit.ALU, "alu": alu, "operand_b": OperandB.IMMEDIATE, "word": word}
    pattern = _pattern(top.ljust(12, "-"), REGISTER, funct3, REGISTER, opcode)
    return Instruction(name, extension, pattern, Format.I, ("rs1",), True, control)


def _load(name: str, funct3: str, size: int, unsigned: int):
    control = {"unit": Unit.MEMORY, "alu": AluOp.ADD, "operand_b": OperandB.RS2}
    control |= {"memory": Memory.LOAD, "size": size, "unsigned": unsigned}
    pattern = _pattern("-" * 12, REGISTER, funct3, REGISTER, LOAD)
    return Instruction(name, "I", pattern, Format.I, ("rs1",), True, control)


def _store(name: str, funct3: str, size: int):
    control = {"unit": Unit.MEMORY, "alu": AluOp.ADD, "operand_b": OperandB.RS2}
    control |= {"memory": Memory.STORE, "size": size}
    pattern = _pattern("-" * 7, REGISTER, REGISTER, funct3, REGISTER, STORE)
    return Instruction(name, "I", pattern, Format.S, ("rs1", "rs2"), False, control)


def _branch(name: str, funct3: str, alu: AluOp):
    control = {"unit": Unit.BRANCH, "branch": Branch.CONDITIONAL, "alu": alu, "operand_b": OperandB.RS2, "word": 0}
    pattern = _pattern("-" * 7, REGISTER, REGISTER, funct3, REGISTER, BRANCH)
    return Instruction(name, "I", pattern, Format.B, ("rs1", "rs2"), False, control)


def _atomic(name: str, funct5: str, size: int, memory: Memory, amo: AmoOp | None = None):
    control = {"unit": Unit.MEMORY, "alu": AluOp.ADD, "operand_b": OperandB.RS2}
    control |= {"memory": memory, "size": size}
    if amo is not None:
        control["amo"] = amo
    reads = ("rs1",) if memory is Memory.LOAD_RESERVED else ("rs1", "rs2")
    rs2 = "00000" if memory is Memory.LOAD_RESERVED else REGISTER
    pattern = _pattern(funct5, "--", rs2, REGISTER, f"{size:03b}", REGISTER, AMO)
    return Instruction(f"{name}.{'wd'[size - 2]}", "A", pattern, Format.NONE, reads, True, control)


def _csr(name: str, funct3: str, csr: CsrOp, immediate: int):
    control = {"unit": Unit.CSR, "csr": csr, "csr_immediate": immediate}
    pattern = _pattern("-" * 12, REGISTER, funct3, REGISTER, SYSTEM)
    return Instruction(name, "Zicsr", pattern, Format.NONE, () if immediate else ("rs1",), True, control)


def _system(name: str, extension: str, fixed: str, system: System, reads: tuple[str, ...] = ()):
    control = {"unit": Unit.SYSTEM, "system": system}
    return Instruction(name, extension, _pattern(fixed), Format.NONE, reads, False, control)


def _table() -> tuple[Instruction, ...]:
    rows: list[Instruction] = []

    # --- upper immediates and jumps
    upper = {"unit": Unit.ALU, "operand_b": OperandB.IMMEDIATE, "word": 0}
    jump = {"unit": Unit.BRANCH, "alu": AluOp.PASS_B, "operand_b": OperandB.NEXT_PC, "word": 0}
    anything = "-" * 25
    rows += [
        Instruction("lui", "I", anything + LUI, Format.U, (), True, upper | {"alu": AluOp.PASS_B}),
        Instruction(
            "auipc", "I", anything + AUIPC, Format.U, (), True, upper | {"alu": AluOp.ADD, "operand_a": OperandA.PC}
        ),
        Instruction("jal", "I", anything + JAL, Format.J, (), True, jump | {"branch": Branch.JAL}),
        Instruction(
            "jalr", "I", "-" * 17 + "000" + REGISTER + JALR, Format.I, ("rs1",), True, jump | {"branch": Branch.JALR}
        ),
    ]

    # --- branches, loads, stores
    for name, funct3, alu in (
        ("beq", "000", AluOp.EQ),
        ("bne", "001", AluOp.NE),
        ("blt", "100", AluOp.SLT),
        ("bge", "101", AluOp.GE),
        ("bltu", "110", AluOp.SLTU),
        ("bgeu", "111", AluOp.GEU),
    ):
        rows.append(_branch(name, funct3, alu))
    for size, letter in enumerate("bhwd"):
        rows.append(_load(f"l{letter}", f"0{size:02b}", size, 0))
    for size, letter in enumerate("bhw"):
        rows.append(_load(f"l{letter}u", f"1{size:02b}", size, 1))
    for size, letter in enumerate("bhwd"):
        rows.append(_store(f"s{letter}", f"0{size:02b}", size))

    # --- integer register-immediate
    for name, funct3, alu in (
        ("addi", "000", AluOp.ADD),
        ("slti", "010", AluOp.SLT),
        ("sltiu", "011", AluOp.SLTU),
        ("xori", "100", AluOp.XOR),
        ("ori", "110", AluOp.OR),
        ("andi", "111", AluOp.AND),
    ):
        rows.append(_immediate(name, "I", "", funct3, alu))
    rows += [
        _immediate("slli", "I", "000000", "001", AluOp.SLL),
        _immediate("srli", "I", "000000", "101", AluOp.SRL),
        _immediate("srai", "I", "010000", "101", AluOp.SRA),
        _immediate("addiw", "I", "", "000", AluOp.ADD, 1, OP_IMM_32),
        _immediate("slliw", "I", "0000000", "001", AluOp.SLL, 1, OP_IMM_32),
        _immediate("srliw", "I", "0000000", "101", AluOp.SRL, 1, OP_IMM_32),
        _immediate("sraiw", "I", "0100000", "101", AluOp.SRA, 1, OP_IMM_32),
    ]

    # --- integer register-register
    for name, funct7, funct3, alu in (
        ("add", "0000000", "000", AluOp.ADD),
        ("sub", "0100000", "000", AluOp.SUB),
        ("sll", "0000000", "001", AluOp.SLL),
        ("slt", "0000000", "010", AluOp.SLT),
        ("sltu", "0000000", "011", AluOp.SLTU),
        ("xor", "0000000", "100", AluOp.XOR),
        ("srl", "0000000", "101", AluOp.SRL),
        ("sra", "0100000", "101", AluOp.SRA),
        ("or", "0000000", "110", AluOp.OR),
        ("and", "0000000", "111", AluOp.AND),
    ):
        rows.append(_register(name, "I", funct7, funct3, alu=alu))
    for name, funct7, funct3, alu in (
        ("addw", "0000000", "000", AluOp.ADD),
        ("subw", "0100000", "000", AluOp.SUB),
        ("sllw", "0000000", "001", AluOp.SLL),
        ("srlw", "0000000", "101", AluOp.SRL),
        ("sraw", "0100000", "101", AluOp.SRA),
    ):
        rows.append(_register(name, "I", funct7, funct3, 1, OP_32, alu=alu))

    # --- M
    for code, mul in enumerate((MulOp.MUL, MulOp.MULH, MulOp.MULHSU, MulOp.MULHU)):
        rows.append(_register(mul.name.lower(), "M", "0000001", f"{code:03b}", unit=Unit.MULTIPLY, mul=mul))
    for code, div in enumerate((DivOp.DIV, DivOp.DIVU, DivOp.REM, DivOp.REMU)):
        rows.append(_register(div.name.lower(), "M", "0000001", f"1{code:02b}", unit=Unit.DIVIDE, div=div))
    rows.append(_register("mulw", "M", "0000001", "000", 1, OP_32, unit=Unit.MULTIPLY, mul=MulOp.MUL))
    for code, div in enumerate((DivOp.DIV, DivOp.DIVU, DivOp.REM, DivOp.REMU)):
        name = f"{div.name.lower()}w"
        rows.append(_register(name, "M", "0000001", f"1{code:02b}", 1, OP_32, unit=Unit.DIVIDE, div=div))

    # --- A
    for size in (2, 3):
        rows.append(_atomic("lr", "00010", size, Memory.LOAD_RESERVED))
        rows.append(_atomic("sc", "00011", size, Memory.STORE_CONDITIONAL))
        for name, funct5, amo in (
            ("amoswap", "00001", AmoOp.SWAP),
            ("amoadd", "00000", AmoOp.ADD),
            ("amoxor", "00100", AmoOp.XOR),
            ("amoand", "01100", AmoOp.AND),
            ("amoor", "01000", AmoOp.OR),
            ("amomin", "10000", AmoOp.MIN),
            ("amomax", "10100", AmoOp.MAX),
            ("amominu", "11000", AmoOp.MINU),
            ("amomaxu", "11100", AmoOp.MAXU),
        ):
            rows.append(_atomic(name, funct5, size, Memory.AMO, amo))

    # --- Zba
    for name, funct3, alu, alu_uw in (
        ("sh1add", "010", AluOp.SH1ADD, AluOp.SH1ADD_UW),
        ("sh2add", "100", AluOp.SH2ADD, AluOp.SH2ADD_UW),
        ("sh3add", "110", AluOp.SH3ADD, AluOp.SH3ADD_UW),
    ):
        rows.append(_register(name, "Zba", "0010000", funct3, alu=alu))
        rows.append(_register(f"{name}.uw", "Zba", "0010000", funct3, 0, OP_32, alu=alu_uw))
    rows.append(_register("add.uw", "Zba", "0000100", "000", 0, OP_32, alu=AluOp.ADD_UW))
    rows.append(_immediate("slli.uw", "Zba", "000010", "001", AluOp.SLLI_UW, 0, OP_IMM_32))

    # --- Zbb
    for name, funct7, funct3, alu in (
        ("andn", "0100000", "111", AluOp.ANDN),
        ("orn", "0100000", "110", AluOp.ORN),
        ("xnor", "0100000", "100", AluOp.XNOR),
        ("min", "0000101", "100", AluOp.MIN),
        ("minu", "0000101", "101", AluOp.MINU),
        ("max", "0000101", "110", AluOp.MAX),
        ("maxu", "0000101", "111", AluOp.MAXU),
        ("rol", "0110000", "001", AluOp.ROL),
        ("ror", "0110000", "101", AluOp.ROR),
    ):
        rows.append(_register(name, "Zbb", funct7, funct3, alu=alu))
    rows += [
        _register("rolw", "Zbb", "0110000", "001", 1, OP_32, alu=AluOp.ROL),
        _register("rorw", "Zbb", "0110000", "101", 1, OP_32, alu=AluOp.ROR),
        _immediate("rori", "Zbb", "011000", "101", AluOp.ROR),
        _immediate("roriw", "Zbb", "0110000", "101", AluOp.ROR, 1, OP_IMM_32),
        _unary("clz", "Zbb", "011000000000", "001", AluOp.CLZ),
        _unary("ctz", "Zbb", "011000000001", "001", AluOp.CTZ),
        _unary("cpop", "Zbb", "011000000010", "001", AluOp.CPOP),
        _unary("sext.b", "Zbb", "011000000100", "001", AluOp.SEXT_B),
        _unary("sext.h", "Zbb", "011000000101", "001", AluOp.SEXT_H),
        _unary("orc.b", "Zbb", "001010000111", "101", AluOp.ORC_B),
        _unary("rev8", "Zbb", "011010111000", "101", AluOp.REV8),
        _unary("clzw", "Zbb", "011000000000", "001", AluOp.CLZ, 1, OP_IMM_32),
        _unary("ctzw", "Zbb", "011000000001", "001", AluOp.CTZ, 1, OP_IMM_32),
        _unary("cpopw", "Zbb", "011000000010", "001", AluOp.CPOP, 1, OP_IMM_32),
        _unary("zext.h", "Zbb", "000010000000", "100", AluOp.ZEXT_H, 0, OP_32),
    ]

    # --- Zbs
    for name, funct6, funct3, alu in (
        ("bclr", "010010", "001", AluOp.BCLR),
        ("bext", "010010", "101", AluOp.BEXT),
        ("binv", "011010", "001", AluOp.BINV),
        ("bset", "001010", "001", AluOp.BSET),
    ):
        rows.append(_register(name, "Zbs", funct6 + "0", funct3, alu=alu))
        rows.append(_immediate(f"{name}i", "Zbs", funct6, funct3, alu))

    # --- CSRs, fences, privileged
    for code, csr in enumerate((CsrOp.WRITE, CsrOp.SET, CsrOp.CLEAR), start=1):
        letter = " wsc"[code]
        rows.append(_csr(f"csrr{letter}", f"0{code:02b}", csr, 0))
        rows.append(_csr(f"csrr{letter}i", f"1{code:02b}", csr, 1))
    # reserved fields of fences are ignored (Unprivileged 2.7 and 6): forward compatible, and PAUSE is a fence
    rows += [
        _system("fence", "I", "-" * 17 + "000" + REGISTER + MISC_MEM, System.FENCE),
        _system("fence.i", "Zifencei", "-" * 17 + "001" + REGISTER + MISC_MEM, System.FENCE_I),
        _system("ecall", "I", "000000000000" + "00000" + "000" + "00000" + SYSTEM, System.ECALL),
        _system("ebreak", "I", "000000000001" + "00000" + "000" + "00000" + SYSTEM, System.EBREAK),
        _system("sret", "S", "000100000010" + "00000" + "000" + "00000" + SYSTEM, System.SRET),
        _system("mret", "M-mode", "001100000010" + "00000" + "000" + "00000" + SYSTEM, System.MRET),
        _system("wfi", "M-mode", "000100000101" + "00000" + "000" + "00000" + SYSTEM, System.WFI),
        _system(
            "sfence.vma",
            "S",
            "0001001" + REGISTER + REGISTER + "000" + "00000" + SYSTEM,
            System.SFENCE_VMA,
            ("rs1", "rs2"),
        ),
    ]
    return tuple(rows)


INSTRUCTIONS: tuple[Instruction, ...] = _table()


def lookup(encoding: int) -> Instruction | None:
    """The instruction a 32-bit encoding is, or None where it is illegal. For tests and tools, not for speed."""
    for row in INSTRUCTIONS:
        if row.matches(encoding):
            return row
    return None


def table_text() -> str:
    """The table, one instruction a line: encoding and resources."""
    lines = [f"{'name':<11} {'ext':<8} {'encoding':<32} imm  {'unit':<8} {'reads':<8} result flush"]
    for row in INSTRUCTIONS:
        lines.append(
            f"{row.name:<11} {row.extension:<8} {row.pattern} {row.format.name.replace('NONE', '-'):<4} "
            f"{row.unit.name.lower():<8} {' '.join(row.reads) or '-':<8} {row.produced or '-':<6} {row.flushes or '-'}"
        )
    return "\n".join(lines)
