"""What user code must not do on x86_64: privileged instructions, one a function, and jumps to anywhere."""

from kernel.lang import *

_CLOBBERS = ("memory", "cc", "rax", "rcx", "rdx")


@assembly("x86_64", "callq *{address}", clobbers=("memory", "cc", "rax"))
def jump(address: u64) -> None:
    """Goes on at an address."""


@assembly("x86_64", "leaq _start(%%rip), {result}")
def program_entry() -> u64:
    """Where this program begins."""
    return 0


@fn
def store_after_interrupts(word: Ptr[u64]) -> u64:
    """There are no reservations."""
    _ = word
    return 1


@fn
def reserve(word: Ptr[u64]) -> None:
    """There are none."""
    _ = word


store_reserved = store_after_interrupts


@assembly("x86_64", "hlt", clobbers=_CLOBBERS)
def halt() -> None:
    """Stops the CPU."""


@assembly("x86_64", "cli", clobbers=_CLOBBERS)
def mask_interrupts() -> None:
    """Turns interrupts off."""


@assembly("x86_64", "inb $0x64, %%al", clobbers=_CLOBBERS)
def read_port() -> None:
    """The keyboard controller's status."""


@assembly("x86_64", "movb $0xFE, %%al\noutb %%al, $0x64", clobbers=_CLOBBERS)
def write_port() -> None:
    """The keyboard controller's reset."""


@assembly("x86_64", "movl $0xC0000080, %%ecx\nrdmsr", clobbers=_CLOBBERS)
def read_msr() -> None:
    """EFER."""


@assembly("x86_64", "movl $0xC0000082, %%ecx\nxorl %%eax, %%eax\nxorl %%edx, %%edx\nwrmsr", clobbers=_CLOBBERS)
def write_msr() -> None:
    """LSTAR: takes over the system calls."""


@assembly("x86_64", "movq %%cr0, %%rax", clobbers=_CLOBBERS)
def read_cr0() -> None:
    """Control register 0."""


@assembly("x86_64", "xorl %%eax, %%eax\nmovq %%rax, %%cr3", clobbers=_CLOBBERS)
def write_cr3() -> None:
    """Another page table."""


@assembly("x86_64", "invlpg (%%rsp)", clobbers=_CLOBBERS)
def flush() -> None:
    """Empties the TLB."""


@assembly("x86_64", "swapgs", clobbers=_CLOBBERS)
def swap_gs() -> None:
    """The kernel's own base."""


@assembly("x86_64", "sysretq", clobbers=_CLOBBERS)
def return_from_call() -> None:
    """The kernel's return."""


@assembly("x86_64", "int $0x20", clobbers=_CLOBBERS)
def own_interrupt() -> None:
    """A device's vector."""


@assembly("x86_64", "int3", clobbers=_CLOBBERS)
def breakpoint() -> None:
    """A debugger's trap, which nobody waits for."""


@assembly("x86_64", "ud2", clobbers=_CLOBBERS)
def undefined() -> None:
    """No instruction."""


COUNT = 14


@fn
def instruction(number: u64) -> None:
    """One of them, below COUNT."""
    if number == 0:
        halt()
    elif number == 1:
        mask_interrupts()
    elif number == 2:
        read_port()
    elif number == 3:
        write_port()
    elif number == 4:
        read_msr()
    elif number == 5:
        write_msr()
    elif number == 6:
        read_cr0()
    elif number == 7:
        write_cr3()
    elif number == 8:
        flush()
    elif number == 9:
        swap_gs()
    elif number == 10:
        return_from_call()
    elif number == 11:
        own_interrupt()
    elif number == 12:
        breakpoint()
    elif number == 13:
        undefined()
