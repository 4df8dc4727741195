"""The save area of a thread: every register, those of a system call first (kernel/core/objects.py's Frame)."""

from kernel.abi import REGISTERS as CALL_REGISTERS
from kernel.lang import struct, u64


@struct
class TrapFrame:
    """What a CPU is, apart from memory: x0..x30, sp, where it was, its status, and why it stopped."""

    x8: u64
    x0: u64
    x1: u64
    x2: u64
    x3: u64
    x4: u64
    x5: u64
    x6: u64
    x7: u64
    x9: u64
    x10: u64
    x11: u64
    x12: u64
    x13: u64
    x14: u64
    x15: u64
    x16: u64
    x17: u64
    x18: u64
    x19: u64
    x20: u64
    x21: u64
    x22: u64
    x23: u64
    x24: u64
    x25: u64
    x26: u64
    x27: u64
    x28: u64
    x29: u64
    x30: u64
    sp: u64
    elr: u64
    spsr: u64
    esr: u64
    far: u64
    kind: u64
    spare: u64  # a multiple of 16 bytes


REGISTERS = tuple(TrapFrame.fields)[:31]  # type: ignore[attr-defined]
"""x0..x30, in the order of the frame."""
assert REGISTERS[:13] == CALL_REGISTERS["aarch64"] and TrapFrame.size % 16 == 0  # type: ignore[attr-defined]
