"""What user code must not do on RISC-V: privileged instructions, one a function, and jumps to anywhere."""

from kernel.lang import *

_CLOBBERS = ("memory", "t0")


@assembly("riscv64", "jalr {address}", clobbers=("memory", "ra", "t0"))
def jump(address: u64) -> None:
    """Goes on at an address."""


@assembly("riscv64", "lla {result}, _start")
def program_entry() -> u64:
    """Where this program begins."""
    return 0


@assembly(
    "riscv64",
    "lr.d t0, ({word})\nli t1, 400000\n1: addi t1, t1, -1\nbnez t1, 1b\nsc.d {result}, t0, ({word})",
    clobbers=("memory", "t0", "t1"),
)
def store_after_interrupts(word: Ptr[u64]) -> u64:
    """Reserves a word, is interrupted meanwhile, and stores to it: 0 when the reservation was still there."""
    return u64(address_of(word))


@assembly("riscv64", "lr.d t0, ({word})", clobbers=_CLOBBERS)
def reserve(word: Ptr[u64]) -> None:
    """Reserves a word."""


@assembly("riscv64", "sc.d {result}, zero, ({word})", clobbers=("memory",))
def store_reserved(word: Ptr[u64]) -> u64:
    """Stores to a word that was reserved: 0 when it still is."""
    return u64(address_of(word))


@assembly("riscv64", "csrr t0, sstatus", clobbers=_CLOBBERS)
def read_status() -> None:
    """Reads S-mode's status."""


@assembly("riscv64", "csrw satp, zero", clobbers=_CLOBBERS)
def write_translation() -> None:
    """Turns translation off."""


@assembly("riscv64", "csrci sstatus, 2", clobbers=_CLOBBERS)
def mask_interrupts() -> None:
    """Turns interrupts off."""


@assembly("riscv64", "csrw stvec, zero", clobbers=_CLOBBERS)
def write_vector() -> None:
    """Takes over the traps."""


@assembly("riscv64", "csrw mstatus, zero", clobbers=_CLOBBERS)
def write_machine_status() -> None:
    """M-mode's status."""


@assembly("riscv64", "sret", clobbers=_CLOBBERS)
def return_from_trap() -> None:
    """Returns to what was interrupted."""


@assembly("riscv64", "mret", clobbers=_CLOBBERS)
def machine_return() -> None:
    """M-mode's return."""


@assembly("riscv64", "sfence.vma", clobbers=_CLOBBERS)
def flush() -> None:
    """Empties the TLB."""


@assembly("riscv64", "wfi", clobbers=_CLOBBERS)
def wait_for_interrupt() -> None:
    """Stops the hart: not allowed in U-mode where there is S-mode (Privileged 3.3.3)."""


@assembly("riscv64", "ebreak", clobbers=_CLOBBERS)
def breakpoint() -> None:
    """A debugger's trap, which nobody waits for."""


@assembly("riscv64", "unimp", clobbers=_CLOBBERS)
def undefined() -> None:
    """No instruction."""


COUNT = 11


@fn
def instruction(number: u64) -> None:
    """One of them, below COUNT."""
    if number == 0:
        read_status()
    elif number == 1:
        write_translation()
    elif number == 2:
        mask_interrupts()
    elif number == 3:
        write_vector()
    elif number == 4:
        write_machine_status()
    elif number == 5:
        return_from_trap()
    elif number == 6:
        machine_return()
    elif number == 7:
        flush()
    elif number == 8:
        wait_for_interrupt()
    elif number == 9:
        breakpoint()
    elif number == 10:
        undefined()
