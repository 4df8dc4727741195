"""CSRs of M-mode (Privileged 1.12, chapter 3) as intrinsics: read, write, set bits, clear bits.

Host-native builds keep each CSR in a Python int, `csr.mie.value`, which tests set and read.
"""

from enum import IntEnum

from kernel.lang import *

MASK = (1 << 64) - 1


class Csr:
    """One CSR by its assembler name, or by its number where assemblers know no name.

    Members
    -------
    read() -> u64, write(value), set(bits), clear(bits) : intrinsics
    value : int
        What the host-native model holds.
    """

    def __init__(self, name: str):
        self.name = name
        self.value = 0
        register = self

        @assembly("riscv64", f"csrr {{result}}, {name}")
        def read() -> u64:
            return register.value

        @assembly("riscv64", f"csrw {name}, {{value}}", clobbers=["memory"])
        def write(value: u64) -> None:
            register.value = value

        @assembly("riscv64", f"csrs {name}, {{bits}}", clobbers=["memory"])
        def set_bits(bits: u64) -> None:
            register.value |= bits

        @assembly("riscv64", f"csrc {name}, {{bits}}", clobbers=["memory"])
        def clear_bits(bits: u64) -> None:
            register.value &= ~bits & MASK

        self.read, self.write, self.set, self.clear = read, write, set_bits, clear_bits


mstatus, misa, mie, mip = Csr("mstatus"), Csr("misa"), Csr("mie"), Csr("mip")
mtvec, mscratch, mepc, mcause, mtval = (Csr(n) for n in ("mtvec", "mscratch", "mepc", "mcause", "mtval"))
medeleg, mideleg, mcounteren = Csr("medeleg"), Csr("mideleg"), Csr("mcounteren")
mhartid, mvendorid, marchid, mimpid = (Csr(n) for n in ("mhartid", "mvendorid", "marchid", "mimpid"))
mcycle, minstret = Csr("mcycle"), Csr("minstret")
menvcfg, stimecmp = Csr("0x30a"), Csr("0x14d")
pmpcfg0 = Csr("pmpcfg0")
pmpaddr0, pmpaddr1, pmpaddr2 = Csr("pmpaddr0"), Csr("pmpaddr1"), Csr("pmpaddr2")
satp, sie, stvec, sepc, scause, stval = (Csr(n) for n in ("satp", "sie", "stvec", "sepc", "scause", "stval"))
scounteren, sscratch = Csr("scounteren"), Csr("sscratch")


class Status:
    """Fields of mstatus (Privileged 3.1.6)."""

    SIE, MIE, SPIE, MPIE, SPP = 1 << 1, 1 << 3, 1 << 5, 1 << 7, 1 << 8
    MPP_SHIFT = 11
    MPP = 3 << MPP_SHIFT
    MPRV, SUM, MXR, TVM, TW, TSR = 1 << 17, 1 << 18, 1 << 19, 1 << 20, 1 << 21, 1 << 22


class Interrupt:
    """Bits of mip and mie (Privileged 3.1.9)."""

    SUPERVISOR_SOFTWARE, MACHINE_SOFTWARE = 1 << 1, 1 << 3
    SUPERVISOR_TIMER, MACHINE_TIMER = 1 << 5, 1 << 7
    SUPERVISOR_EXTERNAL, MACHINE_EXTERNAL = 1 << 9, 1 << 11


@enum(2)
class Mode(IntEnum):
    """Privilege modes, as in mstatus.MPP; 2 is reserved."""

    USER = 0
    SUPERVISOR = 1
    RESERVED = 2
    MACHINE = 3


class Cause:
    """Exceptions and interrupts of mcause (Privileged table 3.6)."""

    INSTRUCTION_MISALIGNED, INSTRUCTION_ACCESS, ILLEGAL_INSTRUCTION, BREAKPOINT = 0, 1, 2, 3
    LOAD_MISALIGNED, LOAD_ACCESS, STORE_MISALIGNED, STORE_ACCESS = 4, 5, 6, 7
    USER_CALL, SUPERVISOR_CALL, MACHINE_CALL = 8, 9, 11
    INSTRUCTION_PAGE_FAULT, LOAD_PAGE_FAULT, STORE_PAGE_FAULT = 12, 13, 15
    INTERRUPT = 1 << 63
    SOFTWARE_INTERRUPT, TIMER_INTERRUPT = INTERRUPT | 3, INTERRUPT | 7


MENVCFG_STCE = 1 << 63
"""menvcfg.STCE: S-mode has stimecmp (Sstc 1.0)."""

PMP_NAPOT, PMP_RWX = 3 << 3, 7
"""pmpcfg: A = NAPOT; permissions (Privileged 3.7.1)."""
