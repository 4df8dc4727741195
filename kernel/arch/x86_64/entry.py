"""Entry from the boot loader, as text, and the boot file: an ELF image for PVH, Multiboot2 and Limine.

PVH (QEMU's -kernel) and Multiboot2 (GRUB) start the image in 32-bit protected mode without paging, at its load
address; Limine starts it in 64-bit mode, at its link address and anywhere in memory. All end in
`kernel_start(protocol, information)` on the kernel stack, with interrupts off. The early page tables map the first
4 GiB at 0 and at DIRECT_MAP, and 2 GiB of that at BASE, everything writable and executable: the kernel's own tables
follow at once.
"""

import struct

from kernel.arch.x86_64 import limine, multiboot2, pvh, trap
from kernel.arch.x86_64.boot import start
from kernel.arch.x86_64.layout import BASE, DIRECT_MAP, PAGE_BYTES
from kernel.arch.x86_64.trap_frame import KERNEL_CODE
from kernel.boot_info import Protocol

ROOTS = [start, *trap.ROOTS]

EFER, EFER_SCE, EFER_LME, EFER_NXE = 0xC000_0080, 1 << 0, 1 << 8, 1 << 11
CR0_PG, CR0_WP, CR0_EM, CR0_MP, CR4_PAE = 1 << 31, 1 << 16, 1 << 2, 1 << 1, 1 << 5
LARGE_PAGE = 0x83  # Present, writable, 2 MiB.
TABLE = 0x03  # Present, writable.
COM1 = 0x3F8

BOOT = f"""
    .set BASE, {BASE:#x}
    .section .text.entry, "ax"
    .code32
    .globl pvh_entry
pvh_entry:
    movl ${int(Protocol.PVH)}, %ebp
    jmp start_32
    .globl multiboot2_entry
multiboot2_entry:
    movl $(not_multiboot2 - BASE), %edi
    cmpl ${multiboot2.LOADER_MAGIC:#x}, %eax
    jne refuse
    movl ${int(Protocol.MULTIBOOT2)}, %ebp
start_32:
    cli
    cld
    movl $(stack_top - BASE), %esp
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
    movl %eax, (boot_high - BASE + {8 * 510})
    movl $4, %ecx
1:  movl %eax, (%edi)
    addl $4096, %eax
    addl $8, %edi
    decl %ecx
    jnz 1b
    movl $(boot_directories - BASE + 4096 + {TABLE}), (boot_high - BASE + {8 * 511})
    movl $(boot_low - BASE + {TABLE}), (boot_root - BASE)
    movl $(boot_low - BASE + {TABLE}), (boot_root - BASE + {8 * (DIRECT_MAP >> 39 & 511)})
    movl $(boot_high - BASE + {TABLE}), (boot_root - BASE + {8 * 511})

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
    leaq stack_top(%rip), %rsp
    xorl %ebp, %ebp
    call kernel_start
    ud2

    .section .rodata.boot, "a"
no_long_mode: .asciz "boot stopped: this CPU has no 64-bit mode (CPUID 8000_0001h EDX bit 29)\\r\\n"
no_execute_disable: .asciz "boot stopped: this CPU has no execute-disable bit (CPUID 8000_0001h EDX bit 20)\\r\\n"
not_multiboot2: .asciz "boot stopped: the boot loader does not speak Multiboot2\\r\\n"
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
"""

ASSEMBLY = "\n".join([multiboot2.header_assembly(), BOOT, trap.ASSEMBLY, limine.requests_assembly()])

PT_LOAD, PT_NOTE, EM_X86_64, ET_EXEC = 1, 4, 62, 2
READ, WRITE, EXECUTE = 4, 2, 1


def pack(flat: bytes, symbols: dict[str, int]) -> bytes:
    """The boot file: a static ELF of three segments and the PVH note, without sections or symbols.

    Its entry is Limine's; PVH takes the note's, Multiboot2 the header's.
    """
    start, end = symbols["image_start"], symbols["image_end"]
    borders = [start, symbols["text_end"], symbols["rodata_end"], end]
    header_size, program_size = 64, 56
    note = pvh.note(symbols["pvh_entry"] - BASE)
    note_at = header_size + 4 * program_size
    assert note_at + len(note) <= PAGE_BYTES
    programs = [struct.pack("<IIQQQQQQ", PT_NOTE, READ, note_at, 0, 0, len(note), len(note), 4)]
    for flags, first, last in zip((READ | EXECUTE, READ, READ | WRITE), borders, borders[1:], strict=False):
        at, in_file = first - start, min(last - start, len(flat)) - (first - start)
        programs.append(
            struct.pack(
                "<IIQQQQQQ", PT_LOAD, flags, PAGE_BYTES + at, first, first - BASE, in_file, last - first, PAGE_BYTES
            )
        )
    header = struct.pack(
        "<4sBBBBQHHIQQQIHHHHHH",
        b"\x7fELF", 2, 1, 1, 0, 0, ET_EXEC, EM_X86_64, 1, symbols["limine_entry"], header_size, 0, 0,
        header_size, program_size, len(programs), 0, 0, 0,
    )  # fmt: skip
    return (header + b"".join(programs) + note).ljust(PAGE_BYTES, b"\0") + flat
