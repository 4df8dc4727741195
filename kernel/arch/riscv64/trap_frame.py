"""The save area of a thread: every register, those of a system call first (kernel/core/objects.py's Frame)."""

from kernel.abi import REGISTERS as CALL_REGISTERS
from kernel.lang import struct, u64


@struct
class TrapFrame:
    """What a hart is, apart from memory: x1..x31, where it was, its status and why it stopped (Privileged 4.1)."""

    a7: u64
    a0: u64
    a1: u64
    a2: u64
    a3: u64
    a4: u64
    a5: u64
    a6: u64
    t0: u64
    t1: u64
    t2: u64
    t3: u64
    t4: u64
    ra: u64
    sp: u64
    gp: u64
    tp: u64
    s0: u64
    s1: u64
    s2: u64
    s3: u64
    s4: u64
    s5: u64
    s6: u64
    s7: u64
    s8: u64
    s9: u64
    s10: u64
    s11: u64
    t5: u64
    t6: u64
    sepc: u64
    sstatus: u64
    scause: u64
    stval: u64


CAUSES = ("sepc", "sstatus", "scause", "stval")
REGISTERS = [name for name in TrapFrame.fields if name not in CAUSES]  # type: ignore[attr-defined]
"""x1..x31, by their ABI names."""
assert tuple(REGISTERS[:13]) == CALL_REGISTERS["riscv64"]
