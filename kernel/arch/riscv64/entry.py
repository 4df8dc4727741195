"""Entry from the loader, as text: the Linux Image header, the first page table, the jump to the linked address.

The contract (Linux, Documentation/riscv/boot.rst): a0 = hart id, a1 = physical address of the device tree, satp = 0,
the image at a multiple of 2 MiB. The header is Documentation/riscv/boot-image-header.rst.
"""

from kernel.arch.riscv64 import layout, trap
from kernel.arch.riscv64.boot import start

ROOTS = [start, *trap.ROOTS]

_V, _R, _W, _X, _A, _D = 0x01, 0x02, 0x04, 0x08, 0x40, 0x80
_EARLY = _V | _R | _W | _X | _A | _D  # until `paging.initialize` makes the real tables
_TABLE = _V
_LARGE_PAGES = 16  # 2 MiB each: what the image may have
_DIRECT_INDEX = layout.DIRECT_MAP >> 30 & 511
_KERNEL_INDEX = layout.KERNEL_BASE >> 30 & 511
_SV39 = 8 << 60

HEADER = f"""
    .section .text.start, "ax"
    .globl _start, image_header
image_header:
_start:
    j early                     # code0
    .balign 4
    .word 0                     # code1
    .quad {layout.IMAGE_ALIGN:#x}   # text_offset: from the start of RAM
    .quad image_end - image_start
    .quad 0                     # flags: little endian
    .word 2                     # version 0.2
    .word 0
    .quad 0
    .ascii "RISCV\\0\\0\\0"
    .ascii "RSC\\x05"
    .word 0
"""

EARLY = f"""
early:
    csrw sie, zero
    csrw sip, zero
    mv s0, a0                   # hart id
    mv s1, a1                   # device tree
    lla s2, image_start         # where the image really is
    lla t0, bss_start
    lla t1, bss_end
1:  sd zero, 0(t0)
    addi t0, t0, 8
    bltu t0, t1, 1b

    # Root: the gigapage that we run in, the direct map, the image.
    lla s3, early_root
    srli t0, s2, 30
    slli t1, t0, 28
    ori t1, t1, {_EARLY:#x}
    slli t0, t0, 3
    add t0, t0, s3
    sd t1, 0(t0)
    li t0, {_DIRECT_INDEX * 8}
    add t0, t0, s3
    li t1, {_EARLY & ~_X:#x}
    li t2, {layout.DIRECT_MAP_BYTES >> 30}
    li t3, 1 << 28
2:  sd t1, 0(t0)
    add t1, t1, t3
    addi t0, t0, 8
    addi t2, t2, -1
    bnez t2, 2b
    lla t0, early_kernel
    srli t1, t0, 2
    ori t1, t1, {_TABLE}
    li t2, {_KERNEL_INDEX * 8}
    add t2, t2, s3
    sd t1, 0(t2)
    srli t1, s2, 2
    ori t1, t1, {_EARLY:#x}
    li t2, {_LARGE_PAGES}
    li t3, 1 << 19
3:  sd t1, 0(t0)
    add t1, t1, t3
    addi t0, t0, 8
    addi t2, t2, -1
    bnez t2, 3b

    # The linked address of what follows, then on with paging: this page is mapped to itself.
    lla t0, high
    ld t1, high_address
    sub s4, t1, t0              # linked - physical
    srli t2, s3, 12
    li t3, {_SV39:#x}
    or t2, t2, t3
    sfence.vma
    csrw satp, t2
    jr t1
    .balign 8
high_address:
    .quad high
high:
    lla sp, stack_top
    lla t0, trap_vector
    csrw stvec, t0
    csrw sscratch, zero
    mv a0, s0
    li fp, 0                    # (s0) the backtrace ends here
    mv a1, s1
    mv a2, s2
    li ra, 0
    li tp, 0
    call kernel_start
1:  wfi
    j 1b

    .bss
    .balign 4096
early_root:
    .space 4096
early_kernel:
    .space 4096
"""

ASSEMBLY = HEADER + EARLY + trap.ASSEMBLY


def pack(flat: bytes, symbols: dict[str, int]) -> bytes:
    """The boot file: the flat image is one already, its header is assembled."""
    return flat
