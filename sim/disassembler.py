"""RISC-V encodings as assembly text, from the table that makes the core's decoder.

Compressed instructions are shown as what they stand for, as the core executes them, with their two-byte encoding
beside them in a trace. No pseudo-instructions: the text says what the hardware is told.
"""

from collections.abc import Callable
from functools import lru_cache

from rtl.cpu_riscv64.config import CoreConfig
from rtl.cpu_riscv64.csr.table import csr_table
from rtl.cpu_riscv64.interfaces import Memory, Unit
from rtl.cpu_riscv64.isa import INSTRUCTIONS, Format, Instruction

REGISTERS = (
    *("zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5"),
    *("a6", "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6"),
)
"""ABI names of x0..x31."""

CSR_NAMES = {address: name for csr in csr_table(CoreConfig()) for address, name in csr.names()}


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) & 1 else value


def immediate(encoding: int, format_: Format) -> int:
    """The immediate of a 32-bit encoding (Unprivileged 2.3)."""
    e = encoding
    if format_ is Format.I:
        return _signed(e >> 20, 12)
    if format_ is Format.S:
        return _signed((e >> 25) << 5 | e >> 7 & 31, 12)
    if format_ is Format.B:
        return _signed((e >> 31) << 12 | (e >> 7 & 1) << 11 | (e >> 25 & 63) << 5 | (e >> 8 & 15) << 1, 13)
    if format_ is Format.U:
        return _signed(e >> 12, 20)
    if format_ is Format.J:
        return _signed((e >> 31) << 20 | (e >> 12 & 255) << 12 | (e >> 20 & 1) << 11 | (e >> 21 & 1023) << 1, 21)
    return 0


def find(encoding: int) -> Instruction | None:
    """The table's row for a 32-bit encoding; of several (a fence's hints), the most specific."""
    rows = [row for row in INSTRUCTIONS if row.matches(encoding)]
    return max(rows, key=lambda row: row.mask.bit_count()) if rows else None


@lru_cache(maxsize=1 << 16)
def disassemble(encoding: int, pc: int) -> str:
    """Assembly text of an encoding at an address; a word that is no instruction is shown as such."""
    if encoding & 3 != 3:
        expanded = expand(encoding & 0xFFFF)
        return disassemble(expanded, pc) if expanded is not None else f".2byte {encoding & 0xFFFF:#06x}"
    row = find(encoding)
    if row is None:
        return f".4byte {encoding:#010x}"
    operands = _operands(row, encoding, pc)
    return f"{_full_name(row, encoding)} {operands}".rstrip()


def _full_name(row: Instruction, encoding: int) -> str:
    if row.control.get("memory") in (Memory.LOAD_RESERVED, Memory.STORE_CONDITIONAL, Memory.AMO):
        return row.name + ("", ".rl", ".aq", ".aqrl")[encoding >> 25 & 3]
    return row.name


def _operands(row: Instruction, encoding: int, pc: int) -> str:
    rd, rs1, rs2 = (REGISTERS[encoding >> n & 31] for n in (7, 15, 20))
    value = immediate(encoding, row.format)
    target = f"{(pc + value) & (1 << 64) - 1:#x}"
    memory = row.control.get("memory", Memory.NONE)
    if row.unit is Unit.CSR:
        csr = CSR_NAMES.get(encoding >> 20, f"{encoding >> 20:#x}")
        return f"{rd}, {csr}, {encoding >> 15 & 31 if row.control['csr_immediate'] else rs1}"
    if memory is Memory.LOAD_RESERVED:
        return f"{rd}, ({rs1})"
    if memory in (Memory.STORE_CONDITIONAL, Memory.AMO):
        return f"{rd}, {rs2}, ({rs1})"
    if row.format is Format.S:
        return f"{rs2}, {value}({rs1})"
    if row.format is Format.B:
        return f"{rs1}, {rs2}, {target}"
    if row.format is Format.J:
        return f"{rd}, {target}"
    if row.format is Format.U:
        return f"{rd}, {value & 0xFFFFF:#x}"
    if memory is Memory.LOAD or row.name == "jalr":
        return f"{rd}, {value}({rs1})"
    parts = [rd] if row.writes else []
    parts += [{"rs1": rs1, "rs2": rs2}[name] for name in row.reads]
    fixed = row.pattern[:12]
    if row.format is Format.I and "-" in fixed:
        free = len(fixed) - len(fixed.lstrip("01"))
        parts.append(str(value if free == 0 else encoding >> 20 & (1 << 12 - free) - 1))
    return ", ".join(parts)


# --- compressed ------------------------------------------------------------------------------------------------------


def _gather(raw: int, *places: tuple[int, int]) -> int:
    """Bits of an encoding put where they belong: pairs (bit of the encoding, bit of the value)."""
    return sum((raw >> source & 1) << target for source, target in places)


def _run(source: int, target: int, count: int) -> tuple[tuple[int, int], ...]:
    return tuple((source + n, target + n) for n in range(count))


def _i(value: int, rs1: int, funct3: int, rd: int, opcode: int) -> int:
    return (value & 0xFFF) << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode


def _r(funct7: int, rs2: int, rs1: int, funct3: int, rd: int, opcode: int) -> int:
    return funct7 << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode


def _s(value: int, rs2: int, rs1: int, funct3: int) -> int:
    return (value >> 5 & 127) << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | (value & 31) << 7 | 0x23


def _b(value: int, rs1: int, funct3: int) -> int:
    ends = (value >> 12 & 1) << 31 | (value >> 5 & 63) << 25 | (value >> 1 & 15) << 8 | (value >> 11 & 1) << 7
    return ends | rs1 << 15 | funct3 << 12 | 0x63


def _j(value: int) -> int:
    return (
        (value >> 20 & 1) << 31 | (value >> 1 & 1023) << 21 | (value >> 11 & 1) << 20 | (value >> 12 & 255) << 12 | 0x6F
    )


def expand(raw: int) -> int | None:
    """The 32-bit instruction that a compressed one stands for (Unprivileged chapter 27), None if there is none."""
    quadrant, funct3 = raw & 3, raw >> 13
    expander = (_quadrant0, _quadrant1, _quadrant2)[quadrant]
    return expander(raw, funct3)


def _quadrant0(raw: int, funct3: int) -> int | None:
    rs1, rd = 8 + (raw >> 7 & 7), 8 + (raw >> 2 & 7)
    word = _gather(raw, (6, 2), *_run(10, 3, 3), (5, 6))
    double = _gather(raw, *_run(10, 3, 3), *_run(5, 6, 2))
    if funct3 == 0:
        value = _gather(raw, (6, 2), (5, 3), *_run(11, 4, 2), *_run(7, 6, 4))
        return _i(value, 2, 0, rd, 0x13) if value else None
    choices: dict[int, Callable[[], int]] = {
        2: lambda: _i(word, rs1, 2, rd, 0x03),
        3: lambda: _i(double, rs1, 3, rd, 0x03),
        6: lambda: _s(word, rd, rs1, 2),
        7: lambda: _s(double, rd, rs1, 3),
    }
    return choices[funct3]() if funct3 in choices else None


def _quadrant1(raw: int, funct3: int) -> int | None:
    rd = raw >> 7 & 31
    value = _signed(_gather(raw, *_run(2, 0, 5), (12, 5)), 6)
    if funct3 == 0:
        return _i(value, rd, 0, rd, 0x13)
    if funct3 == 1:
        return _i(value, rd, 0, rd, 0x1B) if rd else None
    if funct3 == 2:
        return _i(value, 0, 0, rd, 0x13)
    if funct3 == 3:
        if rd == 2:
            value = _signed(_gather(raw, (6, 4), (2, 5), (5, 6), *_run(3, 7, 2), (12, 9)), 10)
            return _i(value, 2, 0, 2, 0x13) if value else None
        return (value & 0xFFFFF) << 12 | rd << 7 | 0x37 if value else None
    if funct3 == 4:
        return _arithmetic(raw, 8 + (rd & 7), 8 + (raw >> 2 & 7), value)
    if funct3 == 5:
        places = (*_run(3, 1, 3), (11, 4), (2, 5), (7, 6), (6, 7), *_run(9, 8, 2), (8, 10), (12, 11))
        return _j(_signed(_gather(raw, *places), 12))
    places = (*_run(3, 1, 2), *_run(10, 3, 2), (2, 5), *_run(5, 6, 2), (12, 8))
    return _b(_signed(_gather(raw, *places), 9), 8 + (rd & 7), funct3 & 1)


def _arithmetic(raw: int, rd: int, rs2: int, value: int) -> int | None:
    kind = raw >> 10 & 3
    if kind < 2:
        return _i(value & 63 | kind << 10, rd, 5, rd, 0x13)
    if kind == 2:
        return _i(value, rd, 7, rd, 0x13)
    operation = raw >> 5 & 3
    if raw >> 12 & 1:
        return _r(0x20 if operation == 0 else 0, rs2, rd, 0, rd, 0x3B) if operation < 2 else None
    return _r(0x20 if operation == 0 else 0, rs2, rd, (0, 4, 6, 7)[operation], rd, 0x33)


def _quadrant2(raw: int, funct3: int) -> int | None:
    rd, rs2 = raw >> 7 & 31, raw >> 2 & 31
    if funct3 == 0:
        return _i(_gather(raw, *_run(2, 0, 5), (12, 5)), rd, 1, rd, 0x13)
    if funct3 == 2:
        return _i(_gather(raw, *_run(4, 2, 3), (12, 5), *_run(2, 6, 2)), 2, 2, rd, 0x03) if rd else None
    if funct3 == 3:
        return _i(_gather(raw, *_run(5, 3, 2), (12, 5), *_run(2, 6, 3)), 2, 3, rd, 0x03) if rd else None
    if funct3 == 6:
        return _s(_gather(raw, *_run(9, 2, 4), *_run(7, 6, 2)), rs2, 2, 2)
    if funct3 == 7:
        return _s(_gather(raw, *_run(10, 3, 3), *_run(7, 6, 3)), rs2, 2, 3)
    if funct3 != 4:
        return None
    link = raw >> 12 & 1
    if rs2:
        return _r(0, rs2, rd if link else 0, 0, rd, 0x33)
    if rd:
        return _i(0, rd, 0, link, 0x67)
    return 0x0010_0073 if link else None
