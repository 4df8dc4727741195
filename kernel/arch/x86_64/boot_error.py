"""Why what a boot loader left cannot be used: the kernel prints the reason and halts."""

from enum import IntEnum

from kernel.lang import Array, Str, constant, enum


@enum(8)
class BootError(IntEnum):
    """Reasons, for all boot protocols of this architecture."""

    NONE = 0
    NO_MEMORY_MAP = 1
    TOO_MANY_REGIONS = 2
    MULTIBOOT2_ADDRESS = 3
    MULTIBOOT2_SIZE = 4
    MULTIBOOT2_TAG = 5
    MULTIBOOT2_NO_END = 6
    MULTIBOOT2_MEMORY_MAP = 7
    MULTIBOOT2_MODULE = 8
    PVH_ADDRESS = 9
    PVH_MAGIC = 10
    PVH_VERSION = 11
    PVH_MEMORY_MAP = 12
    PVH_MODULE = 13
    LIMINE_REVISION = 14
    LIMINE_NO_ANSWER = 15
    LIMINE_MEMORY_MAP = 16


REASONS = {
    BootError.NONE: "no error",
    BootError.NO_MEMORY_MAP: "the boot loader gives no memory map",
    BootError.TOO_MANY_REGIONS: "the memory map has more ranges than the kernel keeps",
    BootError.MULTIBOOT2_ADDRESS: "the Multiboot2 information is not at a multiple of 8 in the first 4 GiB",
    BootError.MULTIBOOT2_SIZE: "the Multiboot2 information's total_size is too small, too large or beyond 4 GiB",
    BootError.MULTIBOOT2_TAG: "a Multiboot2 tag is shorter than its head or longer than the information",
    BootError.MULTIBOOT2_NO_END: "the Multiboot2 information has no end tag where it ends",
    BootError.MULTIBOOT2_MEMORY_MAP: "the Multiboot2 memory map's entry_size or size is wrong",
    BootError.MULTIBOOT2_MODULE: "a Multiboot2 module ends before it starts",
    BootError.PVH_ADDRESS: "the PVH start info is not in the first 4 GiB",
    BootError.PVH_MAGIC: "the PVH start info has no magic number 0x336ec578",
    BootError.PVH_VERSION: "the PVH start info is of version 0, which has no memory map",
    BootError.PVH_MEMORY_MAP: "the PVH memory map is not in the first 4 GiB, or has too many entries",
    BootError.PVH_MODULE: "the PVH module list is not in the first 4 GiB",
    BootError.LIMINE_REVISION: "the Limine boot loader does not know base revision 2",
    BootError.LIMINE_NO_ANSWER: "the Limine boot loader left a request without an answer",
    BootError.LIMINE_MEMORY_MAP: "the Limine memory map has too many entries",
}

reason_texts = constant(Array[Str, len(REASONS)], [REASONS[e] for e in BootError])
