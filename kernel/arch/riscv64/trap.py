"""Trap entry and return: every register saved and restored from the struct's own layout.

sscratch points to the current thread's TrapFrame while user code runs, and is 0 while the kernel runs. So

- a trap from user code saves straight into the thread's frame and takes the (then empty) kernel stack;
- a trap from the kernel (an interrupt while it waits, or a fault) saves into a frame on the stack it interrupted,
  unless that stack has no room: then the frame goes to the panic stack, and the fault is reported as the overflow it
  is.

`resume(frame)` goes back to what a frame holds.
"""

from typing import Never

from kernel import clock, fault
from kernel.abi import REGISTERS as CALL_REGISTERS
from kernel.abi import SystemCall
from kernel.arch.riscv64 import cpu, interrupts, microkernel, probe
from kernel.arch.riscv64.trap_frame import REGISTERS, TrapFrame
from kernel.boot_info import BootInfo
from kernel.core import fastpath, fastpath_channels, start, system_calls
from kernel.core.access import thread_at
from kernel.core.objects import Thread
from kernel.core.state import kernel
from kernel.lang import *
from kernel.link import ENTRY_BYTES, PANIC_STACK_BYTES, TRAP_BYTES
from kernel.printing import put

CAUSE_MASK = (1 << 63) - 1
USER_ECALL = 8
SUPERVISOR_TIMER = 5
SUPERVISOR_EXTERNAL = 9
_AT = {name: field.offset for name, field in TrapFrame.fields.items()}
_SIZE = TrapFrame.size
_SLOT = (_SIZE + 15) // 16 * 16  # what a frame takes on a stack
_ROOM = _SLOT + 512  # a kernel stack with less than this left has overflowed

assert _AT["a7"] == 0, "what the SC of trap_vector may write is written again by _save"
_save = "\n".join(f"    sd {r}, {_AT[r]}(a0)" for r in REGISTERS if r not in ("a0", "t5", "t6"))
_restore = "\n".join(f"    ld {r}, {_AT[r]}(a0)" for r in REGISTERS if r != "a0")
_WORDS = CALL_REGISTERS["riscv64"][2:10]
# After a call that returns at once, the compiled code has kept s2..s11, and nobody relies on t5 and t6.
_KEPT = {"t5", "t6", *(f"s{n}" for n in range(2, 12))}
_restore_same = "\n".join(f"    ld {r}, {_AT[r]}(a0)" for r in REGISTERS if r != "a0" and r not in _KEPT)
_restore_words = "\n".join(f"    ld {r}, {_AT[r]}(s1)" for r in _WORDS)
_restore_rest = "\n".join(f"    ld {r}, {_AT[r]}(a0)" for r in REGISTERS if r not in ("a0", "s1", *_WORDS))
_save_on_stack = "\n".join(f"    sd {r}, {_AT[r]}(sp)" for r in REGISTERS if r not in ("sp", "t0"))

_CALL_MACRO = f"""
    .macro call_kernel_trap handler
{_save_on_stack}
    csrw sscratch, zero
    csrr t1, sepc
    csrr t2, sstatus
    csrr t3, scause
    csrr t4, stval
    sd t1, {_AT["sepc"]}(sp)
    sd t2, {_AT["sstatus"]}(sp)
    sd t3, {_AT["scause"]}(sp)
    sd t4, {_AT["stval"]}(sp)
    mv a0, sp
    mv s1, sp
    call \\handler
    mv a0, s1
    .endm
"""

ASSEMBLY = (
    _CALL_MACRO
    + f"""
    .section .text.entry, "ax"
    .balign 64
    .globl trap_vector
trap_vector:
    csrrw a0, sscratch, a0      # a0 = the thread's frame, or 0
    beqz a0, from_kernel
    sc.d zero, zero, (a0)       # gives up what it has reserved (Unprivileged ISA, Zalrsc): another thread may run next
    sd t5, {_AT["t5"]}(a0)
    sd t6, {_AT["t6"]}(a0)
    csrr t5, scause
    li t6, {USER_ECALL}
    bne t5, t6, not_a_call
{_save}
    csrrw t0, sscratch, zero    # its a0; from here on a trap is the kernel's own
    csrr t1, sepc
    sd t0, {_AT["a0"]}(a0)
    addi t1, t1, 4
    sd t1, {_AT["sepc"]}(a0)
    lla sp, stack_top
    li fp, 0
    mv s1, a0
    bnez a7, 4f
    sd zero, {_AT["a0"]}(a0)    # NULL: in and out again, with the status
    j 5f
4:  li t0, {int(SystemCall.CALL)}
    beq a7, t0, 1f
    li t0, {int(SystemCall.REPLY_RECEIVE)}
    bne a7, t0, 6f
    call fast_reply_receive
    bnez a0, fast_resume
    mv a0, s1
    j 2f
1:  bnez t2, 7f                 # with a capability
    call fast_call
    bnez a0, fast_resume
    mv a0, s1
    j 2f
7:  call fast_call_granting
    bnez a0, fast_resume
    mv a0, s1
    j 2f
6:  li t0, {int(SystemCall.NOTIFY)}
    beq a7, t0, 8f
    li t0, {int(SystemCall.CHANNEL_SEND)}
    beq a7, t0, 9f
    li t0, {int(SystemCall.CHANNEL_RECEIVE)}
    bne a7, t0, 2f
    call fast_channel_receive
    j 10f
9:  call fast_channel_send
    j 10f
8:  call fast_notify
10: bnez a0, 5f
    mv a0, s1
2:  call trap_call_from_user
5:  # sstatus is what it was: user code cannot change it, and the kernel had no trap of its own.
    ld t1, {_AT["sepc"]}(a0)
    csrw sscratch, a0
    csrw sepc, t1
    bne a0, s1, 3f
{_restore_same}
    ld a0, {_AT["a0"]}(a0)
    sret
3:
{_restore}
    ld a0, {_AT["a0"]}(a0)
    sret

    # The message is in the save area of the thread that came here (s1), all else in that of the one that goes on (a0).
fast_resume:
    ld t3, {_AT["sepc"]}(a0)
    csrw sscratch, a0
    csrw sepc, t3
{_restore_words}
{_restore_rest}
    ld s1, {_AT["s1"]}(a0)
    ld a0, {_AT["a0"]}(a0)
    sret

not_a_call:
{_save}
    csrrw t0, sscratch, zero    # its a0; from here on a trap is the kernel's own
    csrr t1, sepc
    csrr t2, sstatus
    csrr t3, scause
    csrr t4, stval
    sd t0, {_AT["a0"]}(a0)
    sd t1, {_AT["sepc"]}(a0)
    sd t2, {_AT["sstatus"]}(a0)
    sd t3, {_AT["scause"]}(a0)
    sd t4, {_AT["stval"]}(a0)
    lla sp, stack_top
    li fp, 0
    call trap_from_user

    # resume(frame): goes back to what the frame holds; to user code with sscratch set for the next trap.
    .globl trap_resume
trap_resume:
    ld t1, {_AT["sepc"]}(a0)
    ld t2, {_AT["sstatus"]}(a0)
    csrw sepc, t1
    csrw sstatus, t2
    andi t2, t2, 0x100          # SPP
    bnez t2, 1f
    csrw sscratch, a0
1:
{_restore}
    ld a0, {_AT["a0"]}(a0)
    sret

    # What failed checks call: (site, left, right), and from where, on the panic stack.
    .globl kernel_panic
kernel_panic:
    mv a3, ra
    mv a4, s0
    lla sp, panic_stack_top
    tail kernel_panic_stacked

    .balign 4
from_kernel:
    csrrw a0, sscratch, a0      # a0 back, sscratch is 0
    csrw sscratch, t0           # a place for t0
    lla t0, stack_bottom + {_ROOM}
    bltu sp, t0, overflow
    lla t0, stack_top
    bltu t0, sp, overflow
    csrr t0, sscratch
    addi sp, sp, -{_SLOT}
    sd t0, {_AT["t0"]}(sp)
    addi t0, sp, {_SLOT}
    sd t0, {_AT["sp"]}(sp)
    call_kernel_trap trap_from_kernel
    csrci sstatus, 2
    j trap_resume
overflow:
    mv t0, sp
    lla sp, panic_stack_top
    addi sp, sp, -{_SLOT}
    sd t0, {_AT["sp"]}(sp)
    csrr t0, sscratch
    sd t0, {_AT["t0"]}(sp)
    call_kernel_trap trap_overflow
1:  wfi
    j 1b
"""
)


running_users = variable(bool, False)


@assembly("riscv64", "mv a0, {frame}\nlla sp, stack_top\nj trap_resume")
def enter(frame: Ptr[TrapFrame]) -> Never:
    """Leaves the kernel for the thread of a frame."""


@fn
def start_users(info: Ptr[BootInfo]) -> Never:
    """The kernel serves user code from now on."""
    global running_users
    interrupts.disconnect_console()
    microkernel.initialize()
    start.first_program(info)
    running_users = True
    kernel.programmed = 0
    enter(resume_frame(system_calls.leave_kernel()))


@fn(symbol="trap_call_from_user", entry=True, stack=ENTRY_BYTES)
def trap_call_from_user(frame: Ptr[TrapFrame]) -> Ptr[TrapFrame]:
    """A system call that is not on the fast path; gives the frame to go on with."""
    return resume_frame(system_calls.system_call(thread_at(address_of(frame))))


@fn(symbol="trap_from_user", entry=True, stack=ENTRY_BYTES)
def trap_from_user(frame: Ptr[TrapFrame]) -> Ptr[TrapFrame]:
    """A trap of user code; gives the frame to go on with."""
    thread = thread_at(address_of(frame))
    if frame.scause >> 63 != 0:
        interrupt(frame.scause & CAUSE_MASK)
        return resume_frame(system_calls.leave_kernel())
    return resume_frame(system_calls.fault(thread, frame.scause, frame.stval, frame.sepc))


@fn
def resume_frame(next: Ptr[Thread] | None) -> Ptr[TrapFrame]:
    """The frame of the thread that runs now; when there is none, sleeps until an interrupt makes one ready."""
    thread = next
    if thread is not None:
        return pointer_at(address_of(some(thread)), TrapFrame)
    began = cpu.read_time()
    while bounded(thread is None, 1 << 62):
        if not system_calls.pending():
            cpu.wait_for_interrupt()
        cpu.enable_interrupts()  # what is pending is taken here, by trap_from_kernel
        cpu.disable_interrupts()
        thread = system_calls.leave_kernel()
    kernel.idle_time += cpu.read_time() - began
    return pointer_at(address_of(some(thread)), TrapFrame)


@fn(symbol="trap_from_kernel", entry=True, stack=TRAP_BYTES - _SLOT)
def trap_from_kernel(frame: Ptr[TrapFrame]) -> None:
    """An interrupt while the kernel waited, or a fault of the kernel's own."""
    if frame.scause >> 63 != 0:
        interrupt(frame.scause & CAUSE_MASK)
    elif probe.take():
        frame.sepc += 4
    else:
        kernel_fault(frame, "fault in the kernel")


@fn(symbol="trap_overflow", entry=True, stack=PANIC_STACK_BYTES - _SLOT)
def trap_overflow(frame: Ptr[TrapFrame]) -> None:
    """The kernel stack has no room for a frame: it has overflowed into the guard page, or sp is wild."""
    kernel_fault(frame, "kernel stack overflow")


@fn
def interrupt(number: u64) -> None:
    """Serves one interrupt (Privileged 4.1.8, table 4.2)."""
    if number == SUPERVISOR_TIMER:
        if running_users:
            _ = system_calls.timer()
        else:
            clock.interrupt()
    elif number == SUPERVISOR_EXTERNAL:
        interrupts.dispatch()
    else:
        panic("an interrupt that nobody enabled")


@fn
def kernel_fault(frame: Ptr[TrapFrame], what: Str) -> Never:
    """The panic of a trap that the kernel must not have."""
    fault.begin(what)
    fault.value("scause", frame.scause)
    put_cause(frame.scause)
    fault.value("stval", frame.stval)
    fault.value("sepc", frame.sepc)
    fault.value("sp", frame.sp)
    fault.finish(frame.sepc, frame.s0)


@fn
def put_cause(cause: u64) -> None:
    """What scause says, in words (table 4.2)."""
    put("  ")
    if cause == 0:
        put("instruction address misaligned")
    elif cause == 1:
        put("instruction access fault")
    elif cause == 2:
        put("illegal instruction")
    elif cause == 3:
        put("breakpoint")
    elif cause == 4 or cause == 6:
        put("load or store address misaligned")
    elif cause == 5:
        put("load access fault")
    elif cause == 7:
        put("store access fault")
    elif cause == 12:
        put("instruction page fault")
    elif cause == 13:
        put("load page fault")
    elif cause == 15:
        put("store page fault")
    else:
        put("cause not in the table")
    put("\n")


ROOTS = [
    *fastpath.ENTRIES,
    *fastpath_channels.ENTRIES,
    trap_call_from_user,
    trap_from_user,
    trap_from_kernel,
    trap_overflow,
]
