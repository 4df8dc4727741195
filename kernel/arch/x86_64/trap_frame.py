"""What is saved at every entry, and what is known of this CPU: layouts shared by Kernel Python and the entry assembly.

A thread's TrapFrame lies in the thread. The CPU itself pushes the last five words there (TSS.RSP0 points at the
frame's end), the entry code the rest: entering the kernel copies nothing, and one kernel stack a CPU is enough.
"""

from kernel.abi import REGISTERS as CALL_REGISTERS
from kernel.lang import struct, u64


@struct
class TrapFrame:
    """General registers, those of a system call first (kernel/core/objects.py's Frame), then what the CPU pushed (SDM
    volume 3, figure 6-9). A multiple of 16 bytes, as RSP0 must be.

    `vector` is the interrupt vector, or SYSCALL_VECTOR; `error` the CPU's error code, or 0.
    """

    rax: u64
    rdi: u64
    rsi: u64
    rdx: u64
    r10: u64
    r8: u64
    r9: u64
    r12: u64
    r13: u64
    r14: u64
    r15: u64
    rbx: u64
    rbp: u64
    rcx: u64
    r11: u64
    vector: u64
    error: u64
    rip: u64
    cs: u64
    rflags: u64
    rsp: u64
    ss: u64


GENERAL = tuple(TrapFrame.fields)[:15]  # type: ignore[attr-defined]
"""The general registers but RSP, which the CPU itself saves."""
assert GENERAL[:13] == CALL_REGISTERS["x86_64"]


@struct
class PerCpu:
    """What GS points at while the kernel runs.

    `kernel_stack`   top of this CPU's only kernel stack
    `frame_end`      where SYSCALL starts to push: the end of the current thread's TrapFrame, equal to TSS.RSP0
    `user_stack`     scratch of the SYSCALL entry
    """

    kernel_stack: u64
    frame_end: u64
    user_stack: u64


SYSCALL_VECTOR = 0x100

# Selectors, in the order that SYSCALL and SYSRET want (SDM volume 3, 5.8.8): kernel code and data, user data and code.
KERNEL_CODE, KERNEL_DATA, USER_DATA, USER_CODE, TASK = 0x08, 0x10, 0x18 | 3, 0x20 | 3, 0x28

# Exceptions that push an error code (SDM volume 3, table 6-1; 21, 29, 30: CET and AMD's).
WITH_ERROR_CODE = (8, 10, 11, 12, 13, 14, 17, 21, 29, 30)

EXCEPTIONS = {
    0: "divide error",
    1: "debug",
    2: "non-maskable interrupt",
    3: "breakpoint",
    4: "overflow",
    5: "bound range exceeded",
    6: "invalid opcode",
    7: "device not available",
    8: "double fault",
    10: "invalid TSS",
    11: "segment not present",
    12: "stack-segment fault",
    13: "general protection",
    14: "page fault",
    16: "x87 floating-point error",
    17: "alignment check",
    18: "machine check",
    19: "SIMD floating-point exception",
    20: "virtualization exception",
    21: "control protection exception",
}
"""Names of the vectors below 32 (SDM volume 3, table 6-1)."""
