"""Reset, trap entry and trap return of the firmware, as assembly text made from `TrapFrame`.

Invariants
- While a hart runs in a lower mode, mscratch holds the top of its firmware stack; in M-mode it holds 0. So the entry
  knows where a trap came from, and a trap of the firmware itself goes on below the frames that are there.
- Interrupts are never enabled in M-mode (mstatus.MIE = 0): a trap is not interrupted.
- Each hart has `STACK_BYTES` at `firmware_stacks`, which the linker script places behind .bss: not cleared, since harts
  that lost the lottery already stand on theirs.
- The build computes the depth of everything that is called with an empty stack or from the trap entry (K304). A panic
  starts the hart's stack again, and a trap in M-mode has FATAL_BYTES left below everything: neither comes back.
"""

from kernel.lang import *

MAX_HARTS = 64
"""Harts that have a stack: as many as one hart mask of the SBI names. Others are parked."""

STACK_BYTES = 1024
"""A hart's stack: the trap frame and the deepest path of the handler, which the build checks."""


FATAL_BYTES = 384
"""The part of it that is kept for a trap in M-mode: the frame, and what reports it."""


@struct
class TrapFrame:
    """What was interrupted: x0..x31 (x0's slot is free), and the CSRs that say what and why."""

    registers: Array[u64, 32]
    mepc: u64
    mstatus: u64
    mcause: u64
    mtval: u64


FRAME_BYTES = -(-TrapFrame.size // 16) * 16
_OFFSET = {name: field.offset for name, field in TrapFrame.fields.items()}

CSRS = ("mepc", "mstatus", "mcause", "mtval")
SP = 2


def _slot(register: int) -> int:
    return _OFFSET["registers"] + 8 * register


def _registers(instruction: str) -> str:
    """`sd` or `ld` of every register but x0 and sp."""
    return "\n".join(f"    {instruction} x{n}, {_slot(n)}(sp)" for n in range(1, 32) if n != SP)


def text() -> str:
    """The assembly source."""
    save_csrs = "\n".join(f"    csrr t0, {name}\n    sd t0, {_OFFSET[name]}(sp)" for name in CSRS)
    save = f"""    addi sp, sp, -{FRAME_BYTES}
{_registers("sd")}
    csrrw t0, mscratch, zero
    sd t0, {_slot(SP)}(sp)
{save_csrs}
    mv a0, sp"""
    return f"""
    .section .text.start, "ax"
    .globl _start
_start:                                 # a0 hart id, a1 device tree, a2 fw_dynamic information
    csrw mie, zero
    csrw mscratch, zero
    li t0, {MAX_HARTS}
    bgeu a0, t0, park
    la t1, trap_entry
    csrw mtvec, t1
    la sp, firmware_stacks
    li t0, {STACK_BYTES}
    addi t1, a0, 1
    mul t0, t0, t1
    add sp, sp, t0
    la t0, lottery
    li t1, 1
    amoswap.w.aqrl t0, t1, (t0)
    bnez t0, 3f
    la t0, bss_start                    # the first hart clears .bss
    la t1, bss_end
1:  bgeu t0, t1, 2f
    sd zero, 0(t0)
    addi t0, t0, 8
    j 1b
2:  call firmware_boot
3:  call firmware_join
park:
    wfi
    j park

    .section .data
    .balign 4
lottery:
    .word 0

    .text
    .balign 4
    .globl trap_entry
trap_entry:
    csrrw sp, mscratch, sp
    beqz sp, 1f
{save}
    call firmware_trap
    ld t0, {_OFFSET["mepc"]}(sp)
    csrw mepc, t0
    ld t0, {_OFFSET["mstatus"]}(sp)
    csrw mstatus, t0
    addi t0, sp, {FRAME_BYTES}
    csrw mscratch, t0
{_registers("ld")}
    ld sp, {_slot(SP)}(sp)
    mret

1:  csrr sp, mscratch                   # from M-mode: below what is there; a trap in the report is silent
{save}
    la t0, park_here
    csrw mtvec, t0
    call firmware_fatal

    .balign 4
park_here:
    j park

    .globl kernel_panic
kernel_panic:                           # a0 site, a1 and a2 values; once a hart
    la t0, park_here
    csrw mtvec, t0
    csrr t0, mhartid
    addi t0, t0, 1
    li t1, {STACK_BYTES}
    mul t0, t0, t1
    la sp, firmware_stacks
    add sp, sp, t0
    la t1, panicked
    li t0, 1
    amoswap.w t1, t0, (t1)
    bnez t1, park
    call firmware_panic

    .section .data
    .balign 4
panicked:
    .word 0
"""
