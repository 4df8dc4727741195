"""What user code must not do on aarch64: privileged instructions, one a function, and jumps to anywhere."""

from kernel.lang import *

_CLOBBERS = ("memory", "x9")


@assembly("aarch64", "blr {address}", clobbers=("memory", "x30"))
def jump(address: u64) -> None:
    """Goes on at an address."""


@assembly("aarch64", "adrp {result}, _start\nadd {result}, {result}, :lo12:_start")
def program_entry() -> u64:
    """Where this program begins."""
    return 0


@assembly(
    "aarch64",
    "ldxr x9, [{word}]\nmov x10, #0x60000\n1: subs x10, x10, #1\nb.ne 1b\nstxr w10, x9, [{word}]\nmov {result}, x10",
    clobbers=("memory", "cc", "x9", "x10"),
)
def store_after_interrupts(word: Ptr[u64]) -> u64:
    """Reserves a word, is interrupted meanwhile, and stores to it: 0 when the reservation was still there."""
    return u64(address_of(word))


@assembly("aarch64", "ldxr x9, [{word}]", clobbers=_CLOBBERS)
def reserve(word: Ptr[u64]) -> None:
    """Reserves a word."""


@assembly("aarch64", "stxr w9, xzr, [{word}]\nmov {result}, x9", clobbers=_CLOBBERS)
def store_reserved(word: Ptr[u64]) -> u64:
    """Stores to a word that was reserved: 0 when it still is."""
    return u64(address_of(word))


@assembly("aarch64", "msr daifset, #15", clobbers=_CLOBBERS)
def mask_interrupts() -> None:
    """Turns interrupts off."""


@assembly("aarch64", "mrs x9, ttbr0_el1", clobbers=_CLOBBERS)
def read_translation() -> None:
    """The page table."""


@assembly("aarch64", "msr ttbr0_el1, xzr", clobbers=_CLOBBERS)
def write_translation() -> None:
    """Another page table."""


@assembly("aarch64", "msr vbar_el1, xzr", clobbers=_CLOBBERS)
def write_vector() -> None:
    """Takes over the traps."""


@assembly("aarch64", "msr sctlr_el1, xzr", clobbers=_CLOBBERS)
def write_control() -> None:
    """Turns translation off."""


@assembly("aarch64", "eret", clobbers=_CLOBBERS)
def exception_return() -> None:
    """Returns to what was interrupted."""


@assembly("aarch64", "tlbi vmalle1", clobbers=_CLOBBERS)
def flush() -> None:
    """Empties the TLB."""


@assembly("aarch64", "hvc #0", clobbers=_CLOBBERS)
def hypervisor_call() -> None:
    """PSCI by HVC."""


@assembly("aarch64", ".inst 0xD4000003", clobbers=_CLOBBERS)
def secure_call() -> None:
    """PSCI by SMC #0, which the assembler has for EL3 only."""


@assembly("aarch64", "brk #0", clobbers=_CLOBBERS)
def breakpoint() -> None:
    """A debugger's trap, which nobody waits for."""


@assembly("aarch64", "udf #0", clobbers=_CLOBBERS)
def undefined() -> None:
    """No instruction."""


COUNT = 11


@fn
def instruction(number: u64) -> None:
    """One of them, below COUNT."""
    if number == 0:
        mask_interrupts()
    elif number == 1:
        read_translation()
    elif number == 2:
        write_translation()
    elif number == 3:
        write_vector()
    elif number == 4:
        write_control()
    elif number == 5:
        exception_return()
    elif number == 6:
        flush()
    elif number == 7:
        hypervisor_call()
    elif number == 8:
        secure_call()
    elif number == 9:
        breakpoint()
    elif number == 10:
        undefined()
