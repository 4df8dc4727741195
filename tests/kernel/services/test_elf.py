"""The program loader's reading of ELF files: against pyelftools on real ones, and on damaged ones."""

import io
import struct
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.services import elf
from kernel.services.elf import ELF_ERROR_TEXT, ElfError, Program, read, relocate

SOURCE = """
int zeros[3000];
int data[5] = {1, 2, 3, 4, 5};
int *pointers[3] = {&data[1], &zeros[7], 0};
const char *const texts[2] = {"one", "two"};
void _start(void) { for (;;) zeros[0] += *pointers[0] + texts[1][0]; }
"""


@cache
def program(arch: str, movable: bool) -> bytes:
    """A small program, by clang and lld."""
    with TemporaryDirectory() as directory:
        source, target = Path(directory, "p.c"), Path(directory, "p.elf")
        source.write_text(SOURCE)
        command = [sys.executable, "-m", "ziglang", "cc", "-target", f"{arch}-freestanding-none", "-nostdlib", "-O1"]
        command += ["-fPIE", "-pie"] if movable else ["-fno-PIE", "-static"]
        subprocess.run([*command, str(source), "-o", str(target)], check=True, capture_output=True)
        return target.read_bytes()


def found(data: bytes, arch: str = "riscv64") -> tuple[ElfError, Program]:
    made = Program()
    return ElfError(read(data, elf.MACHINES[arch], made)), made


@pytest.mark.parametrize("movable", [False, True], ids=["static", "pie"])
@pytest.mark.parametrize("arch", elf.MACHINES)
def test_real_programs_are_read_as_pyelftools_reads_them(arch, movable):
    data = program(arch, movable)
    error, made = found(data, arch)
    assert error == ElfError.NONE, ELF_ERROR_TEXT[error]
    file = ELFFile(io.BytesIO(data))
    loads = [s for s in file.iter_segments("PT_LOAD") if s["p_memsz"]]
    assert made.entry == file["e_entry"] and made.movable == movable and made.segment_count == len(loads)
    for segment, wanted in zip(made.segments, loads, strict=False):
        assert segment.offset == wanted["p_offset"] and segment.start == wanted["p_vaddr"]
        assert segment.file_bytes == wanted["p_filesz"] and segment.memory_bytes == wanted["p_memsz"]
        assert segment.writable == bool(wanted["p_flags"] & 2) and segment.executable == bool(wanted["p_flags"] & 1)
    relocations = [r for s in file.iter_sections() if isinstance(s, RelocationSection) for r in s.iter_relocations()]
    assert made.relocation_count == len(relocations) and bool(relocations) == movable
    assert found(data, "riscv64" if arch != "riscv64" else "x86_64")[0] == ElfError.FOREIGN_MACHINE


@pytest.mark.parametrize("arch", elf.MACHINES)
def test_relocation_gives_addresses_at_the_base(arch):
    data = program(arch, True)
    made, base = found(data, arch)[1], 0x12_3456_7000
    file = ELFFile(io.BytesIO(data))
    memory = bytearray(made.end)
    for segment in file.iter_segments("PT_LOAD"):
        memory[segment["p_vaddr"] : segment["p_vaddr"] + segment["p_filesz"]] = segment.data()
    expected = bytearray(memory)
    for section in file.iter_sections():
        if isinstance(section, RelocationSection):
            for relocation in section.iter_relocations():
                at = relocation["r_offset"]
                expected[at : at + 8] = (base + relocation["r_addend"]).to_bytes(8, "little")
    for page in range(0, made.end, elf.PAGE):
        contents = memory[page : page + elf.PAGE]
        relocate(data, made, base, page, contents)
        memory[page : page + elf.PAGE] = contents
    assert memory == expected and memory != bytearray(made.end)


def header(kind=elf.PT_LOAD, flags=5, offset=0, address=0x10000, file_bytes=0x200, memory_bytes=0x200) -> bytes:
    return struct.pack("<IIQQQQQQ", kind, flags, offset, address, address, file_bytes, memory_bytes, 4096)


def file(*headers: bytes, entry=0x10000, machine=243, kind=2, count=None, phentsize=56) -> bytes:
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", kind, machine, 1, entry, 64, 0, 0, 64, phentsize, 0, 0, 0, 0)
    head = head[:56] + struct.pack("<H", len(headers) if count is None else count) + head[58:]
    return (head + b"".join(headers)).ljust(0x1000, b"\0")


CASES = {
    "good": (file(header()), ElfError.NONE),
    "empty": (b"", ElfError.TRUNCATED),
    "text": (b"#!/bin/sh\n".ljust(100), ElfError.NOT_ELF),
    "32 bits": (file(header())[:4] + b"\x01" + file(header())[5:], ElfError.NOT_64_BIT),
    "big endian": (file(header())[:5] + b"\x02" + file(header())[6:], ElfError.NOT_64_BIT),
    "machine": (file(header(), machine=62), ElfError.FOREIGN_MACHINE),
    "object file": (file(header(), kind=1), ElfError.NOT_A_PROGRAM),
    "no headers": (file(), ElfError.BAD_HEADERS),
    "too many headers": (file(header(), count=17), ElfError.BAD_HEADERS),
    "header size": (file(header(), phentsize=32), ElfError.BAD_HEADERS),
    "headers behind the end": (file(header(), count=16)[:200], ElfError.TRUNCATED),
    "file part behind the end": (file(header(file_bytes=0x1001, memory_bytes=0x2000)), ElfError.TRUNCATED),
    "offset overflows": (file(header(offset=2**64 - 16)), ElfError.TRUNCATED),
    "memory below file": (file(header(file_bytes=0x200, memory_bytes=0x100)), ElfError.BAD_SEGMENT),
    "kernel address": (file(header(address=2**64 - 0x8000)), ElfError.BAD_SEGMENT),
    "into the kernel": (file(header(memory_bytes=elf.USER_END)), ElfError.BAD_SEGMENT),
    "size overflows": (file(header(memory_bytes=2**64 - 1)), ElfError.BAD_SEGMENT),
    "writable code": (file(header(flags=7)), ElfError.WRITABLE_CODE),
    "executable stack": (file(header(), header(elf.PT_GNU_STACK, flags=7)), ElfError.WRITABLE_CODE),
    "same page": (file(header(), header(address=0x10800)), ElfError.OVERLAP),
    "wrong order": (file(header(), header(address=0x8000)), ElfError.OVERLAP),
    "many segments": (file(*(header(address=0x10000 + n * 0x1000) for n in range(9))), ElfError.TOO_MANY_SEGMENTS),
    "no segments": (file(header(kind=0)), ElfError.NOTHING_TO_LOAD),
    "entry nowhere": (file(header(), entry=0x20000), ElfError.BAD_ENTRY),
    "entry in data": (file(header(), header(address=0x20000, flags=6), entry=0x20000), ElfError.BAD_ENTRY),
    "entry behind the file part": (file(header(memory_bytes=0x400), entry=0x10300), ElfError.BAD_ENTRY),
    "interpreter": (file(header(), header(elf.PT_INTERP)), ElfError.NEEDS_LINKER),
    "thread-local": (file(header(), header(elf.PT_TLS)), ElfError.THREAD_LOCAL),
    "dynamic behind the end": (file(header(), header(elf.PT_DYNAMIC, offset=0xFF0)), ElfError.TRUNCATED),
    "dynamic too long": (file(header(), header(elf.PT_DYNAMIC, file_bytes=0x1000)), ElfError.BAD_HEADERS),
}


@pytest.mark.parametrize("case", CASES)
def test_each_kind_of_bad_file_is_named(case):
    data, error = CASES[case]
    assert found(data)[0] == error
    assert ELF_ERROR_TEXT[error]


def dynamic(*entries: tuple[int, int], relocations: bytes = b"") -> bytes:
    """A file whose first page holds code, dynamic section (at 0x400) and relocations (at 0x800), and a page of data."""
    table = b"".join(struct.pack("<QQ", *entry) for entry in entries)
    headers = (
        header(file_bytes=0x1000, memory_bytes=0x1000),
        header(address=0x20000, flags=6, file_bytes=0x100),
        header(elf.PT_DYNAMIC, offset=0x400, file_bytes=len(table)),
    )
    data = bytearray(file(*headers, kind=3))
    data[0x400 : 0x400 + len(table)] = table
    data[0x800 : 0x800 + len(relocations)] = relocations
    return bytes(data)


RELOCATION = struct.pack("<QQQ", 0x20010, 3, 0x1234)
TABLE = [(elf.DT_RELA, 0x10800), (elf.DT_RELASZ, 24), (elf.DT_RELAENT, 24), (0, 0)]


@pytest.mark.parametrize(
    ("entries", "relocation", "error"),
    [
        (TABLE, RELOCATION, ElfError.NONE),
        ([(elf.DT_NEEDED, 1)], b"", ElfError.NEEDS_LINKER),
        ([(elf.DT_JMPREL, 1)], b"", ElfError.BAD_RELOCATION),
        ([(elf.DT_RELAENT, 16)], b"", ElfError.BAD_RELOCATION),
        ([(elf.DT_RELA, 0x10800), (elf.DT_RELASZ, 25)], RELOCATION, ElfError.BAD_RELOCATION),
        ([(elf.DT_RELA, 0x10FF0), (elf.DT_RELASZ, 24)], RELOCATION, ElfError.BAD_RELOCATION),
        ([(elf.DT_RELA, 2**64 - 8), (elf.DT_RELASZ, 24)], RELOCATION, ElfError.BAD_RELOCATION),
        ([(elf.DT_RELA, 0x10800), (elf.DT_RELASZ, 2**64 - 16)], RELOCATION, ElfError.BAD_RELOCATION),
        (TABLE, struct.pack("<QQQ", 0x20010, 2, 0), ElfError.BAD_RELOCATION),  # not RELATIVE
        (TABLE, struct.pack("<QQQ", 0x10010, 3, 0), ElfError.BAD_RELOCATION),  # code
        (TABLE, struct.pack("<QQQ", 0x200F9, 3, 0), ElfError.BAD_RELOCATION),  # seven bytes before the end
        (TABLE, struct.pack("<QQQ", 2**64 - 4, 3, 0), ElfError.BAD_RELOCATION),
    ],
)
def test_relocations_change_writable_data_of_the_file_only(entries, relocation, error):
    assert found(dynamic(*entries, relocations=relocation))[0] == error


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_what_is_accepted_is_safe_to_load_whatever_was_damaged(data):
    movable = data.draw(st.booleans())
    good = program("riscv64", movable)
    damaged = bytearray(good)
    headers = struct.unpack_from("<H", good, 56)[0]
    section = next((s for s in ELFFile(io.BytesIO(good)).iter_segments("PT_DYNAMIC")), None)
    spots = [*range(16, 64), *range(64, 64 + 56 * headers)]
    if section:
        spots += range(section["p_offset"], section["p_offset"] + section["p_filesz"])
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.sampled_from(spots))] = data.draw(st.sampled_from([0, 1, 2, 7, 16, 0x7F, 0x80, 0xFF]))
    size = data.draw(st.sampled_from([len(damaged), len(damaged) // 2, 100]))
    error, made = found(bytes(damaged[:size]))
    if error != ElfError.NONE:
        return
    end = 0
    for segment in list(made.segments)[: made.segment_count]:
        assert segment.offset + segment.file_bytes <= size and segment.file_bytes <= segment.memory_bytes
        assert segment.start & ~0xFFF >= end
        end = segment.start + segment.memory_bytes
        assert end <= elf.USER_END and not (segment.writable and segment.executable)
    for page in range(0, min(made.end, 0x10000), elf.PAGE):
        relocate(bytes(damaged[:size]), made, 0, page, bytearray(elf.PAGE))
