"""Exception entry and return: every register saved and restored from the struct's own layout.

SP_EL1 points to the current thread's TrapFrame while user code runs, and is the kernel stack while the kernel runs. So

- an exception from user code saves straight into the thread's frame and takes the (then empty) kernel stack;
- one from the kernel (an interrupt while it waits, or a fault) saves into a frame on the stack it interrupted, unless
  that stack has no room: then the frame goes to the panic stack, and the fault is reported as the overflow it is.

While the kernel runs, TPIDR_EL1 and SP_EL0 (whose user value is in the frame) belong to this entry.
"""

from enum import IntEnum
from typing import Never

from kernel import fault
from kernel.abi import REGISTERS as CALL_REGISTERS
from kernel.abi import SystemCall
from kernel.arch.aarch64 import cpu, interrupts, microkernel, power
from kernel.arch.aarch64.trap_frame import REGISTERS, TrapFrame
from kernel.boot_info import BootInfo
from kernel.core import fastpath, fastpath_channels, start, system_calls
from kernel.core.access import thread_at
from kernel.core.objects import Thread
from kernel.core.state import kernel
from kernel.lang import *
from kernel.link import ENTRY_BYTES, PANIC_STACK_BYTES, TRAP_BYTES
from kernel.printing import put


@enum(u64)
class Kind(IntEnum):
    """Which vector it was (DDI 0487 D1.3.1)."""

    SYNCHRONOUS = 0
    IRQ = 1
    FIQ = 2
    SERROR = 3


_AT = {name: field.offset for name, field in TrapFrame.fields.items()}
_SIZE = TrapFrame.size
_ROOM = _SIZE + 512  # a kernel stack with less than this left has overflowed


def _pairs(instruction: str, base: str, but: tuple[str, ...] = ()) -> str:
    """stp or ldp of all registers, two at a time in the order of the frame; without those in `but`."""
    lines = []
    for n in range(0, len(REGISTERS), 2):
        pair = [r for r in REGISTERS[n : n + 2] if r not in but]
        if len(pair) == 2:
            lines.append(f"    {instruction}p {pair[0]}, {pair[1]}, [{base}, #{_AT[pair[0]]}]")
        elif pair:
            lines.append(f"    {instruction}r {pair[0]}, [{base}, #{_AT[pair[0]]}]")
    return "\n".join(lines)


_WORDS = CALL_REGISTERS["aarch64"][2:10]
_CAPABILITY = CALL_REGISTERS["aarch64"][10]
_NOT_WORDS = tuple(r for r in REGISTERS if r not in _WORDS)
UNKNOWN, SVC = 0, 0x15  # ESR_EL1.EC: an instruction that there is not; SVC of AArch64

_SAVE_STATE = f"""
    mrs x2, elr_el1
    mrs x3, spsr_el1
    mrs x4, esr_el1
    mrs x5, far_el1
    stp x2, x3, [sp, #{_AT["elr"]}]
    stp x4, x5, [sp, #{_AT["esr"]}]
    str x1, [sp, #{_AT["kind"]}]
    mov x0, sp
"""


def _vector(target: str, kind: Kind) -> str:
    return f"    .balign 128\n    b {target}_{kind.name.lower()}\n"


def _vectors() -> str:
    groups = ("no_stack", "from_kernel", "from_user", "from_user")
    return "".join(_vector(group, kind) for group in groups for kind in Kind)


def _entries() -> str:
    text = []
    for kind in Kind:
        name = kind.name.lower()
        text.append(f"""
from_user_{name}:
{_pairs("st", "sp")}
    mov x1, #{kind.value}
    b from_user
from_kernel_{name}:
    msr tpidr_el1, x0
    msr sp_el0, x1
    mov x0, sp
    adrp x1, stack_bottom
    add x1, x1, #{_ROOM}
    cmp x0, x1
    b.lo overflow
    adrp x1, stack_top
    cmp x0, x1
    b.hi overflow
    sub sp, sp, #{_SIZE}
    str x0, [sp, #{_AT["sp"]}]
    mrs x0, tpidr_el1
    mrs x1, sp_el0
{_pairs("st", "sp")}
    mov x1, #{kind.value}
    b from_kernel
no_stack_{name}:
    msr tpidr_el1, x0
    msr sp_el0, x1
    mov x0, sp
    b overflow
""")
    return "".join(text)


ASSEMBLY = f"""
    .section .text.entry, "ax"
    .balign 2048
    .globl trap_vectors
trap_vectors:
{_vectors()}
    .balign 128
{_entries()}
from_user:
    mrs x6, sp_el0
    str x6, [sp, #{_AT["sp"]}]
{_SAVE_STATE}
    mov x19, sp
    adrp x2, stack_top
    mov sp, x2
    mov x29, #0
    lsr x4, x4, #26             // of ESR_EL1: the class
    cmp x4, #{SVC}
    b.ne 2f
    cmp x1, #{Kind.SYNCHRONOUS.value}
    b.ne 2f
    cmp x8, #{int(SystemCall.CALL)}
    b.eq 1f
    cmp x8, #{int(SystemCall.REPLY_RECEIVE)}
    b.ne 3f
    bl fast_reply_receive
    cbnz x0, fast_resume
    b 2f
1:  cbnz {_CAPABILITY}, 7f
    bl fast_call
    cbnz x0, fast_resume
    b 2f
7:  bl fast_call_granting
    cbnz x0, fast_resume
    b 2f
3:  cmp x8, #{int(SystemCall.NOTIFY)}
    b.eq 4f
    cmp x8, #{int(SystemCall.CHANNEL_SEND)}
    b.eq 5f
    cmp x8, #{int(SystemCall.CHANNEL_RECEIVE)}
    b.ne 2f
    bl fast_channel_receive
    b 6f
5:  bl fast_channel_send
    b 6f
4:  bl fast_notify
6:  cbnz x0, trap_resume
2:  mov x0, x19
    bl trap_from_user

    # resume(frame): goes back to what the frame holds; to user code with SP_EL1 set for the next exception.
    .globl trap_resume
trap_resume:
    ldp x2, x3, [x0, #{_AT["elr"]}]
    ldr x1, [x0, #{_AT["sp"]}]
    msr elr_el1, x2
    msr spsr_el1, x3
    tst x3, #0xc                // SPSR.M[3:2]: the exception level
    b.ne 1f
    msr sp_el0, x1
    mov x1, x0
1:  mov sp, x1
{_pairs("ld", "x0", but=("x0",))}
    ldr x0, [x0, #{_AT["x0"]}]
    eret

    // The message is in the frame of the thread that came here (x19), all else in that of the one that goes on (x0).
fast_resume:
    ldp x2, x3, [x0, #{_AT["elr"]}]
    ldr x1, [x0, #{_AT["sp"]}]
    msr elr_el1, x2
    msr spsr_el1, x3
    msr sp_el0, x1
    mov sp, x0
{_pairs("ld", "x19", but=_NOT_WORDS)}
{_pairs("ld", "sp", but=_WORDS)}
    eret

from_kernel:
{_SAVE_STATE}
    mov x19, sp
    bl trap_from_kernel
    mov x0, x19
    b trap_resume

overflow:
    adrp x1, panic_stack_top
    sub x1, x1, #{_SIZE}
    mov sp, x1
    str x0, [sp, #{_AT["sp"]}]
    mrs x0, tpidr_el1
    mrs x1, sp_el0
{_pairs("st", "sp")}
    mov x1, #0
{_SAVE_STATE}
    bl trap_overflow
1:  wfi
    b 1b

    # What failed checks call: (site, left, right), and from where, on the panic stack.
    .globl kernel_panic
kernel_panic:
    mov x3, x30
    mov x4, x29
    adrp x5, panic_stack_top
    mov sp, x5
    b kernel_panic_stacked
"""


@fn(symbol="trap_from_user", entry=True, stack=ENTRY_BYTES)
def trap_from_user(frame: Ptr[TrapFrame]) -> Ptr[TrapFrame]:
    """An exception of user code; gives the frame to go on with."""
    thread = thread_at(address_of(frame))
    if frame.kind == Kind.SYNCHRONOUS.value and frame.esr >> 26 & 63 == SVC:
        return resume_frame(system_calls.system_call(thread))
    if frame.kind == Kind.IRQ.value:
        interrupts.dispatch()
        return resume_frame(system_calls.leave_kernel())
    return resume_frame(system_calls.fault(thread, frame.esr, frame.far, frame.elr))


@assembly("aarch64", "mov x0, {frame}\nb trap_resume", clobbers=["memory", "x0"])
def enter(frame: Ptr[TrapFrame]) -> Never:
    """Leaves the kernel for the thread of a frame."""


@fn
def start_users(info: Ptr[BootInfo]) -> Never:
    """The kernel serves user code from now on."""
    cpu.disable_interrupts()
    microkernel.initialize()
    start.first_program(info)
    interrupts.serve_users()
    kernel.programmed = 0
    enter(resume_frame(system_calls.leave_kernel()))


@fn
def resume_frame(next: Ptr[Thread] | None) -> Ptr[TrapFrame]:
    """The frame of the thread that runs now; when there is none, sleeps until an interrupt makes one ready."""
    thread = next
    if thread is not None:
        return pointer_at(address_of(some(thread)), TrapFrame)
    began = microkernel.read_time()
    while bounded(thread is None, 1 << 62):
        if not system_calls.pending():
            cpu.wait_for_interrupt()
        cpu.enable_interrupts()  # what is pending is taken here, by trap_from_kernel
        cpu.disable_interrupts()
        thread = system_calls.leave_kernel()
    kernel.idle_time += microkernel.read_time() - began
    return pointer_at(address_of(some(thread)), TrapFrame)


@fn(symbol="trap_from_kernel", entry=True, stack=TRAP_BYTES - _SIZE)
def trap_from_kernel(frame: Ptr[TrapFrame]) -> None:
    """An interrupt while the kernel waited, or a fault of the kernel's own."""
    if frame.kind == Kind.IRQ.value:
        interrupts.dispatch()
    else:
        kernel_fault(frame, "fault in the kernel")


@fn(symbol="trap_overflow", entry=True, stack=PANIC_STACK_BYTES - _SIZE)
def trap_overflow(frame: Ptr[TrapFrame]) -> None:
    """The kernel stack has no room for a frame: it has overflowed into the guard page, or sp is wild."""
    kernel_fault(frame, "kernel stack overflow")


@fn
def kernel_fault(frame: Ptr[TrapFrame], what: Str) -> Never:
    """The panic of an exception that the kernel must not have."""
    if power.asks_host and frame.esr >> 26 & 63 == UNKNOWN:  # there is no simulator to say a status to
        power.power_off(1)
    fault.begin(what)
    fault.value("esr", frame.esr)
    put_class(frame.esr)
    fault.value("far", frame.far)
    fault.value("elr", frame.elr)
    fault.value("sp", frame.sp)
    fault.finish(frame.elr, frame.x29)


@fn
def put_class(esr: u64) -> None:
    """What ESR_EL1 says, in words (DDI 0487 D17.2.37): EC is bits 31..26, DFSC and IFSC bits 5..0, WnR bit 6."""
    put("  ")
    kind = esr >> 26 & 63
    if kind == 0x25 or kind == 0x24:
        put("write" if esr >> 6 & 1 != 0 else "read")
        put_status(esr & 63)
    elif kind == 0x21 or kind == 0x20:
        put("instruction fetch")
        put_status(esr & 63)
    elif kind == UNKNOWN:
        put("unknown instruction")
    elif kind == 0x26 or kind == 0x22:
        put("sp or pc misaligned")
    elif kind == 0x3C:
        put("breakpoint instruction")
    elif kind == 0x2F:
        put("SError")
    else:
        put("another exception class")
    put("\n")


@fn
def put_status(status: u64) -> None:
    """A fault status code, without its level."""
    if status >> 2 == 1:
        put(", translation fault")
    elif status >> 2 == 2:
        put(", access flag fault")
    elif status >> 2 == 3:
        put(", permission fault")
    elif status == 0x21:
        put(", alignment fault")
    elif status == 0x10:
        put(", external abort")
    else:
        put(", another fault")


ROOTS = [*fastpath.ENTRIES, *fastpath_channels.ENTRIES, trap_from_user, trap_from_kernel, trap_overflow]
