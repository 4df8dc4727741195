"""The Limine boot protocol: the requests that the image carries, and the answers (Limine PROTOCOL.md, 8.2).

Requests lie between two markers in writable data; the boot loader writes a pointer to its answer into each. The base
revision is 2: the answers and the first 4 GiB of memory are mapped at the offset that the HHDM request gives.
"""

from enum import IntEnum

from kernel.arch.x86_64 import memory_map
from kernel.arch.x86_64.boot_error import BootError
from kernel.boot_info import TEXT_BYTES, BootInfo, RegionKind, set_text
from kernel.lang import *

COMMON_MAGIC = (0xC7B1DD30DF4C8B88, 0x0A82E883A194F07B)
START_MARKER = (0xF6B8F4B39DE7D1AE, 0xFAB91A6940FCB9CF, 0x785C6ED015D3E316, 0x181E920A7852B9D9)
END_MARKER = (0xADC0E0531BB10D03, 0x9572709F31764C62)
BASE_REVISION_MAGIC = (0xF9562B2D5C95A6C8, 0x6A7B384944536BDC)
BASE_REVISION = 2

REQUESTS = {
    "bootloader_info": (0xF55038D8E2A1202F, 0x279426FCF5F59740),
    "hhdm": (0x48DCF1CB8AD2B852, 0x63984E959A98244B),
    "memmap": (0x67CF3D9D378A806F, 0xE304ACDFC50C3C62),
    "kernel_address": (0x71BA76863CC55F63, 0xB2644A48C516A487),
    "kernel_file": (0xAD97E90E83F1ED67, 0x31EB5D1C5FF23B69),
    "module": (0x3E7E279702BE32AF, 0xCA1C4F3BD1280CEE),
    "rsdp": (0xC5E77B6B397E7B43, 0x27637845ACCDCF3C),
}
"""Features that the kernel asks for: the second half of each request's id."""

MAX_ENTRIES = 1024
ADDRESS_SPACE = 1 << 46  # Of the view that answers are read through: the HHDM covers no more.


def requests_assembly() -> str:
    """The section that the boot loader scans."""

    def quads(values: tuple[int, ...]) -> str:
        return "    .quad " + ", ".join(f"{v:#018x}" for v in values)

    lines = ['    .section .data.limine, "aw"', "    .balign 8", "    .globl limine_requests", "limine_requests:"]
    lines += [quads(START_MARKER), "    .globl limine_base_revision", "limine_base_revision:"]
    lines += [quads((*BASE_REVISION_MAGIC, BASE_REVISION))]
    for name, own in REQUESTS.items():
        lines += [f"    .globl limine_{name}", f"limine_{name}:", quads((*COMMON_MAGIC, *own))]
        lines += ["    .quad 0  # revision", "    .quad 0  # response"]
        if name == "module":  # Members of revision 1: internal modules; there are none.
            lines += ["    .quad 0, 0"]
    return "\n".join([*lines, quads(END_MARKER), ""])


@struct
class Request:
    """What every request begins with; `response` is an address that the boot loader filled in, or 0."""

    id: Array[u64, 4]
    revision: u64
    response: u64


@struct
class LoaderResponse:
    """Bootloader Info: addresses of two texts."""

    revision: u64
    name: u64
    version: u64


@struct
class MemoryResponse:
    """Memory Map: `entries` is the address of an array of addresses of entries."""

    revision: u64
    entry_count: u64
    entries: u64


@struct
class MemoryEntry:
    """One range of physical memory."""

    base: u64
    length: u64
    memory_type: u64


@struct
class AddressResponse:
    """Kernel Address: where the image is."""

    revision: u64
    physical_base: u64
    virtual_base: u64


@struct
class ValueResponse:
    """HHDM (an offset) and RSDP (an address): one number."""

    revision: u64
    value: u64


@struct
class FileResponse:
    """Kernel File: the address of a File."""

    revision: u64
    file: u64


@struct
class ModuleResponse:
    """Module: `modules` is the address of an array of addresses of Files."""

    revision: u64
    module_count: u64
    modules: u64


@struct
class File:
    """The head of the File Structure, as far as it is used."""

    revision: u64
    start: u64
    size_in_bytes: u64
    path: u64
    command_line: u64


@enum(u8)
class MemoryType(IntEnum):
    """Types of a memory map entry."""

    USABLE = 0
    RESERVED = 1
    ACPI_RECLAIMABLE = 2
    ACPI_NVS = 3
    BAD_MEMORY = 4
    BOOTLOADER_RECLAIMABLE = 5
    KERNEL_AND_MODULES = 6
    FRAMEBUFFER = 7


base_revision = external(Array[u64, 3], "limine_base_revision")
bootloader_info = external(Request, "limine_bootloader_info")
hhdm = external(Request, "limine_hhdm")
memmap = external(Request, "limine_memmap")
kernel_address = external(Request, "limine_kernel_address")
kernel_file = external(Request, "limine_kernel_file")
module = external(Request, "limine_module")
rsdp = external(Request, "limine_rsdp")


@fn
def kind_of(raw: u64) -> RegionKind:
    """What a type means for the kernel. The image itself is added by whoever knows where it is."""
    if raw == u64(MemoryType.USABLE):
        return RegionKind.FREE
    if raw == u64(MemoryType.BOOTLOADER_RECLAIMABLE):
        return RegionKind.BOOT_DATA
    if raw == u64(MemoryType.KERNEL_AND_MODULES):
        return RegionKind.MODULES
    if raw == u64(MemoryType.ACPI_RECLAIMABLE):
        return RegionKind.ACPI
    return RegionKind.RESERVED


@fn
def text_at(address: u64) -> View[u8]:
    """A zero-terminated text of the boot loader's; as much as BootInfo keeps."""
    text = pointer_at(usize(address), Array[u8, TEXT_BYTES])
    length: usize = 0
    while bounded(length < TEXT_BYTES and text[length] != 0, TEXT_BYTES):
        length += 1
    return view(text[:length])


@fn
def check() -> BootError:
    """Whether the boot loader speaks our revision, and answered what the kernel cannot do without."""
    if read_volatile(ptr(base_revision[2])) != 0:
        return BootError.LIMINE_REVISION
    if hhdm.response == 0 or memmap.response == 0 or kernel_address.response == 0:
        return BootError.LIMINE_NO_ANSWER
    return BootError.NONE


@fn
def direct_offset() -> u64:
    """Where the boot loader's direct map begins."""
    return pointer_at(usize(hhdm.response), ValueResponse).value


@fn
def image_base() -> u64:
    """The physical address of the image."""
    return pointer_at(usize(kernel_address.response), AddressResponse).physical_base


@fn
def read_answers(info: Ptr[BootInfo]) -> BootError:
    """Fills `info` from the answers. Addresses in them are virtual, except those that say where memory is."""
    offset = direct_offset()
    if rsdp.response != 0:
        at = pointer_at(usize(rsdp.response), ValueResponse).value
        info.rsdp = at - offset if at >= offset else at
    if bootloader_info.response != 0:
        loader = pointer_at(usize(bootloader_info.response), LoaderResponse)
        set_text(ptr(info.loader), text_at(loader.name))
    if kernel_file.response != 0:
        file = pointer_at(usize(pointer_at(usize(kernel_file.response), FileResponse).file), File)
        if file.command_line != 0:
            set_text(ptr(info.command_line), text_at(file.command_line))
    if module.response != 0:
        modules = pointer_at(usize(module.response), ModuleResponse)
        if modules.module_count > 0:
            first = pointer_at(usize(pointer_at(usize(modules.modules), u64).value), File)
            info.modules_base = first.start - offset
            info.modules_end = info.modules_base + first.size_in_bytes
    return read_map(pointer_at(usize(memmap.response), MemoryResponse), info)


@fn
def read_map(answer: Ptr[MemoryResponse], info: Ptr[BootInfo]) -> BootError:
    """The memory map."""
    if answer.entry_count == 0:
        return BootError.NO_MEMORY_MAP
    if answer.entry_count > MAX_ENTRIES:
        return BootError.LIMINE_MEMORY_MAP
    entries = pointer_at(usize(answer.entries), Array[u64, MAX_ENTRIES])
    count = answer.entry_count
    for i in bounded(range(2 * count), 2 * MAX_ENTRIES):
        # Twice: where entries overlap the first one added stays, and what is reserved comes first.
        entry = pointer_at(usize(entries[i % count]), MemoryEntry)
        kind = kind_of(entry.memory_type)
        if (kind == RegionKind.FREE) == (i >= count) and not memory_map.add(info, entry.base, entry.length, kind):
            return BootError.TOO_MANY_REGIONS
    return BootError.NONE
