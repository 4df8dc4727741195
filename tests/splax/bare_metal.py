"""Bare-metal programs for the command line's tests, built by the project's own compiler."""

import subprocess
from pathlib import Path

from sim.build import compiler

LINKER_SCRIPT = """
ENTRY(_start)
SECTIONS {
  . = 0x80000000;
  .text : { *(.text.start) *(.text*) *(.rodata*) }
  . = ALIGN(64);
  .tohost : { *(.tohost) }
  .data : { *(.data*) *(.sdata*) }
  .bss : { *(.bss*) *(.sbss*) }
}
"""

HEAD = """
    .section .text.start, "ax"
    .globl _start
_start:
"""

HOST = """
    .section .tohost, "aw", @progbits
    .balign 64
    .globl tohost
tohost: .dword 0
    .balign 64
    .globl fromhost
fromhost: .dword 0
"""

HELLO = f"""{HEAD}
    li t0, 0x10000000
    la t1, text
1:  lbu t2, 0(t1)
    beqz t2, 2f
    sb t2, 0(t0)
    addi t1, t1, 1
    j 1b
2:  la t0, tohost
    li t1, 1
    sd t1, 0(t0)
3:  j 3b
text: .asciz "hello\\n"
{HOST}
"""

EXIT = HEAD + "    la t0, tohost\n    li t1, {value}\n    sd t1, 0(t0)\n1:  j 1b\n" + HOST

FINISH = HEAD + "    li t0, 0x100000\n    li t1, {value}\n    sw t1, 0(t0)\n1:  j 1b\n"

LOOP = f"{HEAD}\nspin:\n    j spin\n"

TRAP_LOOP = f"{HEAD}\n    la t0, handler\n    csrw mtvec, t0\n    .word 0\n    .balign 4\nhandler:\n    .word 0\n"

JUMP_INTO_NOTHING = f"{HEAD}\n    li t0, 0x50000000\n    jr t0\n"

SYSTEM_CALLS = f"""{HEAD}
    la a0, request
    la a1, tohost
    la a2, fromhost
    sd a0, 0(a1)
1:  ld t0, 0(a2)
    beqz t0, 1b
    sd zero, 0(a2)
    ld t1, 0(a0)        # the result: bytes written
    li t2, 93
    sd t2, 0(a0)
    sd t1, 8(a0)
    fence
    sd a0, 0(a1)
2:  j 2b
    .data
    .balign 64
request: .dword 64, 1, message, 12, 0, 0, 0, 0
message: .ascii "by the host\\n"
{HOST}
"""

SIGNATURE = f"""{HEAD}
    la t0, begin_signature
    li t1, 0x11223344
    sw t1, 0(t0)
    li t1, 0xdeadbeef
    sw t1, 4(t0)
    la t0, tohost
    li t1, 1
    sd t1, 0(t0)
1:  j 1b
    .data
    .balign 16
    .globl begin_signature, end_signature
begin_signature: .word 1, 2, 3, 4
end_signature:
{HOST}
"""


def assemble(directory: Path, source: str, name: str = "program", *options: str) -> Path:
    """Builds an ELF file from assembly text."""
    assembly, script, target = (directory / f"{name}.{suffix}" for suffix in ("S", "ld", "elf"))
    assembly.write_text(source)
    script.write_text(LINKER_SCRIPT)
    command = [*compiler("cc"), "-target", "riscv64-freestanding-none", "-mcpu=generic_rv64+m+a+c+zba+zbb+zbs"]
    command += ["-mabi=lp64", "-mcmodel=medany", "-nostdlib", "-static", "-fno-sanitize=all", f"-Wl,-T,{script}"]
    subprocess.run([*command, *options, str(assembly), "-o", str(target)], check=True, capture_output=True)
    return target


ECHO = f"""{HEAD}
    li t0, 0x10000000
1:  lbu t1, 5(t0)       # LSR: data ready
    andi t1, t1, 1
    beqz t1, 1b
    lbu t2, 0(t0)
    sb t2, 0(t0)
    li t3, 'q'
    bne t2, t3, 1b
    la t0, tohost
    li t1, 1
    sd t1, 0(t0)
2:  j 2b
{HOST}
"""

PAGED = f"""{HEAD}
    la t0, machine_trap
    csrw mtvec, t0
    li t0, -1
    csrw pmpaddr0, t0
    li t0, 0x1f
    csrw pmpcfg0, t0
    la t0, root
    la t1, middle
    srli t2, t1, 12
    slli t2, t2, 10
    ori t2, t2, 1
    sd t2, 8(t0)            # 0x4000_0000: a table of
    la t2, leaves
    srli t2, t2, 12
    slli t2, t2, 10
    ori t2, t2, 1
    sd t2, 0(t1)            # a table of
    la t1, leaves
    la t2, variable
    srli t2, t2, 12
    slli t2, t2, 10
    ori t2, t2, 0xc7
    sd t2, 0(t1)            # the page of `variable`
    li t2, 0x200000cf
    sd t2, 24(t0)           # 0xc000_0000: a superpage of the program
    srli t0, t0, 12
    li t1, 8 << 60
    or t0, t0, t1
    csrw satp, t0
    sfence.vma
    li t0, 1 << 11
    csrw mstatus, t0
    la t0, supervisor
    li t1, 0x40000000
    add t0, t0, t1
    csrw mepc, t0
    mret

    .balign 4
    .type machine_trap, @function
machine_trap:
    csrr t6, mepc
    addi t6, t6, 4
    csrw mepc, t6
    mret

    .type supervisor, @function
supervisor:
    li s0, 0x40000000
    ld a0, 0(s0)
    call increment
    sd a0, 0(s0)
    .option norvc
fault:
    ld a1, 8(zero)          # no page at 0
    ecall
    .option rvc
    li t0, 0x40000000
    la t1, tohost
    ld a0, 0(s0)
    slli a0, a0, 1
    ori a0, a0, 1
    sd a0, 0(t1)            # ends with `variable` as its status
1:  j 1b

    .type increment, @function
increment:
    addi a0, a0, 1
    addi a0, a0, 1
    ret

    .data
    .balign 4096
root: .zero 4096
middle: .zero 4096
leaves: .zero 4096
    .globl variable
variable: .dword 5
{HOST}
"""
"""Runs `supervisor` at 0x4000_0000 more than where it is linked, with `variable` at 0x4000_0000."""
