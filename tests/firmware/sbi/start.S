/* Start of every hart, accesses that may trap, and what C cannot say. */

#define HART_STACK 4096

    .section .text.start, "ax"
    .globl _start
_start:                         /* the first hart */
    la t0, bss_start
    la t1, bss_end
1:  bgeu t0, t1, 2f
    sd zero, 0(t0)
    addi t0, t0, 8
    j 1b
2:  call set_up
    j main_

    .text
    .balign 4
    .globl start_of_hart
start_of_hart:                  /* a0 hart, a1 opaque */
    call set_up
    j hart_main

set_up:
    la sp, stacks
    addi t0, a0, 1
    slli t0, t0, 12
    add sp, sp, t0
    la t0, trapped
    csrw stvec, t0
    csrw sie, zero
    ret

/* guarded(kind, address, value): one access; cause + 1 when it trapped. Only the first hart uses it. */
    .globl guarded, illegal_here, user_rdtime
guarded:
    la t0, guarded_ra
    sd ra, 0(t0)
    la t0, table
    slli a0, a0, 2
    add t0, t0, a0
    jr t0
done:
    la t0, guarded_value
    sd a3, 0(t0)
    li a0, 0
    j leave
    .balign 4
trapped:
    csrr t0, scause
    la t1, guarded_cause
    sd t0, 0(t1)
    csrr t2, sepc
    la t1, guarded_epc
    sd t2, 0(t1)
    csrr t2, stval
    la t1, guarded_tval
    sd t2, 0(t1)
    addi a0, t0, 1
leave:
    la t0, guarded_ra
    ld ra, 0(t0)
    ret

    .option push
    .option norvc
table:
    j k_load8
    j k_store8
    j k_jump
    j illegal_here
    j k_load16
    j k_load32
    j k_load64
    j k_load16s
    j k_store32
    j k_cload32
    j k_cload64
    j k_rdtime
    j k_rdcycle
    j k_rdinstret
    j k_user
    j k_amo
    j k_store64
    j k_store16
    j k_load32u
k_load8:  lbu a3, 0(a1); j done
k_store8: sb a2, 0(a1); j done
k_jump:   jr a1
illegal_here: .word 0
k_load16: lhu a3, 0(a1); j done
k_load32: lw a3, 0(a1); j done
k_load64: ld a3, 0(a1); j done
k_load16s: lh a3, 0(a1); j done
k_load32u: lwu a3, 0(a1); j done
k_store16: sh a2, 0(a1); j done
k_store32: sw a2, 0(a1); j done
k_store64: sd a2, 0(a1); j done
k_rdtime: rdtime a3; j done
k_rdcycle: rdcycle a3; j done
k_rdinstret: rdinstret a3; j done
k_amo: amoadd.d a3, a2, (a1); j done
k_user:
    la t0, user_rdtime
    csrw sepc, t0
    li t0, 0x100
    csrc sstatus, t0
    sret
user_rdtime:
    rdtime a3
    ecall
    .option pop
k_cload32: c.lw a3, 0(a1)
    j done
k_cload64: c.ld a3, 0(a1)
    j done

/* suspend_and_resume(opaque): a non-retentive suspend; gives what a1 held at resume_here. */
    .globl suspend_and_resume, resume_here
suspend_and_resume:
    la t0, kept
    sd ra, 0(t0)
    sd sp, 8(t0)
    sd s0, 16(t0)
    sd s1, 24(t0)
    sd s2, 32(t0)
    sd s3, 40(t0)
    sd s4, 48(t0)
    sd s5, 56(t0)
    sd s6, 64(t0)
    sd s7, 72(t0)
    sd s8, 80(t0)
    sd s9, 88(t0)
    sd s10, 96(t0)
    sd s11, 104(t0)
    csrr t1, sie
    sd t1, 112(t0)
    mv a2, a0
    la a1, resume_here
    li a0, 0x80000000
    li a6, 3
    li a7, 0x48534D
    ecall
    li a0, -1
    ret
    .balign 4
resume_here:
    la t0, trapped
    csrw stvec, t0
    la t0, kept
    ld ra, 0(t0)
    ld sp, 8(t0)
    ld s0, 16(t0)
    ld s1, 24(t0)
    ld s2, 32(t0)
    ld s3, 40(t0)
    ld s4, 48(t0)
    ld s5, 56(t0)
    ld s6, 64(t0)
    ld s7, 72(t0)
    ld s8, 80(t0)
    ld s9, 88(t0)
    ld s10, 96(t0)
    ld s11, 104(t0)
    ld t1, 112(t0)
    csrw sie, t1
    mv a0, a1
    ret

/* registers_kept(): a call with a value of its own in every register; gives how many came back changed. */
    .macro each instruction
    .irp n, 3,4,5,6,7,8,9,12,13,14,15,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    \instruction \n
    .endr
    .endm
    .macro fill n
    li x\n, 0x5A5A0000 + \n
    .endm
    .macro compare n
    li a0, 0x5A5A0000 + \n
    xor a0, a0, x\n
    snez a0, a0
    add a1, a1, a0
    .endm
    .globl registers_kept
registers_kept:
    addi sp, sp, -128
    sd ra, 0(sp)
    sd s0, 8(sp)
    sd s1, 16(sp)
    sd s2, 24(sp)
    sd s3, 32(sp)
    sd s4, 40(sp)
    sd s5, 48(sp)
    sd s6, 56(sp)
    sd s7, 64(sp)
    sd s8, 72(sp)
    sd s9, 80(sp)
    sd s10, 88(sp)
    sd s11, 96(sp)
    sd gp, 104(sp)
    sd tp, 112(sp)
    each fill
    li a6, 0
    li a7, 0x10
    ecall
    snez a1, a0
    each compare
    addi a0, a6, 0
    snez a0, a0
    add a1, a1, a0
    addi a0, a7, -0x10
    snez a0, a0
    add a0, a0, a1
    ld ra, 0(sp)
    ld s0, 8(sp)
    ld s1, 16(sp)
    ld s2, 24(sp)
    ld s3, 32(sp)
    ld s4, 40(sp)
    ld s5, 48(sp)
    ld s6, 56(sp)
    ld s7, 64(sp)
    ld s8, 72(sp)
    ld s9, 80(sp)
    ld s10, 88(sp)
    ld s11, 96(sp)
    ld gp, 104(sp)
    ld tp, 112(sp)
    addi sp, sp, 128
    ret

    .bss
    .balign 16
    .globl guarded_value, guarded_cause, guarded_epc, guarded_tval
guarded_ra: .space 8
guarded_value: .space 8
guarded_cause: .space 8
guarded_epc: .space 8
guarded_tval: .space 8
kept: .space 128
    .balign 4096
stacks: .space 8 * HART_STACK
