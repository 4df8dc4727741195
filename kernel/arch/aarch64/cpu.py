"""Instructions of the CPU that the rest of the kernel needs by name."""

from typing import Never

from kernel.boot_info import Text, append_text
from kernel.lang import *
from kernel.linked import panic_stack_top, stack_bottom


@assembly("aarch64", "wfi", clobbers=["memory"])
def wait_for_interrupt() -> None:
    """Sleeps until an interrupt is pending, masked or not."""


@assembly("aarch64", "msr daifclr, #2", clobbers=["memory"])
def enable_interrupts() -> None:
    """Unmasks IRQ."""


@assembly("aarch64", "msr daifset, #2", clobbers=["memory"])
def disable_interrupts() -> None:
    """Masks IRQ."""


@assembly("aarch64", "isb\nmrs {result}, cntvct_el0", clobbers=["memory"])
def read_time() -> u64:
    """The virtual counter."""
    return 0


@assembly("aarch64", "mrs {result}, cntfrq_el0")
def counter_hz() -> u64:
    """The frequency that the firmware says the counter has."""
    return 0


@assembly("aarch64", "mrs {result}, mpidr_el1")
def affinity() -> u64:
    """Which CPU this is."""
    return 0


@assembly("aarch64", "mrs {result}, midr_el1")
def identity() -> u64:
    """Implementer, variant, architecture, part number, revision."""
    return 0


@assembly("aarch64", "mrs {result}, id_aa64isar0_el1")
def instruction_set() -> u64:
    """ID_AA64ISAR0_EL1: which optional instructions there are."""
    return 0


@assembly("aarch64", "mrs {result}, id_aa64pfr0_el1")
def processor_features() -> u64:
    """ID_AA64PFR0_EL1: floating point, and what else a processor may have."""
    return 0


@assembly("aarch64", "mrs {result}, id_aa64mmfr1_el1")
def memory_features() -> u64:
    """ID_AA64MMFR1_EL1: what its memory management can do."""
    return 0


@assembly("aarch64", "ldr xzr, [{address}]", clobbers=["memory"])
def load_from(address: u64) -> None:
    """Reads memory: faults where none is mapped."""


@assembly("aarch64", "1: str xzr, [sp, #-256]!\nb 1b", clobbers=["memory"])
def overflow_stack() -> Never:
    """Pushes until the stack ends."""


@assembly("aarch64", "adrp x9, image_start\nstr wzr, [x9]", clobbers=["memory", "x9"])
def write_text() -> None:
    """Writes to the kernel's own instructions, which must fault."""


@assembly("aarch64", "adrp x9, bss_start\nblr x9", clobbers=["memory", "x9", "x30"])
def run_data() -> None:
    """Jumps into the kernel's data, which must fault."""


@fn
def name(text: Ptr[Text]) -> None:
    """The CPU's own name, a number: MIDR_EL1."""
    digits = "0123456789abcdef"
    word = "MIDR 0x"
    for i in bounded(range(len(word)), 8):
        text.bytes[i] = word[i]
    text.length = len(word)
    for i in range(8):
        text.bytes[text.length] = digits[usize(identity() >> 28 - 4 * u64(i) & 15)]
        text.length += 1


@fn
def show_feature(text: Ptr[Text], register: u64, shift: u64, least: u64, what: Str) -> None:
    """Adds a word where a field of an identification register is at least so much (DDI 0487, D1.1.1); 15 is less than
    0: not there."""
    value = register >> shift & 15
    if value >= least and value != 15:
        append_text(text, what)


@fn
def read_features(text: Ptr[Text]) -> None:
    """The features that matter, by the names of the architecture (DDI 0487, A2; the registers are in D19.2)."""
    text.length = 0
    append_text(text, "armv8-a")
    show_feature(text, processor_features(), 16, 0, " fp")
    show_feature(text, processor_features(), 20, 0, " advsimd")
    show_feature(text, memory_features(), 20, 1, " pan")
    show_feature(text, instruction_set(), 20, 2, " lse")
    show_feature(text, instruction_set(), 16, 1, " crc32")
    show_feature(text, instruction_set(), 4, 1, " aes")
    show_feature(text, instruction_set(), 12, 1, " sha256")
    show_feature(text, instruction_set(), 60, 1, " rng")


@fn
def is_frame(frame: u64) -> bool:
    """Whether it can be a frame pointer: aligned, and on a kernel stack."""
    low = u64(address_of(ptr(stack_bottom)))
    high = u64(address_of(ptr(panic_stack_top)))
    return frame % 8 == 0 and low <= frame and frame + 16 <= high


@fn
def frame_return(frame: u64) -> u64:
    """The return address that the function with this frame keeps (AAPCS64 6.4.6: fp + 8)."""
    return pointer_at(usize(frame + 8), u64).value


@fn
def frame_link(frame: u64) -> u64:
    """The frame pointer of its caller (AAPCS64 6.4.6)."""
    return pointer_at(usize(frame), u64).value


@fn
def halt() -> Never:
    """Stops this CPU for good."""
    disable_interrupts()
    while True:
        wait_for_interrupt()
