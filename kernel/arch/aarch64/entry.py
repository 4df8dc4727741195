"""Entry from the loader, as text: the Linux Image header (which is an EFI application's too), the first page tables,
the jump to the linked address.

The contract (Linux, Documentation/arch/arm64/booting.rst): x0 = physical address of the device tree, MMU off, EL1 or
EL2, the image at a multiple of 2 MiB. From UEFI, `efi`'s stub brings about the same.
"""

from kernel.arch.aarch64 import efi, layout, paging, trap
from kernel.arch.aarch64.boot import start

ROOTS = [start, *trap.ROOTS]

_LARGE_PAGES = 16  # 2 MiB each: what the image may have
_KERNEL_INDEX = layout.KERNEL_BASE >> 30 & 511

# SCTLR_EL1 (DDI 0487 D17.2.118): the bits that are 1 in ARMv8.0; then SA0, SA, I, C, M.
_SCTLR_OFF = 0x30D0_0800
_SCTLR_ON = _SCTLR_OFF | 1 << 12 | 1 << 4 | 1 << 3 | 1 << 2 | 1 << 0
_WXN = 1 << 19
# TCR_EL1 (D17.2.131): T0SZ, T1SZ 25 (39 bits), 4 KiB granules, tables write-back and inner shareable.
_HALF = 25 | 1 << 8 | 1 << 10 | 3 << 12
_TCR = _HALF | _HALF << 16 | 2 << 30

HEADER = f"""
    .section .text.start, "ax"
    .globl _start, image_header, efi_entry, early
image_header:
_start:
    ccmp x18, #0, #0xd, pl      // "MZ": a PE header begins so
    b early
    .quad 0                     // text_offset
    .quad image_bytes
    .quad 0xa                   // flags: little endian, 4 KiB pages, anywhere in memory
    .quad 0, 0, 0
    .ascii "ARM\\x64"
    .long pe_header - image_header
{efi.HEADER}"""

EARLY = f"""
early:                          // x0 = device tree, or 0
    msr daifset, #15
    mov x20, x0
    mrs x0, CurrentEL
    cmp x0, #8
    b.ne 1f

    // EL2: everything to EL1, which is where we go (D13).
    mov x0, #1 << 31            // HCR_EL2.RW: EL1 is AArch64
    msr hcr_el2, x0
    mov x0, #3                  // the physical counter and timer are EL1's
    msr cnthctl_el2, x0
    msr cntvoff_el2, xzr
    mov x0, #0x33ff             // CPTR_EL2: nothing is trapped
    msr cptr_el2, x0
    msr s3_4_c2_c1_0, xzr      // VTTBR_EL2
    mrs x0, midr_el1
    msr vpidr_el2, x0
    mrs x0, mpidr_el1
    msr vmpidr_el2, x0
    mrs x0, id_aa64pfr0_el1
    ubfx x0, x0, #24, #4        // a GIC with system registers
    cbz x0, 0f
    mrs x0, s3_4_c12_c9_5       // ICC_SRE_EL2: SRE, and EL1 may use it
    orr x0, x0, #1
    orr x0, x0, #8
    msr s3_4_c12_c9_5, x0
    isb
0:  ldr x0, sctlr_off
    msr sctlr_el1, x0
    mov x0, #0x3c5              // EL1h, all masked
    msr spsr_el2, x0
    adr x0, 1f
    msr elr_el2, x0
    eret

1:  ldr x0, sctlr_off
    msr sctlr_el1, x0
    isb
    adrp x22, image_start       // where the image really is
    adrp x0, bss_start
    adrp x1, bss_end
2:  stp xzr, xzr, [x0], #16
    cmp x0, x1
    b.lo 2b

    // Lower half: the GiB that we run in. Upper half: the image.
    adrp x23, early_identity
    adrp x24, early_root
    adrp x25, early_kernel
    lsr x0, x22, #30
    ldr x1, early_flags
    orr x2, x1, x0, lsl #30
    str x2, [x23, x0, lsl #3]
    orr x2, x25, #{paging.TABLE}
    str x2, [x24, #{_KERNEL_INDEX * 8}]
    orr x2, x1, x22
    mov x3, #{_LARGE_PAGES}
3:  str x2, [x25], #8
    add x2, x2, #{2 << 20}
    subs x3, x3, #1
    b.ne 3b
    sub x25, x25, #{_LARGE_PAGES * 8}
    dsb sy
    dc ivac, x23                // what caches may hold of them from before is not them
    dc ivac, x24
    add x0, x24, #{_KERNEL_INDEX * 8}
    dc ivac, x0
    mov x3, #{_LARGE_PAGES * 8}
4:  subs x3, x3, #16
    add x0, x25, x3
    dc ivac, x0
    b.ne 4b
    dsb sy

    ldr x0, mair
    msr mair_el1, x0
    ldr x0, tcr
    mrs x1, id_aa64mmfr0_el1    // physical addresses of as many bits as the CPU has, at most 48
    and x1, x1, #0xf
    mov x2, #5
    cmp x1, x2
    csel x1, x1, x2, lo
    orr x0, x0, x1, lsl #32
    msr tcr_el1, x0
    msr ttbr0_el1, x23
    msr ttbr1_el1, x24
    isb
    tlbi vmalle1
    ic iallu
    dsb nsh
    isb
    ldr x0, sctlr_on
    ldr x1, high_address
    msr sctlr_el1, x0
    isb
    br x1

    .balign 8
sctlr_off:
    .quad {_SCTLR_OFF:#x}
sctlr_on:
    .quad {_SCTLR_ON:#x}
early_flags:
    .quad {paging.EARLY:#x}
mair:
    .quad {paging.MAIR:#x}
tcr:
    .quad {_TCR:#x}
high_address:
    .quad high
high:
    adrp x0, stack_top
    mov sp, x0
    adrp x0, trap_vectors
    add x0, x0, :lo12:trap_vectors
    msr vbar_el1, x0
    msr spsel, #1
    msr cpacr_el1, xzr          // floating point and vectors trap
    msr tpidr_el1, xzr
    isb
    mov x29, #0                 // the backtrace ends here
    mov x30, #0
    mov x0, x20
    mov x1, x22
    bl kernel_start
1:  wfi
    b 1b

    .bss
    .balign 4096
    .globl early_root, early_identity
early_identity:
    .space 4096
early_root:
    .space 4096
early_kernel:
    .space 4096
"""

ASSEMBLY = HEADER + efi.STUB + '    .section .text.start, "ax"\n' + EARLY + trap.ASSEMBLY


def pack(flat: bytes, symbols: dict[str, int]) -> bytes:
    """The boot file: the flat image is one already, its headers are assembled."""
    return flat
