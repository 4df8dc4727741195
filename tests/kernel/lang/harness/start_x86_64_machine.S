# QEMU's direct boot (PVH): protected mode without paging to 64-bit mode, COM1 for output, isa-debug-exit for the end.
    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 4, 18              # name size, value size, XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long _start

    .section .text.start, "ax"
    .code32
    .globl _start
_start:
    movl $tables, %edi          # one level-4 entry, one level-3 entry, 2 MiB pages for the first GiB
    leal 0x1003(%edi), %eax
    movl %eax, (%edi)
    leal 0x2003(%edi), %eax
    movl %eax, 0x1000(%edi)
    xorl %ecx, %ecx
1:  movl %ecx, %eax
    shll $21, %eax
    orl $0x83, %eax
    movl %eax, 0x2000(%edi,%ecx,8)
    incl %ecx
    cmpl $512, %ecx
    jne 1b
    movl %edi, %cr3
    movl %cr4, %eax
    orl $0x20, %eax             # PAE
    movl %eax, %cr4
    movl $0xC0000080, %ecx      # EFER.LME
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl %cr0, %eax
    orl $0x80000001, %eax
    movl %eax, %cr0
    lgdt descriptor
    ljmpl $8, $long_mode

    .code64
long_mode:
    movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $harness_stack_top, %esp
    call harness_main
    movw $0xf4, %dx
    xorl %eax, %eax
    outl %eax, %dx
2:  hlt
    jmp 2b

    .text
    .globl harness_call
harness_call:               # (write, 1, buffer, size): the only call there is
    movq %rdx, %rsi
1:  testq %rcx, %rcx
    jz 3f
2:  movw $0x3fd, %dx
    inb %dx, %al
    testb $0x20, %al
    jz 2b
    movb (%rsi), %al
    movw $0x3f8, %dx
    outb %al, %dx
    incq %rsi
    decq %rcx
    jmp 1b
3:  ret

    .section .rodata
    .balign 8
gdt:
    .quad 0, 0x00af9a000000ffff, 0x00cf92000000ffff
descriptor:
    .word 23
    .long gdt

    .bss
    .balign 4096
tables:
    .space 0x3000
    .space 65536
harness_stack_top:
