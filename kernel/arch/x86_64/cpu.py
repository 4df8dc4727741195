"""Instructions of the CPU that the rest of the kernel needs by name, and what CPUID says about it (SDM volume 2)."""

from kernel.arch.x86_64.instructions import (
    CpuidResult,
    cpuid,
    disable_interrupts,
    enable_interrupts,
    halt,
    load_from,
    overflow_stack,
    run_data,
    wait_for_interrupt,
    write_text,
)
from kernel.boot_info import Text, append_text
from kernel.lang import *
from kernel.linked import panic_stack_top, stack_bottom

__all__ = [
    "disable_interrupts",
    "enable_interrupts",
    "frame_link",
    "frame_return",
    "halt",
    "is_frame",
    "load_from",
    "overflow_stack",
    "run_data",
    "wait_for_interrupt",
    "write_text",
]

EAX, EBX, ECX, EDX = 0, 1, 2, 3
EXTENDED = 0x8000_0000
BRAND_BYTES = 48

# (name, leaf, register, bit): what the banner lists and what the kernel asks for.
FEATURES = {
    "x2apic": (1, ECX, 21),
    "tsc_deadline": (1, ECX, 24),
    "umip": (7, ECX, 2),
    "smep": (7, EBX, 7),
    "smap": (7, EBX, 20),
    "pku": (7, ECX, 3),
    "fsgsbase": (7, EBX, 0),
    "nx": (0x8000_0001, EDX, 20),
    "pdpe1gb": (0x8000_0001, EDX, 26),
    "syscall": (0x8000_0001, EDX, 11),
    "invariant_tsc": (0x8000_0007, EDX, 8),
    "pge": (1, EDX, 13),
    "pat": (1, EDX, 16),
}
SHOWN = ("nx", "smep", "smap", "umip", "pge", "pdpe1gb", "x2apic", "tsc_deadline", "invariant_tsc")


@fn
def leaf_register(leaf: u32, register: u32) -> u32:
    """One register of a CPUID leaf (subleaf 0); 0 where the CPU has no such leaf."""
    result = zero(CpuidResult)
    cpuid(leaf & EXTENDED, 0, ptr(result))
    if result.registers[EAX] < leaf:
        return 0
    cpuid(leaf, 0, ptr(result))
    return result.registers[register]


def feature(name: str):
    """A kernel function that says whether the CPU has a feature."""
    leaf, register, bit = FEATURES[name]

    @fn
    def has() -> bool:
        return leaf_register(leaf, register) >> bit & 1 != 0

    return has


has_smep, has_smap, has_umip = feature("smep"), feature("smap"), feature("umip")
has_huge_pages, has_global_pages = feature("pdpe1gb"), feature("pge")
has_tsc_deadline, has_syscall = feature("tsc_deadline"), feature("syscall")


def make_feature_text():
    """Generates the function that lists the features of SHOWN which are there."""
    tests = [(name, *FEATURES[name]) for name in SHOWN]
    leaves = constant(Array[u32, len(tests)], [t[1] for t in tests])
    registers = constant(Array[u32, len(tests)], [t[2] for t in tests])
    bits = constant(Array[u32, len(tests)], [t[3] for t in tests])
    names = constant(Array[Str, len(tests)], [t[0] for t in tests])

    @fn
    def read(text: Ptr[Text]) -> None:
        text.length = 0
        append_text(text, "x86-64")
        for i in range(len(tests)):
            if leaf_register(leaves[i], registers[i]) >> bits[i] & 1 != 0:
                append_text(text, " ")
                append_text(text, names[i])

    return read


read_features = make_feature_text()


@fn
def read_brand(text: Ptr[Text]) -> None:
    """The brand string (leaves 8000_0002h..4h, SDM volume 2, CPUID), or else the vendor (leaf 0); trimmed."""
    result = zero(CpuidResult)
    raw = zero(Array[u8, BRAND_BYTES])
    cpuid(EXTENDED, 0, ptr(result))
    if result.registers[EAX] >= EXTENDED + 4:
        for leaf in range(3):
            cpuid(EXTENDED + 2 + trunc(u64(leaf), u32), 0, ptr(result))
            for i in range(16):
                raw[leaf * 16 + i] = trunc(result.registers[i // 4] >> (i % 4 * 8), u8)
    else:
        cpuid(0, 0, ptr(result))
        for i in range(4):
            raw[i] = trunc(result.registers[EBX] >> (i * 8), u8)
            raw[i + 4] = trunc(result.registers[EDX] >> (i * 8), u8)
            raw[i + 8] = trunc(result.registers[ECX] >> (i * 8), u8)
    text.length = 0
    for i in range(BRAND_BYTES):
        if raw[i] == 0:
            break
        if raw[i] != 32 or text.length > 0:
            text.bytes[text.length] = raw[i]
            text.length += 1
    while bounded(text.length > 0 and text.bytes[text.length - 1] == 32, BRAND_BYTES):
        text.length -= 1


@fn
def is_frame(frame: u64) -> bool:
    """Whether it can be a frame pointer: aligned, and on a kernel stack."""
    low = u64(address_of(ptr(stack_bottom)))
    high = u64(address_of(ptr(panic_stack_top)))
    return frame % 8 == 0 and low <= frame and frame <= high - 16


@fn
def frame_return(frame: u64) -> u64:
    """The return address that the function with this frame keeps (psABI 3.2.2: 8(%rbp))."""
    return pointer_at(usize(frame + 8), u64).value


@fn
def frame_link(frame: u64) -> u64:
    """The frame pointer of its caller (psABI 3.2.2: 0(%rbp))."""
    return pointer_at(usize(frame), u64).value
