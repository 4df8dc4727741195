"""Python models of the integer operations, straight from the wording of the specification: the judges of the tests."""

from rtl.cpu_riscv64.interfaces import AluOp, AmoOp, DivOp, MulOp

MASK32, MASK64 = (1 << 32) - 1, (1 << 64) - 1


def signed(value: int, width: int = 64) -> int:
    """The two's complement number in the low bits."""
    value &= (1 << width) - 1
    return value - (1 << width) if value >> (width - 1) else value


def unsigned(value: int, width: int = 64) -> int:
    """The low bits."""
    return value & ((1 << width) - 1)


EDGES = sorted(
    {unsigned(value) for bit in range(64) for value in (1 << bit, (1 << bit) - 1, -(1 << bit), ~(1 << bit))}
    | {0x5555_5555_5555_5555, 0xAAAA_AAAA_AAAA_AAAA, 0x8000_0000_8000_0000, 0x0123_4567_89AB_CDEF, 0x80 << 8 | 0x7F}
)
"""Operands at the edges: 0, 1, -1, the extremes of every width, single bits and their complements."""

COMPARES = {
    AluOp.EQ: lambda a, b: a == b,
    AluOp.NE: lambda a, b: a != b,
    AluOp.SLT: lambda a, b: signed(a) < signed(b),
    AluOp.GE: lambda a, b: signed(a) >= signed(b),
    AluOp.SLTU: lambda a, b: a < b,
    AluOp.GEU: lambda a, b: a >= b,
}

WORD_OPS = (
    AluOp.ADD,
    AluOp.SUB,
    AluOp.SLL,
    AluOp.SRL,
    AluOp.SRA,
    AluOp.ROL,
    AluOp.ROR,
    AluOp.CLZ,
    AluOp.CTZ,
    AluOp.CPOP,
)


def _trailing_zeros(value: int, width: int) -> int:
    return (value & -value).bit_length() - 1 if value else width


def _rotate_left(value: int, by: int, width: int) -> int:
    by %= width
    return unsigned(value << by | value >> (width - by), width)


def _or_combine(value: int) -> int:
    return sum(0xFF << 8 * n for n in range(8) if value >> 8 * n & 0xFF)


def alu(op: AluOp, word: bool, a: int, b: int) -> int | None:
    """The result, or None where the operation has none."""
    if word:
        width = 32
        a, shift = a & MASK32, b & 31
    else:
        width = 64
        shift = b & 63
    bit = 1 << (b & 63)
    low = a & MASK32
    value = {
        AluOp.ADD: lambda: a + b,
        AluOp.SUB: lambda: a - b,
        AluOp.SLL: lambda: a << shift,
        AluOp.SLT: lambda: int(signed(a) < signed(b)),
        AluOp.SLTU: lambda: int(a < b),
        AluOp.XOR: lambda: a ^ b,
        AluOp.SRL: lambda: a >> shift,
        AluOp.SRA: lambda: signed(a, width) >> shift,
        AluOp.OR: lambda: a | b,
        AluOp.AND: lambda: a & b,
        AluOp.SH1ADD: lambda: (a << 1) + b,
        AluOp.SH2ADD: lambda: (a << 2) + b,
        AluOp.SH3ADD: lambda: (a << 3) + b,
        AluOp.ADD_UW: lambda: low + b,
        AluOp.SH1ADD_UW: lambda: (low << 1) + b,
        AluOp.SH2ADD_UW: lambda: (low << 2) + b,
        AluOp.SH3ADD_UW: lambda: (low << 3) + b,
        AluOp.SLLI_UW: lambda: low << shift,
        AluOp.ANDN: lambda: a & ~b,
        AluOp.ORN: lambda: a | ~b,
        AluOp.XNOR: lambda: ~(a ^ b),
        AluOp.CLZ: lambda: width - a.bit_length(),
        AluOp.CTZ: lambda: _trailing_zeros(a, width),
        AluOp.CPOP: lambda: a.bit_count(),
        AluOp.MAX: lambda: max(signed(a), signed(b)),
        AluOp.MAXU: lambda: max(a, b),
        AluOp.MIN: lambda: min(signed(a), signed(b)),
        AluOp.MINU: lambda: min(a, b),
        AluOp.SEXT_B: lambda: signed(a, 8),
        AluOp.SEXT_H: lambda: signed(a, 16),
        AluOp.ZEXT_H: lambda: a & 0xFFFF,
        AluOp.ROL: lambda: _rotate_left(a, shift, width),
        AluOp.ROR: lambda: _rotate_left(a, width - shift, width),
        AluOp.ORC_B: lambda: _or_combine(a),
        AluOp.REV8: lambda: int.from_bytes(a.to_bytes(8, "little"), "big"),
        AluOp.BCLR: lambda: a & ~bit,
        AluOp.BEXT: lambda: a >> (b & 63) & 1,
        AluOp.BINV: lambda: a ^ bit,
        AluOp.BSET: lambda: a | bit,
        AluOp.PASS_B: lambda: b,
    }.get(op)
    if value is None:
        return None
    return unsigned(signed(value(), width))


def multiply(op: MulOp, word: bool, a: int, b: int) -> int:
    """MUL, MULH, MULHSU, MULHU, and MULW with `word`."""
    if word:
        return unsigned(signed(a * b, 32))
    left = a if op is MulOp.MULHU else signed(a)
    right = signed(b) if op in (MulOp.MUL, MulOp.MULH) else b
    return unsigned(left * right if op is MulOp.MUL else left * right >> 64)


def divide(op: DivOp, word: bool, a: int, b: int) -> int:
    """DIV, DIVU, REM, REMU and their W forms (Unprivileged table 13.1 for zero and overflow)."""
    width = 32 if word else 64
    convert = signed if op in (DivOp.DIV, DivOp.REM) else unsigned
    a, b = convert(a, width), convert(b, width)
    if b == 0:
        quotient, remainder = -1, a
    else:
        quotient = abs(a) // abs(b) * (-1 if (a < 0) != (b < 0) else 1)
        remainder = a - quotient * b
    return unsigned(signed(quotient if op in (DivOp.DIV, DivOp.DIVU) else remainder, width))


def amo(op: AmoOp, size: int, memory: int, register: int) -> int:
    """The value an AMO writes, in the low 8 << size bits."""
    width = 8 << size
    memory, register = unsigned(memory, width), unsigned(register, width)
    return unsigned(
        {
            AmoOp.SWAP: lambda: register,
            AmoOp.ADD: lambda: memory + register,
            AmoOp.XOR: lambda: memory ^ register,
            AmoOp.AND: lambda: memory & register,
            AmoOp.OR: lambda: memory | register,
            AmoOp.MIN: lambda: min(signed(memory, width), signed(register, width)),
            AmoOp.MAX: lambda: max(signed(memory, width), signed(register, width)),
            AmoOp.MINU: lambda: min(memory, register),
            AmoOp.MAXU: lambda: max(memory, register),
        }[op](),
        width,
    )
