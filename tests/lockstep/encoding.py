"""Encodes RV64IMAC_Zicsr_Zifencei_Zba_Zbb_Zbs instructions, from the unprivileged specification's tables.

Independent of the core's decoder on purpose: a slip there must not be repeated here. Every function gives an
`Instruction`, the bytes with the assembly text, so that a failing program can be read without a disassembler.
"""

from dataclasses import dataclass

NAMES = (
    "zero ra sp gp tp t0 t1 t2 s0 s1 a0 a1 a2 a3 a4 a5 a6 a7 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 t3 t4 t5 t6"  # noqa: SIM905
).split()


@dataclass(frozen=True)
class Instruction:
    """One encoded instruction (or datum) of `size` bytes."""

    value: int
    size: int
    text: str


def _word(value: int, text: str) -> Instruction:
    return Instruction(value & 0xFFFF_FFFF, 4, text)


def _half(value: int, text: str) -> Instruction:
    return Instruction(value & 0xFFFF, 2, text)


# name: opcode, funct3, funct7
REGISTER = {
    "add": (0x33, 0, 0x00), "sub": (0x33, 0, 0x20), "sll": (0x33, 1, 0x00), "slt": (0x33, 2, 0x00),
    "sltu": (0x33, 3, 0x00), "xor": (0x33, 4, 0x00), "srl": (0x33, 5, 0x00), "sra": (0x33, 5, 0x20),
    "or": (0x33, 6, 0x00), "and": (0x33, 7, 0x00),
    "addw": (0x3B, 0, 0x00), "subw": (0x3B, 0, 0x20), "sllw": (0x3B, 1, 0x00), "srlw": (0x3B, 5, 0x00),
    "sraw": (0x3B, 5, 0x20),
    "mul": (0x33, 0, 0x01), "mulh": (0x33, 1, 0x01), "mulhsu": (0x33, 2, 0x01), "mulhu": (0x33, 3, 0x01),
    "div": (0x33, 4, 0x01), "divu": (0x33, 5, 0x01), "rem": (0x33, 6, 0x01), "remu": (0x33, 7, 0x01),
    "mulw": (0x3B, 0, 0x01), "divw": (0x3B, 4, 0x01), "divuw": (0x3B, 5, 0x01), "remw": (0x3B, 6, 0x01),
    "remuw": (0x3B, 7, 0x01),
    "sh1add": (0x33, 2, 0x10), "sh2add": (0x33, 4, 0x10), "sh3add": (0x33, 6, 0x10), "add.uw": (0x3B, 0, 0x04),
    "sh1add.uw": (0x3B, 2, 0x10), "sh2add.uw": (0x3B, 4, 0x10), "sh3add.uw": (0x3B, 6, 0x10),
    "andn": (0x33, 7, 0x20), "orn": (0x33, 6, 0x20), "xnor": (0x33, 4, 0x20), "max": (0x33, 6, 0x05),
    "maxu": (0x33, 7, 0x05), "min": (0x33, 4, 0x05), "minu": (0x33, 5, 0x05), "rol": (0x33, 1, 0x30),
    "ror": (0x33, 5, 0x30), "rolw": (0x3B, 1, 0x30), "rorw": (0x3B, 5, 0x30),
    "bclr": (0x33, 1, 0x24), "bext": (0x33, 5, 0x24), "binv": (0x33, 1, 0x34), "bset": (0x33, 1, 0x14),
}  # fmt: skip

# name: opcode, funct3
IMMEDIATE = {
    "addi": (0x13, 0), "slti": (0x13, 2), "sltiu": (0x13, 3), "xori": (0x13, 4), "ori": (0x13, 6), "andi": (0x13, 7),
    "addiw": (0x1B, 0),
}  # fmt: skip

# name: opcode, funct3, the immediate's bits above the shift amount, width of the shift amount
SHIFT = {
    "slli": (0x13, 1, 0x000, 6), "srli": (0x13, 5, 0x000, 6), "srai": (0x13, 5, 0x400, 6),
    "slliw": (0x1B, 1, 0x000, 5), "srliw": (0x1B, 5, 0x000, 5), "sraiw": (0x1B, 5, 0x400, 5),
    "rori": (0x13, 5, 0x600, 6), "roriw": (0x1B, 5, 0x600, 5), "slli.uw": (0x1B, 1, 0x080, 6),
    "bclri": (0x13, 1, 0x480, 6), "bexti": (0x13, 5, 0x480, 6), "binvi": (0x13, 1, 0x680, 6),
    "bseti": (0x13, 1, 0x280, 6),
}  # fmt: skip

# name: opcode, funct3, the whole 12-bit immediate
UNARY = {
    "clz": (0x13, 1, 0x600), "ctz": (0x13, 1, 0x601), "cpop": (0x13, 1, 0x602), "sext.b": (0x13, 1, 0x604),
    "sext.h": (0x13, 1, 0x605), "orc.b": (0x13, 5, 0x287), "rev8": (0x13, 5, 0x6B8), "zext.h": (0x3B, 4, 0x080),
    "clzw": (0x1B, 1, 0x600), "ctzw": (0x1B, 1, 0x601), "cpopw": (0x1B, 1, 0x602),
}  # fmt: skip

LOADS = {"lb": 0, "lh": 1, "lw": 2, "ld": 3, "lbu": 4, "lhu": 5, "lwu": 6}
STORES = {"sb": 0, "sh": 1, "sw": 2, "sd": 3}
BRANCHES = {"beq": 0, "bne": 1, "blt": 4, "bge": 5, "bltu": 6, "bgeu": 7}
ATOMICS = {
    "amoadd": 0, "amoswap": 1, "amoxor": 4, "amoor": 8, "amoand": 12, "amomin": 16, "amomax": 20, "amominu": 24,
    "amomaxu": 28,
}  # fmt: skip
CSR_OPS = {"csrrw": 1, "csrrs": 2, "csrrc": 3, "csrrwi": 5, "csrrsi": 6, "csrrci": 7}


def access_size(name: str) -> int:
    """Bytes that a load or store of this name touches."""
    return 1 << ((LOADS | STORES)[name] & 3)


def register(name: str, rd: int, rs1: int, rs2: int) -> Instruction:
    opcode, funct3, funct7 = REGISTER[name]
    text = f"{name} {NAMES[rd]}, {NAMES[rs1]}, {NAMES[rs2]}"
    return _word(funct7 << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode, text)


def immediate(name: str, rd: int, rs1: int, imm: int) -> Instruction:
    opcode, funct3 = IMMEDIATE[name]
    text = f"{name} {NAMES[rd]}, {NAMES[rs1]}, {imm}"
    return _word((imm & 0xFFF) << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode, text)


def shift(name: str, rd: int, rs1: int, amount: int) -> Instruction:
    opcode, funct3, high, _ = SHIFT[name]
    text = f"{name} {NAMES[rd]}, {NAMES[rs1]}, {amount}"
    return _word((high | amount) << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode, text)


def unary(name: str, rd: int, rs1: int) -> Instruction:
    opcode, funct3, imm = UNARY[name]
    return _word(imm << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode, f"{name} {NAMES[rd]}, {NAMES[rs1]}")


def lui(rd: int, imm20: int) -> Instruction:
    return _word((imm20 & 0xFFFFF) << 12 | rd << 7 | 0x37, f"lui {NAMES[rd]}, {imm20 & 0xFFFFF:#x}")


def auipc(rd: int, imm20: int) -> Instruction:
    return _word((imm20 & 0xFFFFF) << 12 | rd << 7 | 0x17, f"auipc {NAMES[rd]}, {imm20 & 0xFFFFF:#x}")


def load(name: str, rd: int, base: int, imm: int) -> Instruction:
    word = (imm & 0xFFF) << 20 | base << 15 | LOADS[name] << 12 | rd << 7 | 0x03
    return _word(word, f"{name} {NAMES[rd]}, {imm}({NAMES[base]})")


def store(name: str, rs2: int, base: int, imm: int) -> Instruction:
    word = (imm >> 5 & 0x7F) << 25 | rs2 << 20 | base << 15 | STORES[name] << 12 | (imm & 0x1F) << 7 | 0x23
    return _word(word, f"{name} {NAMES[rs2]}, {imm}({NAMES[base]})")


def branch(name: str, rs1: int, rs2: int, offset: int) -> Instruction:
    word = (offset >> 12 & 1) << 31 | (offset >> 5 & 0x3F) << 25 | rs2 << 20 | rs1 << 15 | BRANCHES[name] << 12
    word |= (offset >> 1 & 0xF) << 8 | (offset >> 11 & 1) << 7 | 0x63
    return _word(word, f"{name} {NAMES[rs1]}, {NAMES[rs2]}, . + {offset}")


def jal(rd: int, offset: int) -> Instruction:
    word = (offset >> 20 & 1) << 31 | (offset >> 1 & 0x3FF) << 21 | (offset >> 11 & 1) << 20
    return _word(word | (offset >> 12 & 0xFF) << 12 | rd << 7 | 0x6F, f"jal {NAMES[rd]}, . + {offset}")


def jalr(rd: int, base: int, imm: int) -> Instruction:
    return _word((imm & 0xFFF) << 20 | base << 15 | rd << 7 | 0x67, f"jalr {NAMES[rd]}, {imm}({NAMES[base]})")


def amo(name: str, double: bool, rd: int, base: int, rs2: int, order: int = 0) -> Instruction:
    """An atomic; `order` holds aq in bit 1 and rl in bit 0."""
    word = ATOMICS[name] << 27 | order << 25 | rs2 << 20 | base << 15 | (3 if double else 2) << 12 | rd << 7 | 0x2F
    return _word(word, f"{name}.{'wd'[double]} {NAMES[rd]}, {NAMES[rs2]}, ({NAMES[base]})")


def lr(double: bool, rd: int, base: int, order: int = 0) -> Instruction:
    word = 2 << 27 | order << 25 | base << 15 | (3 if double else 2) << 12 | rd << 7 | 0x2F
    return _word(word, f"lr.{'wd'[double]} {NAMES[rd]}, ({NAMES[base]})")


def sc(double: bool, rd: int, base: int, rs2: int, order: int = 0) -> Instruction:
    word = 3 << 27 | order << 25 | rs2 << 20 | base << 15 | (3 if double else 2) << 12 | rd << 7 | 0x2F
    return _word(word, f"sc.{'wd'[double]} {NAMES[rd]}, {NAMES[rs2]}, ({NAMES[base]})")


def csr(name: str, rd: int, number: int, source: int) -> Instruction:
    """A CSR access; `source` is rs1, or the 5-bit immediate for the forms that end in i."""
    word = number << 20 | source << 15 | CSR_OPS[name] << 12 | rd << 7 | 0x73
    operand = str(source) if name.endswith("i") else NAMES[source]
    return _word(word, f"{name} {NAMES[rd]}, {number:#x}, {operand}")


FENCE = _word(0x0FF0000F, "fence")
FENCE_TSO = _word(0x8330000F, "fence.tso")
FENCE_I = _word(0x0000100F, "fence.i")
PAUSE = _word(0x0100000F, "pause")
ECALL = _word(0x00000073, "ecall")
EBREAK = _word(0x00100073, "ebreak")
MRET = _word(0x30200073, "mret")
SRET = _word(0x10200073, "sret")
WFI = _word(0x10500073, "wfi")
NOP = immediate("addi", 0, 0, 0)
C_NOP = _half(0x0001, "c.nop")
C_EBREAK = _half(0x9002, "c.ebreak")


def sfence_vma(address: int, asid: int) -> Instruction:
    return _word(9 << 25 | asid << 20 | address << 15 | 0x73, f"sfence.vma {NAMES[address]}, {NAMES[asid]}")


def raw(value: int, size: int = 4) -> Instruction:
    return Instruction(value, size, f".{'half' if size == 2 else 'word'} {value:#x}")


# --- compressed ------------------------------------------------------------------------------------------------------
# Registers written r' in the specification (x8..x15) are passed by their full number.


def _bits(value: int, *fields: tuple[int, int, int]) -> int:
    """Gathers immediate bits: (high, low, position of the low bit in the encoding)."""
    return sum((value >> low & ((1 << (high - low + 1)) - 1)) << at for high, low, at in fields)


def c_immediate(name: str, rd: int, imm: int) -> Instruction:
    """c.addi, c.addiw, c.li, c.lui (imm is the upper 20 bits' low 6), signed six bits."""
    funct3, quadrant = {"c.addi": (0, 1), "c.addiw": (1, 1), "c.li": (2, 1), "c.lui": (3, 1)}[name]
    return _half(funct3 << 13 | _bits(imm, (5, 5, 12), (4, 0, 2)) | rd << 7 | quadrant, f"{name} {NAMES[rd]}, {imm}")


def c_addi16sp(imm: int) -> Instruction:
    return _half(0x6101 | _bits(imm, (9, 9, 12), (4, 4, 6), (6, 6, 5), (8, 7, 3), (5, 5, 2)), f"c.addi16sp {imm}")


def c_addi4spn(rd: int, imm: int) -> Instruction:
    bits = _bits(imm, (5, 4, 11), (9, 6, 7), (2, 2, 6), (3, 3, 5))
    return _half(bits | (rd - 8) << 2, f"c.addi4spn {NAMES[rd]}, {imm}")


def c_shift(name: str, rd: int, amount: int) -> Instruction:
    bits = _bits(amount, (5, 5, 12), (4, 0, 2))
    base = {
        "c.slli": 0x0002 | rd << 7,
        "c.srli": 0x8001 | (rd - 8 & 7) << 7,
        "c.srai": 0x8401 | (rd - 8 & 7) << 7,
        "c.andi": 0x8801 | (rd - 8 & 7) << 7,
    }[name]
    return _half(base | bits, f"{name} {NAMES[rd]}, {amount}")


C_REGISTER = {
    "c.sub": 0x8C01, "c.xor": 0x8C21, "c.or": 0x8C41, "c.and": 0x8C61, "c.subw": 0x9C01, "c.addw": 0x9C21,
}  # fmt: skip


def c_register(name: str, rd: int, rs2: int) -> Instruction:
    return _half(C_REGISTER[name] | (rd - 8) << 7 | (rs2 - 8) << 2, f"{name} {NAMES[rd]}, {NAMES[rs2]}")


def c_mv(rd: int, rs2: int) -> Instruction:
    return _half(0x8002 | rd << 7 | rs2 << 2, f"c.mv {NAMES[rd]}, {NAMES[rs2]}")


def c_add(rd: int, rs2: int) -> Instruction:
    return _half(0x9002 | rd << 7 | rs2 << 2, f"c.add {NAMES[rd]}, {NAMES[rs2]}")


def c_load(double: bool, rd: int, base: int, imm: int) -> Instruction:
    fields = ((5, 3, 10), (7, 6, 5)) if double else ((5, 3, 10), (2, 2, 6), (6, 6, 5))
    word = (0x6000 if double else 0x4000) | _bits(imm, *fields) | (base - 8) << 7 | (rd - 8) << 2
    return _half(word, f"c.l{'wd'[double]} {NAMES[rd]}, {imm}({NAMES[base]})")


def c_store(double: bool, rs2: int, base: int, imm: int) -> Instruction:
    fields = ((5, 3, 10), (7, 6, 5)) if double else ((5, 3, 10), (2, 2, 6), (6, 6, 5))
    word = (0xE000 if double else 0xC000) | _bits(imm, *fields) | (base - 8) << 7 | (rs2 - 8) << 2
    return _half(word, f"c.s{'wd'[double]} {NAMES[rs2]}, {imm}({NAMES[base]})")


def c_load_sp(double: bool, rd: int, imm: int) -> Instruction:
    fields = ((5, 5, 12), (4, 3, 5), (8, 6, 2)) if double else ((5, 5, 12), (4, 2, 4), (7, 6, 2))
    return _half(
        (0x6002 if double else 0x4002) | _bits(imm, *fields) | rd << 7, f"c.l{'wd'[double]}sp {NAMES[rd]}, {imm}"
    )


def c_store_sp(double: bool, rs2: int, imm: int) -> Instruction:
    fields = ((5, 3, 10), (8, 6, 7)) if double else ((5, 2, 9), (7, 6, 7))
    word = (0xE002 if double else 0xC002) | _bits(imm, *fields) | rs2 << 2
    return _half(word, f"c.s{'wd'[double]}sp {NAMES[rs2]}, {imm}")


def c_j(offset: int) -> Instruction:
    bits = _bits(offset, (11, 11, 12), (4, 4, 11), (9, 8, 9), (10, 10, 8), (6, 6, 7), (7, 7, 6), (3, 1, 3), (5, 5, 2))
    return _half(0xA001 | bits, f"c.j . + {offset}")


def c_branch(name: str, rs1: int, offset: int) -> Instruction:
    """c.beqz, c.bnez"""
    bits = _bits(offset, (8, 8, 12), (4, 3, 10), (7, 6, 5), (2, 1, 3), (5, 5, 2))
    return _half((0xC001 if name == "c.beqz" else 0xE001) | bits | (rs1 - 8) << 7, f"{name} {NAMES[rs1]}, . + {offset}")


def c_jr(rs1: int) -> Instruction:
    return _half(0x8002 | rs1 << 7, f"c.jr {NAMES[rs1]}")


def c_jalr(rs1: int) -> Instruction:
    return _half(0x9002 | rs1 << 7, f"c.jalr {NAMES[rs1]}")


def li(rd: int, value: int) -> list[Instruction]:
    """The shortest usual sequence that loads a 64-bit constant."""
    value &= (1 << 64) - 1
    signed = value - (1 << 64) if value >> 63 else value
    if -2048 <= signed < 2048:
        return [immediate("addi", rd, 0, signed)]
    if -(1 << 31) <= signed < 1 << 31:
        low = ((signed & 0xFFF) ^ 0x800) - 0x800
        high = lui(rd, (signed - low) >> 12)
        return [high, immediate("addiw", rd, rd, low)] if low else [high]
    low = ((signed & 0xFFF) ^ 0x800) - 0x800
    rest = signed - low
    zeros = (rest & -rest).bit_length() - 1
    code = li(rd, rest >> zeros) + [shift("slli", rd, rd, zeros)]
    return code + [immediate("addi", rd, rd, low)] if low else code
