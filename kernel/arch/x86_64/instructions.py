"""x86-64 instructions that C has no words for (Intel SDM volume 2). Their models for host-native runs: `machine`.

Port I/O goes through here too: on x86 the 16550 and the 8254 are not in memory (SDM volume 1, chapter 19).
"""

from typing import Any, Never

from kernel.lang import Array, Ptr, assembly, struct, u8, u16, u32, u64


class Machine:
    """What the instructions do host-native: nothing, and reads give zero. Tests put their own object in `machine`."""

    def read_port(self, port: int, width: int) -> int:
        """`in`: `width` in bits."""
        return 0

    def write_port(self, port: int, width: int, value: int) -> None:
        """`out`."""

    def cpuid(self, leaf: int, subleaf: int) -> tuple[int, int, int, int]:
        """EAX, EBX, ECX, EDX."""
        return (0, 0, 0, 0)

    def read_msr(self, number: int) -> int:
        """`rdmsr`."""
        return 0

    def write_msr(self, number: int, value: int) -> None:
        """`wrmsr`."""

    def read_cr3(self) -> int:
        """The physical address of the root page table."""
        return 0

    def timestamp(self) -> int:
        """`rdtsc`."""
        return 0


machine: Any = Machine()


@struct
class CpuidResult:
    """EAX, EBX, ECX, EDX of one leaf."""

    registers: Array[u32, 4]


@assembly("x86_64", "inb {port}, {result}", constraints={"port": "d", "result": "a"}, clobbers=["memory"])
def read_port_8(port: u16) -> u8:
    return machine.read_port(port, 8)


@assembly("x86_64", "inl {port}, {result}", constraints={"port": "d", "result": "a"}, clobbers=["memory"])
def read_port_32(port: u16) -> u32:
    return machine.read_port(port, 32)


@assembly("x86_64", "inw {port}, {result}", constraints={"port": "d", "result": "a"}, clobbers=["memory"])
def read_port_16(port: u16) -> u16:
    return machine.read_port(port, 16)


@assembly("x86_64", "outb {value}, {port}", constraints={"port": "d", "value": "a"}, clobbers=["memory"])
def write_port_8(port: u16, value: u8) -> None:
    machine.write_port(port, 8, value)


@assembly("x86_64", "outw {value}, {port}", constraints={"port": "d", "value": "a"}, clobbers=["memory"])
def write_port_16(port: u16, value: u16) -> None:
    machine.write_port(port, 16, value)


@assembly("x86_64", "outl {value}, {port}", constraints={"port": "d", "value": "a"}, clobbers=["memory"])
def write_port_32(port: u16, value: u32) -> None:
    machine.write_port(port, 32, value)


@assembly(
    "x86_64",
    """movl {leaf}, %%eax
movl {subleaf}, %%ecx
cpuid
movl %%eax, ({result_at})
movl %%ebx, 4({result_at})
movl %%ecx, 8({result_at})
movl %%edx, 12({result_at})""",
    clobbers=["rax", "rbx", "rcx", "rdx", "memory"],
)
def cpuid(leaf: u32, subleaf: u32, result_at: Ptr[CpuidResult]) -> None:
    for index, value in enumerate(machine.cpuid(leaf, subleaf)):
        result_at.registers[index] = value


@assembly(
    "x86_64",
    "rdmsr\nshlq $32, %%rdx\norq %%rdx, %%rax",
    constraints={"number": "c", "result": "a"},
    clobbers=["rdx", "memory"],
)
def read_msr(number: u32) -> u64:
    return machine.read_msr(number)


@assembly(
    "x86_64",
    "movq {value}, %%rax\nmovq %%rax, %%rdx\nshrq $32, %%rdx\nwrmsr",
    constraints={"number": "c"},
    clobbers=["rax", "rdx", "memory"],
)
def write_msr(number: u32, value: u64) -> None:
    machine.write_msr(number, value)


@assembly("x86_64", "rdtsc\nshlq $32, %%rdx\norq %%rdx, %%rax", constraints={"result": "a"}, clobbers=["rdx", "memory"])
def read_timestamp() -> u64:
    return machine.timestamp()


@assembly(
    "x86_64",
    "movq {left}, %%rax\nmulq {right}\nmovq %%rdx, %%rax",
    constraints={"result": "a"},
    clobbers=["rdx"],
)
def multiply_high(left: u64, right: u64) -> u64:
    """The upper half of the product."""
    return left * right >> 64


@assembly(
    "x86_64",
    "movq {high}, %%rdx\nxorl %%eax, %%eax\ndivq {divisor}",
    constraints={"result": "a", "high": "c", "divisor": "r"},
    clobbers=["rdx"],
)
def divide_high(high: u64, divisor: u64) -> u64:
    """high * 2^64 // divisor, rounded down; `high` must be below the divisor."""
    return (high << 64) // divisor


@assembly("x86_64", "movq %%cr0, {result}")
def read_cr0() -> u64:
    return 0


@assembly("x86_64", "movq {value}, %%cr0", clobbers=["memory"])
def write_cr0(value: u64) -> None:
    pass


@assembly("x86_64", "movq %%cr2, {result}")
def read_cr2() -> u64:
    """The address of the last page fault."""
    return 0


@assembly("x86_64", "movq %%cr3, {result}")
def read_cr3() -> u64:
    return machine.read_cr3()


@assembly("x86_64", "movq {value}, %%cr3", clobbers=["memory"])
def write_cr3(value: u64) -> None:
    pass


@assembly("x86_64", "movq %%cr4, {result}")
def read_cr4() -> u64:
    return 0


@assembly("x86_64", "movq {value}, %%cr4", clobbers=["memory"])
def write_cr4(value: u64) -> None:
    pass


@assembly("x86_64", "lidt ({pointer})", clobbers=["memory"])
def load_idt(pointer: Ptr[Array[u16, 5]]) -> None:
    pass


@assembly(
    "x86_64",
    """lgdt ({pointer})
pushq {code}
leaq 1f(%%rip), %%rax
pushq %%rax
lretq
1: movl {data:k}, %%ds
movl {data:k}, %%es
movl {data:k}, %%ss
xorl %%eax, %%eax
movl %%eax, %%fs
movl %%eax, %%gs""".replace("{data:k}", "%k[data]"),
    clobbers=["rax", "memory"],
)
def load_gdt(pointer: Ptr[Array[u16, 5]], code: u64, data: u64) -> None:
    """Loads the table and every segment register from it; CS by a far return (SDM volume 3, 5.8.1)."""


@assembly("x86_64", "ltr {selector}", clobbers=["memory"])
def load_task_register(selector: u16) -> None:
    pass


@assembly("x86_64", "invlpg ({address})", clobbers=["memory"])
def invalidate_page(address: u64) -> None:
    pass


@assembly("x86_64", "sti", clobbers=["memory"])
def enable_interrupts() -> None:
    pass


@assembly("x86_64", "cli", clobbers=["memory"])
def disable_interrupts() -> None:
    pass


@assembly("x86_64", "pushfq\nsti\nhlt\npopfq", clobbers=["memory"])
def wait_for_interrupt() -> None:
    """Sleeps until an interrupt was taken, whether they are enabled or not.

    `sti` holds interrupts off for one instruction, so none is missed where they were disabled.
    """


@assembly("x86_64", "movq ({address}), %%rax", clobbers=["rax", "memory"])
def load_from(address: u64) -> None:
    """Reads memory: faults where none is mapped."""


@assembly("x86_64", "1: pushq $0\njmp 1b", clobbers=["memory"])
def overflow_stack() -> Never:
    """Pushes until the stack ends."""
    raise RecursionError


@assembly("x86_64", "movl $0, image_start(%%rip)", clobbers=["memory"])
def write_text() -> None:
    """Writes to the kernel's own instructions, which must fault."""


@assembly("x86_64", "leaq bss_start(%%rip), %%rax\ncall *%%rax", clobbers=["rax", "memory"])
def run_data() -> None:
    """Jumps into the kernel's data, which must fault."""


@assembly("x86_64", "pause", clobbers=["memory"])
def spin_hint() -> None:
    pass


@assembly("x86_64", "cli\n1: hlt\njmp 1b", clobbers=["memory"])
def halt() -> Never:
    raise SystemExit("the kernel halted")


@assembly("x86_64", "movq %%rbp, {result}")
def read_frame_pointer() -> u64:
    return 0
