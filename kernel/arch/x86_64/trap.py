"""Trap entry and return: every register saved and restored from the struct's own layout.

TSS.RSP0 points to the end of the current thread's TrapFrame while user code runs, and so does PerCpu.frame_end for
SYSCALL. So

- a trap from user code saves straight into the thread's frame and takes the (then empty) kernel stack;
- a trap from the kernel (an interrupt while it waits, or a fault) saves into a frame on the stack it interrupted; where
  that has no room the CPU raises a double fault, which has the panic stack, and is reported as the overflow it is;
- non-maskable interrupts and machine checks take the panic stack too, and never come back: they need no GS.

`trap_resume(frame)` goes back to user code; GS is the kernel's while the kernel runs and the user's else (SWAPGS).
"""

from typing import Never

from kernel import clock, fault
from kernel.abi import REGISTERS as CALL_REGISTERS
from kernel.abi import SystemCall
from kernel.arch.x86_64 import cpu, interrupts, microkernel, ports
from kernel.arch.x86_64.descriptors import ON_PANIC_STACK, STUB_BYTES, TSS_RSP0
from kernel.arch.x86_64.instructions import read_cr2
from kernel.arch.x86_64.trap_frame import (
    EXCEPTIONS,
    GENERAL,
    SYSCALL_VECTOR,
    USER_CODE,
    USER_DATA,
    WITH_ERROR_CODE,
    PerCpu,
    TrapFrame,
)
from kernel.boot_info import BootInfo
from kernel.core import fastpath, fastpath_channels, start, system_calls
from kernel.core.access import thread_at
from kernel.core.objects import Thread
from kernel.core.state import kernel
from kernel.lang import *
from kernel.link import ENTRY_BYTES, PANIC_STACK_BYTES, TRAP_BYTES
from kernel.linked import stack_bottom

__all__ = ["ASSEMBLY", "ROOTS", "TrapFrame"]


_WORDS = CALL_REGISTERS["x86_64"][2:10]
_CAPABILITY = CALL_REGISTERS["x86_64"][10]
_SLOT = TrapFrame.size + 16  # what a frame takes on a stack, aligned by the CPU
_REST = tuple(name for name in GENERAL if name not in _WORDS)  # rbx, which holds the other frame, is read last of it


def _moves(load: bool, names: tuple[str, ...] = GENERAL, base: str = "rsp") -> str:
    """Saves or restores general registers in the frame at `base`."""
    lines = []
    for name in names:
        place = f"{TrapFrame.fields[name].offset}(%{base})"
        lines.append(f"    movq {place}, %{name}" if load else f"    movq %{name}, {place}")
    return "\n".join(lines)


def _stubs() -> str:
    """One stub a vector, STUB_BYTES apart: makes the frame equal for all, then says which one it is."""
    lines = []
    for vector in range(256):
        lines.append(f"    .balign {STUB_BYTES}")
        if vector not in WITH_ERROR_CODE:
            lines.append("    pushq $0")
        lines += [f"    pushq ${vector}", "    jmp trap_fatal" if vector in ON_PANIC_STACK else "    jmp trap_common"]
    return "\n".join(lines)


def trap_assembly() -> str:
    """Entry and exit of traps."""
    frame, per_cpu = TrapFrame.fields, PerCpu.fields
    general = frame["vector"].offset  # Bytes below what the stubs and the CPU push.
    assert TrapFrame.size % 16 == 0, "the CPU aligns RSP0 down to 16 bytes"
    return f"""
    .section .text.entry, "ax"
    .code64
    .balign {STUB_BYTES}
    .globl trap_stubs
trap_stubs:
{_stubs()}

trap_common:
    subq ${general}, %rsp
{_moves(load=False)}
    cld
    xorl %ebp, %ebp
    testb $3, {frame["cs"].offset}(%rsp)
    jnz trap_user
    movq %rsp, %rdi
    movq {frame["rbp"].offset}(%rsp), %rbp  # The backtrace goes on in what was interrupted.
    movq %rsp, %rbx
    andq $-16, %rsp
    call trap_from_kernel
    movq %rbx, %rsp
{_moves(load=True)}
    addq ${frame["rip"].offset}, %rsp
    iretq

trap_fatal:
    subq ${general}, %rsp
{_moves(load=False)}
    cld
    movq %rsp, %rdi
    andq $-16, %rsp
    call trap_fatal_from_anywhere
    ud2

trap_user:
    swapgs
    movq %rsp, %rdi
    movq %gs:{per_cpu["kernel_stack"].offset}, %rsp
    pushq $2  # RFLAGS without AC: a user must not switch SMAP off by setting it (SDM volume 3, 4.6.1).
    popfq
    call trap_from_user
    movq %rax, %rdi
    # trap_resume(frame: Ptr[TrapFrame]) -> Never: to user mode, with all of its registers from the frame.
    .globl trap_resume
trap_resume:
    leaq {TrapFrame.size}(%rdi), %rax
    movq %rax, task_state + {TSS_RSP0}(%rip)
    movq %rax, %gs:{per_cpu["frame_end"].offset}
    movq %rdi, %rsp
    cmpq ${SYSCALL_VECTOR}, {frame["vector"].offset}(%rsp)
    je 1f
{_moves(load=True)}
    addq ${frame["rip"].offset}, %rsp
    swapgs
    iretq
    # What came by SYSCALL goes back by SYSRET. Its address is canonical: user space ends long before the others.
1:
{_moves(load=True)}
sysret:
    movq {frame["rip"].offset}(%rsp), %rcx
    movq {frame["rflags"].offset}(%rsp), %r11
    movq {frame["rsp"].offset}(%rsp), %rsp
    swapgs
    sysretq

    # The message is in the frame of the thread that came here (%rbx), all else in that of the one that goes on (%rax).
fast_resume:
    leaq {TrapFrame.size}(%rax), %rcx
    movq %rcx, task_state + {TSS_RSP0}(%rip)
    movq %rcx, %gs:{per_cpu["frame_end"].offset}
    movq %rax, %rsp
{_moves(load=True, names=_WORDS, base="rbx")}
{_moves(load=True, names=_REST)}
    cmpq ${SYSCALL_VECTOR}, {frame["vector"].offset}(%rsp)
    je sysret
    addq ${frame["rip"].offset}, %rsp
    swapgs
    iretq

    # What failed checks call: (site, left, right), and from where, on the panic stack.
    .globl kernel_panic
kernel_panic:
    movq (%rsp), %rcx
    movq %rbp, %r8
    leaq panic_stack_top(%rip), %rsp
    pushq $0
    jmp kernel_panic_stacked

    .balign 16
    .globl syscall_entry
syscall_entry:
    swapgs
    movq %rsp, %gs:{per_cpu["user_stack"].offset}
    movq %gs:{per_cpu["frame_end"].offset}, %rsp
    pushq ${USER_DATA}
    pushq %gs:{per_cpu["user_stack"].offset}
    pushq %r11
    pushq ${USER_CODE}
    pushq %rcx
    pushq $0
    pushq ${SYSCALL_VECTOR}
    subq ${general}, %rsp
{_moves(load=False)}
    movq %rsp, %rbx
    movq %rsp, %rdi
    movq %gs:{per_cpu["kernel_stack"].offset}, %rsp
    xorl %ebp, %ebp
    cmpq ${int(SystemCall.CALL)}, %rax
    je 1f
    cmpq ${int(SystemCall.REPLY_RECEIVE)}, %rax
    jne 3f
    call fast_reply_receive
    testq %rax, %rax
    jnz fast_resume
    jmp 2f
1:  testq %{_CAPABILITY}, %{_CAPABILITY}
    jnz 7f
    call fast_call
    testq %rax, %rax
    jnz fast_resume
    jmp 2f
7:  call fast_call_granting
    testq %rax, %rax
    jnz fast_resume
    jmp 2f
3:  cmpq ${int(SystemCall.NOTIFY)}, %rax
    je 4f
    cmpq ${int(SystemCall.CHANNEL_SEND)}, %rax
    je 5f
    cmpq ${int(SystemCall.CHANNEL_RECEIVE)}, %rax
    jne 2f
    call fast_channel_receive
    jmp 6f
5:  call fast_channel_send
    jmp 6f
4:  call fast_notify
6:  movq %rax, %rdi
    testq %rax, %rax
    jnz trap_resume
2:  movq %rbx, %rdi
    call trap_from_user
    movq %rax, %rdi
    jmp trap_resume
"""


ASSEMBLY = trap_assembly()

GENERAL_PROTECTION, PAGE_FAULT, DOUBLE_FAULT, FIRST_INTERRUPT = 13, 14, 8, 32
NAMES = constant(Array[Str, FIRST_INTERRUPT], [EXCEPTIONS.get(n, "reserved exception") for n in range(FIRST_INTERRUPT)])
GUARD_BYTES = 4096


running_users = variable(bool, False)


@assembly("x86_64", "movq {frame}, %%rdi\njmp trap_resume", clobbers=["memory"])
def enter(frame: Ptr[TrapFrame]) -> Never:
    """Leaves the kernel for the thread of a frame."""


@fn
def start_users(info: Ptr[BootInfo]) -> Never:
    """The kernel serves user code from now on."""
    global running_users
    cpu.disable_interrupts()
    interrupts.disconnect_console()
    start.first_program(info)
    running_users = True
    kernel.programmed = 0
    enter(resume_frame(system_calls.leave_kernel()))


@fn(symbol="trap_from_user", entry=True, stack=ENTRY_BYTES)
def trap_from_user(frame: Ptr[TrapFrame]) -> Ptr[TrapFrame]:
    """A trap of user code; gives the frame to go on with."""
    thread = thread_at(address_of(frame))
    if frame.vector == SYSCALL_VECTOR:
        return resume_frame(system_calls.system_call(thread))
    if frame.vector >= FIRST_INTERRUPT:
        interrupt(trunc(frame.vector, u8))
        return resume_frame(system_calls.leave_kernel())
    if frame.vector == GENERAL_PROTECTION and ports.allow():
        return frame
    address = read_cr2() if frame.vector == PAGE_FAULT else 0
    return resume_frame(system_calls.fault(thread, frame.vector | frame.error << 8, address, frame.rip))


@fn
def resume_frame(next: Ptr[Thread] | None) -> Ptr[TrapFrame]:
    """The frame of the thread that runs now; when there is none, sleeps until an interrupt makes one ready."""
    thread = next
    if thread is not None:
        return pointer_at(address_of(some(thread)), TrapFrame)
    began = microkernel.read_time()
    while bounded(thread is None, 1 << 62):
        if not system_calls.pending():
            cpu.wait_for_interrupt()  # it is taken here, by trap_from_kernel
        thread = system_calls.leave_kernel()
    kernel.idle_time += microkernel.read_time() - began
    return pointer_at(address_of(some(thread)), TrapFrame)


@fn
def interrupt(vector: u8) -> None:
    """Serves one interrupt."""
    if interrupts.dispatch(vector):
        if running_users:
            _ = system_calls.timer()
        else:
            clock.interrupt()


@fn(symbol="trap_from_kernel", entry=True, stack=TRAP_BYTES - _SLOT)
def trap_from_kernel(frame: Ptr[TrapFrame]) -> None:
    """An interrupt while the kernel waited, or a fault of the kernel's own."""
    if frame.vector >= FIRST_INTERRUPT:
        interrupt(trunc(frame.vector, u8))
    else:
        kernel_fault(frame)


@fn(symbol="trap_fatal_from_anywhere", entry=True, stack=PANIC_STACK_BYTES - _SLOT)
def trap_fatal_from_anywhere(frame: Ptr[TrapFrame]) -> Never:
    """A non-maskable interrupt, double fault or machine check, on the panic stack: nothing goes on after it."""
    kernel_fault(frame)


@fn
def kernel_fault(frame: Ptr[TrapFrame]) -> Never:
    """The panic of a trap that the kernel must not have. CR2 is the address of a page fault, doubled or not."""
    address = read_cr2()
    bottom = u64(address_of(ptr(stack_bottom)))
    if frame.vector == DOUBLE_FAULT and address < bottom and address >= bottom - GUARD_BYTES:
        fault.begin("kernel stack overflow")
    else:
        fault.begin(NAMES[frame.vector])
    fault.value("vector", frame.vector)
    fault.value("error", frame.error)
    if frame.vector == PAGE_FAULT or frame.vector == DOUBLE_FAULT:
        fault.value("cr2", address)
    fault.value("rip", frame.rip)
    fault.value("rsp", frame.rsp)
    fault.finish(frame.rip, frame.rbp)


ROOTS = [*fastpath.ENTRIES, *fastpath_channels.ENTRIES, trap_from_user, trap_from_kernel, trap_fatal_from_anywhere]
