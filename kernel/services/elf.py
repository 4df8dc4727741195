"""Reads an ELF64 program for user mode: static, or position independent with RELATIVE relocations only.

The file comes from anybody. `read` looks at every number that will be used before anything is mapped, so that what
follows needs no doubts: segments lie in the file and in user space, in order, on pages of their own, never writable and
executable; the entry is in an executable one; every relocation changes eight bytes that are in the file, in a writable
segment. What it refuses it names. (System V ABI, gABI chapter 4 and 5; the RELATIVE types are from each processor's
supplement.)
"""

from enum import IntEnum

from kernel.lang import *
from kernel.little_endian import PackedLayout, contains, is_at, u16_at, u32_at, u64_at

PAGE = 4096
MAX_SEGMENTS = 8
MAX_HEADERS = 16
MAX_DYNAMIC = 64
MAX_RELOCATIONS = 4096
USER_END = 1 << 38  # of the smallest user half: Sv39's

HEADER = PackedLayout(
    [
        ("ident_magic", 4),
        ("ident_class", 1),
        ("ident_data", 1),
        ("ident_version", 1),
        ("_ident_rest", 9),
        ("type", 2),
        ("machine", 2),
        ("version", 4),
        ("entry", 8),
        ("phoff", 8),
        ("shoff", 8),
        ("flags", 4),
        ("ehsize", 2),
        ("phentsize", 2),
        ("phnum", 2),
        ("shentsize", 2),
        ("shnum", 2),
        ("shstrndx", 2),
    ]
)
PROGRAM = PackedLayout(
    [
        ("type", 4),
        ("flags", 4),
        ("offset", 8),
        ("vaddr", 8),
        ("paddr", 8),
        ("filesz", 8),
        ("memsz", 8),
        ("align", 8),
    ]
)
DYNAMIC = PackedLayout([("tag", 8), ("value", 8)])
RELOCATION = PackedLayout([("offset", 8), ("info", 8), ("addend", 8)])

ET_EXEC, ET_DYN = 2, 3
PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_TLS, PT_GNU_STACK = 1, 2, 3, 7, 0x6474E551
PF_X, PF_W, PF_R = 1, 2, 4
DT_NULL, DT_NEEDED, DT_RELA, DT_RELASZ, DT_RELAENT, DT_REL, DT_TEXTREL, DT_JMPREL = 0, 1, 7, 8, 9, 17, 22, 23
DT_RELR = 36

MACHINES = {"riscv64": 243, "x86_64": 62, "aarch64": 183}
RELATIVE = {243: 3, 62: 8, 183: 1027}
"""e_machine of each architecture, and its type of relocation that is `base + addend`."""


@enum(8)
class ElfError(IntEnum):
    """What is wrong with a program."""

    NONE = 0
    TRUNCATED = 1
    NOT_ELF = 2
    NOT_64_BIT = 3
    FOREIGN_MACHINE = 4
    NOT_A_PROGRAM = 5
    BAD_HEADERS = 6
    BAD_SEGMENT = 7
    OVERLAP = 8
    WRITABLE_CODE = 9
    TOO_MANY_SEGMENTS = 10
    NOTHING_TO_LOAD = 11
    BAD_ENTRY = 12
    NEEDS_LINKER = 13
    THREAD_LOCAL = 14
    BAD_RELOCATION = 15


ELF_ERROR_TEXT = {
    ElfError.NONE: "nothing",
    ElfError.TRUNCATED: "the file ends before what its headers promise",
    ElfError.NOT_ELF: "it is not an ELF file",
    ElfError.NOT_64_BIT: "it is not 64-bit little-endian ELF, version 1",
    ElfError.FOREIGN_MACHINE: "it is for another architecture",
    ElfError.NOT_A_PROGRAM: "it is an object file or a core, not a program",
    ElfError.BAD_HEADERS: "its program headers have another size, or there are none or too many",
    ElfError.BAD_SEGMENT: "a segment lies outside of user space, or its memory is smaller than its file part",
    ElfError.OVERLAP: "two segments share a page, or are out of order",
    ElfError.WRITABLE_CODE: "a segment or the stack would be writable and executable",
    ElfError.TOO_MANY_SEGMENTS: "it has more segments than the loader takes",
    ElfError.NOTHING_TO_LOAD: "it has no segment to load",
    ElfError.BAD_ENTRY: "its entry is not in executable memory",
    ElfError.NEEDS_LINKER: "it needs a dynamic linker or shared libraries",
    ElfError.THREAD_LOCAL: "it has thread-local storage",
    ElfError.BAD_RELOCATION: "a relocation is not RELATIVE, or changes what is not writable data of the file",
}


@struct
class Segment:
    """A part of the file that becomes memory: pages from `start` & ~0xfff, zero where the file has nothing."""

    offset: u64
    start: u64
    file_bytes: u64
    memory_bytes: u64
    writable: bool
    executable: bool


@struct
class Program:
    """What `read` found. Addresses are as linked; a position-independent program may be placed at any base."""

    entry: u64
    end: u64  # first page behind the last segment
    segments: Array[Segment, MAX_SEGMENTS]
    segment_count: usize
    relocations: u64  # offset in the file
    relocation_count: u64
    stack_bytes: u64  # what it says that its stack needs; 0 when it says nothing
    movable: bool


@fn
def stack_pages(program: Ptr[Program]) -> u64:
    """Pages of stack that a program says it needs, at least one; too many are refused by whoever loads it."""
    return (max(program.stack_bytes, 1) - 1) // PAGE + 1


@fn
def page_start(address: u64) -> u64:
    """The page that an address is in."""
    return address & ~u64(PAGE - 1)


@fn
def check_header(file: View[u8], machine: u16) -> ElfError:
    """The ELF header (gABI chapter 4, ELF Header)."""
    if len(file) < HEADER.size:
        return ElfError.TRUNCATED
    if not is_at(file, HEADER.ident_magic, "\x7fELF"):
        return ElfError.NOT_ELF
    if file[HEADER.ident_class] != 2 or file[HEADER.ident_data] != 1 or file[HEADER.ident_version] != 1:
        return ElfError.NOT_64_BIT
    if u16_at(file, HEADER.machine) != machine:
        return ElfError.FOREIGN_MACHINE
    if u16_at(file, HEADER.type) != ET_EXEC and u16_at(file, HEADER.type) != ET_DYN:
        return ElfError.NOT_A_PROGRAM
    headers = u64(u16_at(file, HEADER.phnum))
    if u16_at(file, HEADER.phentsize) != PROGRAM.size or headers == 0 or headers > MAX_HEADERS:
        return ElfError.BAD_HEADERS
    if not contains(file, u64_at(file, HEADER.phoff), headers * PROGRAM.size):
        return ElfError.TRUNCATED
    return ElfError.NONE


@fn
def add_segment(file: View[u8], header: u64, program: Ptr[Program]) -> ElfError:
    """A PT_LOAD header: checks it and appends the segment."""
    offset = u64_at(file, header + PROGRAM.offset)
    address = u64_at(file, header + PROGRAM.vaddr)
    file_bytes = u64_at(file, header + PROGRAM.filesz)
    memory_bytes = u64_at(file, header + PROGRAM.memsz)
    flags = u32_at(file, header + PROGRAM.flags)
    if memory_bytes == 0:
        return ElfError.NONE
    if not contains(file, offset, file_bytes):
        return ElfError.TRUNCATED
    if file_bytes > memory_bytes or address >= USER_END or memory_bytes > USER_END - PAGE - page_start(address):
        return ElfError.BAD_SEGMENT
    if flags & PF_W != 0 and flags & PF_X != 0:
        return ElfError.WRITABLE_CODE
    if program.segment_count > 0 and page_start(address) < program.end:
        return ElfError.OVERLAP
    if program.segment_count == MAX_SEGMENTS:
        return ElfError.TOO_MANY_SEGMENTS
    segment = ptr(program.segments[program.segment_count])
    segment.offset = offset
    segment.start = address
    segment.file_bytes = file_bytes
    segment.memory_bytes = memory_bytes
    segment.writable = flags & PF_W != 0
    segment.executable = flags & PF_X != 0
    program.segment_count += 1
    program.end = page_start(address + memory_bytes + PAGE - 1)
    return ElfError.NONE


@fn
def find_segment(program: Ptr[Program], address: u64, length: u64) -> Ptr[Segment] | None:
    """The segment whose part in the file holds a range of linked addresses."""
    for i in bounded(range(program.segment_count), MAX_SEGMENTS):
        segment = ptr(program.segments[i])
        if address >= segment.start and segment.file_bytes >= length:
            if address - segment.start <= segment.file_bytes - length:
                return segment
    return None


@fn
def read_dynamic(file: View[u8], offset: u64, length: u64, program: Ptr[Program]) -> ElfError:
    """The dynamic section of a position-independent program: relocations, and nothing that asks for a linker."""
    if not contains(file, offset, length):
        return ElfError.TRUNCATED
    if length // DYNAMIC.size > MAX_DYNAMIC:
        return ElfError.BAD_HEADERS
    table: u64 = 0
    table_bytes: u64 = 0
    at = offset
    for _ in bounded(range(length // DYNAMIC.size), MAX_DYNAMIC):
        tag = u64_at(file, at + DYNAMIC.tag)
        value = u64_at(file, at + DYNAMIC.value)
        at += DYNAMIC.size
        if tag == DT_NULL:
            break
        if tag == DT_NEEDED:
            return ElfError.NEEDS_LINKER
        if tag == DT_REL or tag == DT_RELR or tag == DT_JMPREL or tag == DT_TEXTREL:
            return ElfError.BAD_RELOCATION
        if tag == DT_RELA:
            table = value
        elif tag == DT_RELASZ:
            table_bytes = value
        elif tag == DT_RELAENT and value != RELOCATION.size:
            return ElfError.BAD_RELOCATION
    if table_bytes == 0:
        return ElfError.NONE
    segment = find_segment(program, table, table_bytes)
    if segment is None or table_bytes % RELOCATION.size != 0 or table_bytes // RELOCATION.size > MAX_RELOCATIONS:
        return ElfError.BAD_RELOCATION
    program.relocations = some(segment).offset + (table - some(segment).start)
    program.relocation_count = table_bytes // RELOCATION.size
    return ElfError.NONE


@fn
def relative_type(machine: u16) -> u32:
    """The relocation type that means `base + addend`; 0, which is "no relocation" everywhere, where there is none."""
    match machine:
        case 243:
            return RELATIVE[243]
        case 62:
            return RELATIVE[62]
        case 183:
            return RELATIVE[183]
        case _:
            return 0


@fn
def check_relocations(file: View[u8], machine: u16, program: Ptr[Program]) -> ElfError:
    """Every relocation is RELATIVE and changes initialised, writable data."""
    for i in bounded(range(program.relocation_count), MAX_RELOCATIONS):
        at = program.relocations + i * RELOCATION.size
        target = find_segment(program, u64_at(file, at + RELOCATION.offset), 8)
        if u64_at(file, at + RELOCATION.info) != u64(relative_type(machine)):
            return ElfError.BAD_RELOCATION
        if target is None or not some(target).writable:
            return ElfError.BAD_RELOCATION
    return ElfError.NONE


@fn
def read(file: View[u8], machine: u16, program: Ptr[Program]) -> ElfError:
    """Checks a file; on success `program` says how to load it."""
    program.segment_count = 0
    program.end = 0
    program.relocation_count = 0
    program.stack_bytes = 0
    error = check_header(file, machine)
    if error != ElfError.NONE:
        return error
    program.entry = u64_at(file, HEADER.entry)
    program.movable = u16_at(file, HEADER.type) == ET_DYN
    headers = u64_at(file, HEADER.phoff)
    count = u64(u16_at(file, HEADER.phnum))
    for i in bounded(range(count), MAX_HEADERS):
        header = headers + i * PROGRAM.size
        kind = u32_at(file, header + PROGRAM.type)
        if kind == PT_INTERP:
            return ElfError.NEEDS_LINKER
        if kind == PT_TLS:
            return ElfError.THREAD_LOCAL
        if kind == PT_GNU_STACK:
            program.stack_bytes = u64_at(file, header + PROGRAM.memsz)
            if u32_at(file, header + PROGRAM.flags) & PF_X != 0:
                return ElfError.WRITABLE_CODE
        if kind == PT_LOAD:
            error = add_segment(file, header, program)
            if error != ElfError.NONE:
                return error
    if program.segment_count == 0:
        return ElfError.NOTHING_TO_LOAD
    entry = find_segment(program, program.entry, 1)
    if entry is None or not some(entry).executable:
        return ElfError.BAD_ENTRY
    for i in bounded(range(count), MAX_HEADERS):
        header = headers + i * PROGRAM.size
        if u32_at(file, header + PROGRAM.type) == PT_DYNAMIC:
            offset = u64_at(file, header + PROGRAM.offset)
            error = read_dynamic(file, offset, u64_at(file, header + PROGRAM.filesz), program)
            if error != ElfError.NONE:
                return error
    return check_relocations(file, machine, program)


@fn
def relocate(file: View[u8], program: Ptr[Program], base: u64, page: u64, data: Span[u8]) -> None:
    """Applies to `data`, the contents of the page linked at `page`, all relocations that change bytes of it."""
    for i in bounded(range(program.relocation_count), MAX_RELOCATIONS):
        at = program.relocations + i * RELOCATION.size
        target = u64_at(file, at + RELOCATION.offset)
        value = w64(u64_at(file, at + RELOCATION.addend)) + w64(base)
        for j in range(8):
            byte = target + u64(j)
            if byte >= page and byte - page < u64(len(data)):
                data[byte - page] = trunc(value >> (8 * u64(j)), u8)
