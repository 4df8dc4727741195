"""Segments, the task state segment and the interrupt descriptor table (SDM volume 3, 3.4.5, 8.7, 6.14.1)."""

from kernel.arch.x86_64.instructions import (
    load_gdt,
    load_idt,
    load_task_register,
    read_cr0,
    read_msr,
    write_cr0,
    write_msr,
)
from kernel.arch.x86_64.trap_frame import KERNEL_CODE, KERNEL_DATA, TASK, USER_DATA, PerCpu
from kernel.lang import *
from kernel.linked import panic_stack_top, stack_top

STUB_BYTES = 16
VECTORS = 256
KERNEL_CODE_DESCRIPTOR = 0x00AF_9A00_0000_FFFF  # present, ring 0, code, readable, long mode
KERNEL_DATA_DESCRIPTOR = 0x00CF_9200_0000_FFFF
USER_DATA_DESCRIPTOR = 0x00CF_F200_0000_FFFF
USER_CODE_DESCRIPTOR = 0x00AF_FA00_0000_FFFF
TSS_AVAILABLE = 0x89
INTERRUPT_GATE = 0x8E  # Present, ring 0: interrupts are off in the handler.
INTERRUPT_GATE_USER = 0xEE  # The same, and INT n of user code may name it.
PANIC_STACK = 1  # IST index for what must not use the stack that it interrupts
ON_PANIC_STACK = (2, 8, 18)  # non-maskable interrupt, double fault, machine check
BREAKPOINT = 3
MSR_EFER, MSR_STAR, MSR_LSTAR, MSR_SFMASK = 0xC000_0080, 0xC000_0081, 0xC000_0082, 0xC000_0084
MSR_GS_BASE, MSR_KERNEL_GS_BASE = 0xC000_0101, 0xC000_0102
EFER_SCE = 1 << 0
SYSCALL_CLEARS = 0x4_7700  # AC, NT, IOPL, DF, IF, TF
CR0_MP, CR0_EM = 1 << 1, 1 << 2

# 8.7, figure 8-11: 104 bytes; 64-bit fields at odd multiples of 4, so words of 32 bits.
TSS_HEAD, TSS_RSP0, TSS_IST1, TSS_IO_MAP = 104, 4, 36, 102
# Then the I/O permission bitmap (SDM volume 1, 19.5.2), up to the console's ports, and a byte of ones behind it.
CONSOLE_PORTS = 0x3F8
IO_MAP_BYTES = CONSOLE_PORTS // 8 + 1
TSS_BYTES = TSS_HEAD + IO_MAP_BYTES + 4
CONSOLE_WORD, CONSOLE_SHIFT = (TSS_HEAD + CONSOLE_PORTS // 8) // 4, (TSS_HEAD + CONSOLE_PORTS // 8) % 4 * 8


@bitfield(u64)
class GateLow:
    """First half of a 64-bit gate (figure 6-8)."""

    offset_low: Bits[16]
    selector: Bits[16]
    ist: Bits[3]
    zero: Bits[5]
    attributes: Bits[8]
    offset_high: Bits[16]


@struct
class Gate:
    """A 64-bit gate: the second half holds the address' upper 32 bits."""

    low: GateLow
    high: u64


gdt = variable(Array[u64, 7])
tss = variable(Array[u32, TSS_BYTES // 4], symbol="task_state", align=16)
idt = variable(Array[Gate, VECTORS], align=16)
per_cpu = variable(PerCpu, symbol="per_cpu")
trap_stubs = external(u8, "trap_stubs")
syscall_entry = external(u8, "syscall_entry")


@fn
def set_word(offset: u64, value: u64) -> None:
    """A 64-bit field of the TSS."""
    tss[offset // 4] = trunc(value, u32)
    tss[offset // 4 + 1] = trunc(value >> 32, u32)


@fn
def set_console_ports(open: bool) -> None:
    """Lets user code use the console's eight ports, or not."""
    bits: u32 = 0xFF << CONSOLE_SHIFT
    tss[CONSOLE_WORD] = tss[CONSOLE_WORD] & ~bits if open else tss[CONSOLE_WORD] | bits


@fn
def table_pointer(into: Ptr[Array[u16, 5]], address: u64, size: u64) -> None:
    """What LGDT and LIDT read: limit, then 64-bit address."""
    into[0] = exact(size - 1, u16)
    for i in range(4):
        into[1 + i] = trunc(address >> (16 * i), u16)


@fn
def initialize() -> None:
    """Fills the three tables and loads them. From here on an exception is reported."""
    gdt[KERNEL_CODE >> 3] = KERNEL_CODE_DESCRIPTOR
    gdt[KERNEL_DATA >> 3] = KERNEL_DATA_DESCRIPTOR
    gdt[3] = USER_DATA_DESCRIPTOR
    gdt[4] = USER_CODE_DESCRIPTOR
    set_word(TSS_RSP0, u64(address_of(ptr(stack_top))))
    set_word(TSS_IST1, u64(address_of(ptr(panic_stack_top))))
    tss[TSS_IO_MAP // 4] = TSS_HEAD << 16
    for i in range(TSS_HEAD // 4, TSS_BYTES // 4):
        tss[i] = 0xFFFF_FFFF  # No ports for user code.
    task = u64(address_of(ptr(tss)))
    low = task & 0xFF_FFFF
    gdt[TASK >> 3] = (TSS_BYTES - 1) | low << 16 | u64(TSS_AVAILABLE) << 40 | (task >> 24 & 0xFF) << 56
    gdt[(TASK >> 3) + 1] = task >> 32
    pointer = zero(Array[u16, 5])
    table_pointer(ptr(pointer), u64(address_of(ptr(gdt))), size_of(Array[u64, 7]))
    load_gdt(ptr(pointer), KERNEL_CODE, KERNEL_DATA)
    load_task_register(TASK)
    per_cpu.kernel_stack = u64(address_of(ptr(stack_top)))
    stubs = u64(address_of(ptr(trap_stubs)))
    for vector in range(VECTORS):
        set_gate(vector, stubs + u64(vector) * STUB_BYTES)
    table_pointer(ptr(pointer), u64(address_of(ptr(idt))), size_of(Array[Gate, VECTORS]))
    load_idt(ptr(pointer))
    write_msr(MSR_GS_BASE, u64(address_of(ptr(per_cpu))))
    write_msr(MSR_KERNEL_GS_BASE, 0)
    # SYSCALL (5.8.8): selectors, entry, and the flags that it clears: nobody's single steps, interrupts or AC come in.
    write_msr(MSR_STAR, u64(USER_DATA - 8) << 48 | u64(KERNEL_CODE) << 32)
    write_msr(MSR_LSTAR, u64(address_of(ptr(syscall_entry))))
    write_msr(MSR_SFMASK, SYSCALL_CLEARS)
    write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_SCE)
    # No floating point: its registers are saved nowhere, so every use of them is a fault (2.5: EM, not MP).
    write_cr0(read_cr0() & ~u64(CR0_MP) | CR0_EM)


@fn
def set_gate(vector: usize, handler: u64) -> None:
    """One gate. What a broken stack leads to runs on the panic stack."""
    panics = vector == ON_PANIC_STACK[0] or vector == ON_PANIC_STACK[1] or vector == ON_PANIC_STACK[2]
    idt[vector].low = GateLow(
        offset_low=trunc(handler, u16),
        selector=KERNEL_CODE,
        ist=PANIC_STACK if panics else 0,
        attributes=INTERRUPT_GATE_USER if vector == BREAKPOINT else INTERRUPT_GATE,
        offset_high=trunc(handler >> 16, u16),
    )
    idt[vector].high = handler >> 32
