"""What the parts of the core say to each other: control words, translation requests, traps, events, RVFI.

One file, because every part names these types and none owns them.
"""

from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from .config import CoreConfig


class Privilege(enum.Enum, shape=2):
    """Privilege modes (Privileged 1.2)."""

    USER = 0
    SUPERVISOR = 1
    MACHINE = 3


class Unit(enum.Enum, shape=3):
    """Who produces an instruction's result, and so when: ALU at the end of X, all others at the end of M."""

    ALU = 0
    BRANCH = 1
    MEMORY = 2
    MULTIPLY = 3
    DIVIDE = 4
    CSR = 5
    SYSTEM = 6


class AluOp(enum.Enum, shape=6):
    """ALU operations; `word` selects the 32-bit form where there is one. Compares also drive `condition`.

    The encoding is the ALU's own decoder: bits 5..4 name the group, the rest are its controls (see `alu.Alu`).
    """

    # adder: bit 2 zero-extends the low word of A first, bits 1..0 shift it left
    ADD = 0b00_0000
    SH1ADD = 0b00_0001
    SH2ADD = 0b00_0010
    SH3ADD = 0b00_0011
    ADD_UW = 0b00_0100
    SH1ADD_UW = 0b00_0101
    SH2ADD_UW = 0b00_0110
    SH3ADD_UW = 0b00_0111
    # subtracter: bits 2..0 are the branches' funct3; EQ, NE, GE and GEU are compares only
    EQ = 0b00_1000
    NE = 0b00_1001
    SUB = 0b00_1010
    SLT = 0b00_1100
    GE = 0b00_1101
    SLTU = 0b00_1110
    GEU = 0b00_1111
    # logic: bit 3 takes 1 << B for B, bit 2 inverts B, bits 1..0 are XOR, OR, AND, B
    XOR = 0b01_0000
    OR = 0b01_0001
    AND = 0b01_0010
    PASS_B = 0b01_0011  # LUI
    XNOR = 0b01_0100
    ORN = 0b01_0101
    ANDN = 0b01_0110
    BINV = 0b01_1000
    BSET = 0b01_1001
    BCLR = 0b01_1110
    # rotate and mask: bit 0 left, bit 1 fill with the sign, bit 2 no mask, bit 3 no rotation but BEXT
    SRL = 0b10_0000
    SLL = 0b10_0001
    SRA = 0b10_0010
    SLLI_UW = 0b10_0011
    ROR = 0b10_0100
    ROL = 0b10_0101
    BEXT = 0b10_1000
    SEXT_B = 0b10_1010
    ZEXT_H = 0b10_1100
    SEXT_H = 0b10_1110
    # counts and byte operations
    CLZ = 0b11_0000
    CTZ = 0b11_0001
    CPOP = 0b11_0010
    ORC_B = 0b11_0100
    REV8 = 0b11_0110
    # bits 2..0 as in the compares: A is chosen where the condition holds
    MIN = 0b11_1100
    MAX = 0b11_1101
    MINU = 0b11_1110
    MAXU = 0b11_1111


class OperandA(enum.Enum, shape=1):
    """First ALU operand. LUI and jumps use PASS_B."""

    RS1 = 0
    PC = 1


class OperandB(enum.Enum, shape=2):
    """Second ALU operand. NEXT_PC is the address behind the instruction: the link value of JAL and JALR."""

    RS2 = 0
    IMMEDIATE = 1
    NEXT_PC = 2


class Branch(enum.Enum, shape=2):
    """Control transfer kinds. CONDITIONAL is taken when the ALU's `condition` holds."""

    NONE = 0
    CONDITIONAL = 1
    JAL = 2
    JALR = 3


class Memory(enum.Enum, shape=3):
    """Memory access kinds."""

    NONE = 0
    LOAD = 1
    STORE = 2
    LOAD_RESERVED = 3
    STORE_CONDITIONAL = 4
    AMO = 5


class AmoOp(enum.Enum, shape=4):
    """Atomic read-modify-write operations: bits 4..2 and bit 0 of funct5."""

    ADD = 0
    XOR = 1
    OR = 2
    AND = 3
    MIN = 4
    MAX = 5
    MINU = 6
    MAXU = 7
    SWAP = 8


class MulOp(enum.Enum, shape=2):
    """Multiply: low half, or high half by signedness of (rs1, rs2)."""

    MUL = 0
    MULH = 1
    MULHSU = 2
    MULHU = 3


class DivOp(enum.Enum, shape=2):
    """Divide and remainder."""

    DIV = 0
    DIVU = 1
    REM = 2
    REMU = 3


class CsrOp(enum.Enum, shape=2):
    """CSR access. For SET and CLEAR with rs1 = x0 (or uimm = 0) the decoder gives READ: no write, no write check."""

    READ = 0
    WRITE = 1
    SET = 2
    CLEAR = 3


class System(enum.Enum, shape=4):
    """Instructions executed at the commit point that are no CSR access."""

    NONE = 0
    ECALL = 1
    EBREAK = 2
    MRET = 3
    SRET = 4
    WFI = 5
    FENCE = 6
    FENCE_I = 7
    SFENCE_VMA = 8


class Control(data.Struct):
    """What the decoder says of one instruction. Every field of an illegal instruction but `illegal` is don't care."""

    illegal: 1
    unit: Unit
    rd: 5  # 0 where nothing is written
    rs1: 5  # 0 where nothing is read
    rs2: 5
    word: 1  # 32-bit operation: result sign-extended from bit 31 (ALU, multiply, divide)
    alu: AluOp
    operand_a: OperandA
    operand_b: OperandB
    branch: Branch
    memory: Memory
    size: 2  # log2 of bytes, memory accesses
    unsigned: 1  # zero-extended load
    amo: AmoOp
    mul: MulOp
    div: DivOp
    csr: CsrOp
    csr_immediate: 1  # the operand is uimm (in the rs1 field, zero-extended) and not rs1's value
    system: System
    compressed: 1  # the instruction is two bytes long


class Cause(enum.Enum, shape=4):
    """Exception codes (Privileged table 3.6)."""

    FETCH_MISALIGNED = 0
    FETCH_ACCESS = 1
    ILLEGAL = 2
    BREAKPOINT = 3
    LOAD_MISALIGNED = 4
    LOAD_ACCESS = 5
    STORE_MISALIGNED = 6
    STORE_ACCESS = 7
    ECALL_U = 8
    ECALL_S = 9
    ECALL_M = 11
    FETCH_PAGE = 12
    LOAD_PAGE = 13
    STORE_PAGE = 15


# --- translation -----------------------------------------------------------------------------------------------------


class Access(enum.Enum, shape=2):
    """Why an address is translated. AMO and SC count as STORE (their faults are store faults)."""

    FETCH = 0
    LOAD = 1
    STORE = 2


class Space(enum.Enum, shape=2):
    """Which addresses a TLB entry maps: Sv39, or physical ones, whose PMP result depends on the mode."""

    TRANSLATED = 0
    BARE_SU = 1
    BARE_M = 2


class TranslationContext(data.Struct):
    """The state a translation depends on: the current mode for fetches, the effective one (MPRV) for data."""

    privilege: Privilege
    sv39: 1  # satp.MODE = 8; ignored in M-mode
    asid: 16
    root: 44  # satp.PPN
    sum: 1
    mxr: 1


def walk_request_layout() -> data.StructLayout:
    """A translation that the TLB could not give: a 64-bit address, why, and in which context.

    `length`: bytes accessed from `va` on, 1..8, all in the same page; it decides on pages that PMP splits (`mixed`).
    """
    return data.StructLayout({"va": 64, "access": Access, "context": TranslationContext, "length": 4})


def tlb_entry_layout(config: CoreConfig) -> data.StructLayout:
    """One 4 KiB translation, as kept in a TLB.

    The permissions already hold PTE, A/D, PMP and PMA together: a lookup that is denied is sent to the walker, which
    finds out which fault it is. `read`, `write` (with D set), `execute`; `execute_readable` serves MXR.
    `mixed`: PMP does not treat the page as one; the lookup must not hit, every access goes through the walker.
    """
    return data.StructLayout(
        {
            "valid": 1,
            "space": Space,
            "vpn": 27,
            "asid": 16,
            "is_global": 1,
            "superpage": 1,
            "ppn": config.ppn_width,
            "user": 1,
            "read": 1,
            "write": 1,
            "execute": 1,
            "execute_readable": 1,
            "cacheable": 1,
            "mixed": 1,
        }
    )


def walk_response_layout(config: CoreConfig) -> data.StructLayout:
    """The walker's answer: a fault with its cause, or the entry (for `mixed` pages it serves this one access only)."""
    return data.StructLayout({"fault": 1, "cause": Cause, "entry": tlb_entry_layout(config)})


class WalkerMemory(wiring.Signature):
    """The walker's way to page tables, through the data cache (`Out` on the walker).

    Members
    -------
    valid : Out(1)
        Held with the fields below until `done`.
    set_bits : Out(1)
        0: read the doubleword. 1: atomically: if it still equals `expected`, OR `bits` into it, else leave it.
    address : Out(pa_width)
        Physical address, aligned to 8.
    expected, bits : Out(64)
        For `set_bits`.
    done : In(1)
        The access is over.
    data : In(64)
        The doubleword as it was before.
    error : In(1)
        The bus refused it: an access fault of the original kind.
    """

    def __init__(self, config: CoreConfig):
        super().__init__(
            {
                "valid": Out(1),
                "set_bits": Out(1),
                "address": Out(config.pa_width),
                "expected": Out(64),
                "bits": Out(64),
                "done": In(1),
                "data": In(64),
                "error": In(1),
            }
        )


class SfenceRequest(data.Struct):
    """SFENCE.VMA operands. Also used with both flags 0 (flush all) after PMP writes, then with `all_spaces`."""

    by_address: 1
    by_asid: 1
    all_spaces: 1  # bare entries too (PMP changed)
    va: 64
    asid: 16


# --- traps and CSRs --------------------------------------------------------------------------------------------------


class TrapRequest(data.Struct):
    """A trap taken at the commit point."""

    valid: 1
    interrupt: 1
    cause: 6  # mcause without the interrupt bit
    epc: 64
    tval: 64


def events_layout() -> data.StructLayout:
    """One bit an event, in the cycle it happens; numbered by position for mhpmevent (1 is the first)."""
    return data.StructLayout(
        {
            "icache_miss": 1,
            "dcache_miss": 1,
            "itlb_miss": 1,
            "dtlb_miss": 1,
            "branch": 1,  # a conditional branch or indirect jump retires
            "branch_miss": 1,
            "load": 1,
            "store": 1,
            "stall_frontend": 1,
            "stall_hazard": 1,
            "stall_memory": 1,
            "dcache_writeback": 1,
        }
    )


# --- coherence -------------------------------------------------------------------------------------------------------


class Probe(enum.Enum, shape=1):
    """What a coherent reader or writer wants of the data cache for one line."""

    CLEAN = 0  # memory must hold the newest data: a DMA read, an instruction fetch
    FLUSH = 1  # and the cache must not keep the line: a DMA write


class ProbeSignature(wiring.Signature):
    """Asks the data cache about one line (`Out` on the asker).

    A FLUSH holds the line away from the cache until `release`: the asker's write must reach memory first.

    Members
    -------
    valid, kind, address : Out
        Held until `done`; the address is a physical one, of the line (low 6 bits 0).
    done : In(1)
        Memory is up to date for this line.
    release : Out(1)
        One cycle: the write that followed a FLUSH has reached memory.
    """

    def __init__(self, config: CoreConfig):
        super().__init__(
            {
                "valid": Out(1),
                "kind": Out(Probe),
                "address": Out(config.pa_width),
                "done": In(1),
                "release": Out(1),
            }
        )


# --- RVFI ------------------------------------------------------------------------------------------------------------


class Rvfi(wiring.Signature):
    """The RISC-V Formal Interface, one channel, NRET = 1, ILEN = 32, XLEN = 64.

    Names are the interface's without the `rvfi_` prefix. Memory is reported as without RISCV_FORMAL_ALIGNED_MEM: the
    address as it was computed, the masks from its byte on, a misaligned access as one. `intr` marks the first
    instruction of every trap handler.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "valid": Out(1),
                "order": Out(64),
                "insn": Out(32),
                "trap": Out(1),
                "halt": Out(1),
                "intr": Out(1),
                "mode": Out(2),
                "ixl": Out(2),
                "rs1_addr": Out(5),
                "rs2_addr": Out(5),
                "rs1_rdata": Out(64),
                "rs2_rdata": Out(64),
                "rd_addr": Out(5),
                "rd_wdata": Out(64),
                "pc_rdata": Out(64),
                "pc_wdata": Out(64),
                "mem_addr": Out(64),
                "mem_rmask": Out(8),
                "mem_wmask": Out(8),
                "mem_rdata": Out(64),
                "mem_wdata": Out(64),
                "mem_fault": Out(1),  # the optional part for faults that memory decides: access and page faults
                "mem_fault_rmask": Out(8),
                "mem_fault_wmask": Out(8),
                "cause": Out(64),  # ours: mcause value where trap, or of the interrupt whose handler begins here
                "tval": Out(64),  # ours
            }
        )
