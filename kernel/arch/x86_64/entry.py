"""Entry assembly: from the boot loader to long mode, and from every interrupt, exception and system call to Kernel
Python. Offsets come from the structs in trap_frame.py.

Boot. PVH (QEMU's -kernel) and Multiboot2 (GRUB) start the image in 32-bit protected mode without paging, at its load
address; Limine starts it in 64-bit mode, at its link address and anywhere in memory. All end in `kernel_entry(protocol,
information)` on the boot stack, with interrupts off; the early page tables map the first 4 GiB at 0 and at DIRECT_MAP,
and 2 GiB of that at KERNEL_BASE, everything writable and executable: the kernel's own tables follow at once.

Traps. From user mode the frame is the thread's own (TSS.RSP0 and PerCpu.frame_end point at its end); the kernel stack is
taken from PerCpu. From kernel mode, which is the idle loop or a bug, the frame is on the stack. Non-maskable
interrupts, double faults and machine checks have stacks of their own (IST) and never come back, so they need no GS.
"""

from kernel.arch.x86_64.layout import BOOT_STACK_BYTES, DIRECT_MAP, KERNEL_BASE
from kernel.arch.x86_64.limine import requests_assembly
from kernel.arch.x86_64.multiboot2 import LOADER_MAGIC, header_assembly
from kernel.arch.x86_64.protocol import Protocol
from kernel.arch.x86_64.pvh import note_assembly
from kernel.arch.x86_64.trap_frame import (
    GENERAL,
    KERNEL_CODE,
    SYSCALL_VECTOR,
    USER_CODE,
    USER_DATA,
    WITH_ERROR_CODE,
    PerCpu,
    TrapFrame,
)

STUB_BYTES = 16
EFER, EFER_SCE, EFER_LME, EFER_NXE = 0xC000_0080, 1 << 0, 1 << 8, 1 << 11
CR0_PG, CR0_WP, CR0_EM, CR0_MP, CR4_PAE = 1 << 31, 1 << 16, 1 << 2, 1 << 1, 1 << 5
LARGE_PAGE = 0x83  # Present, writable, 2 MiB.
TABLE = 0x03  # Present, writable.
COM1 = 0x3F8

BOOT = f"""
    .set BASE, {KERNEL_BASE:#x}
    .section .boot.text, "ax"
    .code32
    .globl pvh_entry
pvh_entry:
    movl ${int(Protocol.PVH)}, %ebp
    jmp start_32
    .globl multiboot2_entry
multiboot2_entry:
    movl $(not_multiboot2 - BASE), %edi
    cmpl ${LOADER_MAGIC:#x}, %eax
    jne refuse
    movl ${int(Protocol.MULTIBOOT2)}, %ebp
start_32:
    cli
    cld
    movl $(boot_stack_top - BASE), %esp
    movl %ebx, %esi
    # CPUID exists where EFLAGS.ID can be changed (SDM volume 1, 3.4.3.3).
    movl $(no_long_mode - BASE), %edi
    pushfl
    movl (%esp), %eax
    xorl $0x200000, (%esp)
    popfl
    pushfl
    popl %ecx
    xorl %eax, %ecx
    testl $0x200000, %ecx
    jz refuse
    movl $0x80000000, %eax
    cpuid
    cmpl $0x80000001, %eax
    jb refuse
    movl $0x80000001, %eax
    cpuid
    testl $(1 << 29), %edx
    jz refuse
    movl $(no_execute_disable - BASE), %edi
    testl $(1 << 20), %edx
    jz refuse

    # 2048 pages of 2 MiB: the first 4 GiB.
    movl $(boot_directories - BASE), %edi
    movl ${LARGE_PAGE:#x}, %eax
    movl $2048, %ecx
1:  movl %eax, (%edi)
    movl $0, 4(%edi)
    addl $0x200000, %eax
    addl $8, %edi
    decl %ecx
    jnz 1b
    movl $(boot_directories - BASE + {TABLE}), %eax
    movl $(boot_low - BASE), %edi
    movl %eax, {8 * 510}(boot_high - BASE)
    movl $4, %ecx
1:  movl %eax, (%edi)
    addl $4096, %eax
    addl $8, %edi
    decl %ecx
    jnz 1b
    movl $(boot_directories - BASE + 4096 + {TABLE}), {8 * 511}(boot_high - BASE)
    movl $(boot_low - BASE + {TABLE}), (boot_root - BASE)
    movl $(boot_low - BASE + {TABLE}), {8 * (DIRECT_MAP >> 39 & 511)}(boot_root - BASE)
    movl $(boot_high - BASE + {TABLE}), {8 * 511}(boot_root - BASE)

    # Long mode (SDM volume 3, 9.8.5).
    movl %cr4, %eax
    orl ${CR4_PAE:#x}, %eax
    movl %eax, %cr4
    movl $(boot_root - BASE), %eax
    movl %eax, %cr3
    movl ${EFER:#x}, %ecx
    rdmsr
    orl ${EFER_LME | EFER_NXE:#x}, %eax
    wrmsr
    movl %cr0, %eax
    orl ${CR0_PG | CR0_WP:#x}, %eax
    movl %eax, %cr0
    lgdt (boot_gdt_pointer - BASE)
    ljmp ${KERNEL_CODE}, $(start_64 - BASE)

    # Says on COM1 why the kernel cannot run here; the text is at %edi.
refuse:
    movb (%edi), %bl
    testb %bl, %bl
    jz 3f
    movl $0x100000, %ecx
2:  movw ${COM1 + 5:#x}, %dx
    inb %dx, %al
    testb $0x20, %al
    loopz 2b
    movb %bl, %al
    movw ${COM1:#x}, %dx
    outb %al, %dx
    incl %edi
    jmp refuse
3:  cli
    hlt
    jmp 3b

    .code64
start_64:
    movabsq $start_high, %rax
    jmpq *%rax
start_high:
    xorl %eax, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %eax, %fs
    movl %eax, %gs
    movl %ebp, %edi
    movl %esi, %esi
    jmp start_kernel
    .globl limine_entry
limine_entry:
    cli
    cld
    movl ${int(Protocol.LIMINE)}, %edi
    xorl %esi, %esi
start_kernel:
    leaq boot_stack_top(%rip), %rsp
    xorl %ebp, %ebp
    call kernel_entry
    ud2

    .section .rodata.boot, "a"
no_long_mode: .asciz "Splax cannot run here: this CPU has no 64-bit mode (CPUID 8000_0001h EDX bit 29)\\r\\n"
no_execute_disable: .asciz "Splax cannot run here: this CPU has no execute-disable bit (CPUID 8000_0001h EDX bit 20)\\r\\n"
not_multiboot2: .asciz "Splax cannot run here: the boot loader does not speak Multiboot2\\r\\n"
    .balign 8
boot_gdt:
    .quad 0, 0x00209a0000000000, 0x0000920000000000  # null; 64-bit code; data (SDM volume 3, 3.4.5)
boot_gdt_pointer:
    .word boot_gdt_pointer - boot_gdt - 1
    .quad boot_gdt - BASE

    .section .bss.boot, "aw", @nobits
    .balign 4096
boot_root: .skip 4096
boot_low: .skip 4096
boot_high: .skip 4096
boot_directories: .skip 4 * 4096
    .section .bss.stacks, "aw", @nobits
    .balign 4096
    .globl boot_stack_guard, boot_stack_top
boot_stack_guard: .skip 4096
    .skip {BOOT_STACK_BYTES}
boot_stack_top:
"""


def _moves(load: bool) -> str:
    """Saves or restores the general registers at %rsp."""
    lines = []
    for name in GENERAL:
        place = f"{TrapFrame.fields[name].offset}(%rsp)"  # type: ignore[attr-defined]
        lines.append(f"    movq {place}, %{name}" if load else f"    movq %{name}, {place}")
    return "\n".join(lines)


def _stubs() -> str:
    """One stub a vector, STUB_BYTES apart: makes the frame equal for all, then says which one it is."""
    lines = []
    for vector in range(256):
        lines.append(f"    .balign {STUB_BYTES}")
        if vector not in WITH_ERROR_CODE:
            lines.append("    pushq $0")
        lines += [f"    pushq ${vector}", "    jmp trap_common"]
    return "\n".join(lines)


def trap_assembly() -> str:
    """Entry and exit of traps."""
    frame, per_cpu = TrapFrame.fields, PerCpu.fields  # type: ignore[attr-defined]
    general = frame["vector"].offset  # Bytes below what the stubs and the CPU push.
    assert TrapFrame.size % 16 == 0, "the CPU aligns RSP0 down to 16 bytes"  # type: ignore[attr-defined]
    return f"""
    .section .text.trap, "ax"
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

trap_user:
    swapgs
trap_user_saved:
    movq %rsp, %rdi
    movq %gs:{per_cpu["kernel_stack"].offset}, %rsp
    pushq $2  # RFLAGS without AC: a user must not switch SMAP off by setting it (SDM volume 3, 4.6.1).
    popfq
    call trap_from_user
    movq %rax, %rdi
    # resume_user(frame: Ptr[TrapFrame]) -> Never: to user mode, with all of its registers from the frame.
    .globl resume_user
resume_user:
    movq %rdi, %rsp
{_moves(load=True)}
    addq ${frame["rip"].offset}, %rsp
    swapgs
    iretq

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
    xorl %ebp, %ebp
    jmp trap_user_saved
"""


def assembly() -> str:
    """All of it, one file."""
    return "\n".join([header_assembly(), note_assembly(), BOOT, trap_assembly(), requests_assembly()])
