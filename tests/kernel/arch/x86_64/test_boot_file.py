"""The boot file, byte by byte: what PVH, Multiboot2 and Limine loaders look for in it."""

import struct

import pytest
from elftools.elf.elffile import ELFFile

from kernel import image

# Limine boot protocol (PROTOCOL.md), as published: the magic numbers of the protocol and of each feature.
START_MARKER = "f6b8f4b39de7d1ae fab91a6940fcb9cf 785c6ed015d3e316 181e920a7852b9d9"
END_MARKER = "adc0e0531bb10d03 9572709f31764c62"
BASE_REVISION_2 = "f9562b2d5c95a6c8 6a7b384944536bdc 0000000000000002"
COMMON = "c7b1dd30df4c8b88 0a82e883a194f07b"
FEATURES = {
    "bootloader info": "f55038d8e2a1202f 279426fcf5f59740",
    "HHDM": "48dcf1cb8ad2b852 63984e959a98244b",
    "memory map": "67cf3d9d378a806f e304acdfc50c3c62",
    "kernel address": "71ba76863cc55f63 b2644a48c516a487",
    "kernel file": "ad97e90e83f1ed67 31eb5d1c5ff23b69",
    "module": "3e7e279702be32af ca1c4f3bd1280cee",
    "RSDP": "c5e77b6b397e7b43 27637845accdcf3c",
}
HIGHER_HALF = 0xFFFF_FFFF_8000_0000


def quads(text):
    """Little-endian 64-bit words."""
    return b"".join(int(word, 16).to_bytes(8, "little") for word in text.split())


@pytest.fixture(scope="module")
def built():
    return image.build("x86_64")


@pytest.fixture(scope="module")
def data(built):
    return built.path.read_bytes()


@pytest.fixture(scope="module")
def symbols(built):
    return image.Elf(built.elf.read_bytes()).symbols


@pytest.fixture(scope="module")
def segments(built):
    with built.path.open("rb") as file:
        return [(s.header, s.data()) for s in ELFFile(file).iter_segments()]


def loads(segments):
    return [head for head, _ in segments if head.p_type == "PT_LOAD"]


def test_segments_are_writable_or_executable_and_lie_where_each_loader_wants_them(segments):
    found = loads(segments)
    assert [head.p_flags for head in found] == [5, 4, 6], "text R X, rodata R, data R W"
    for head in found:
        assert head.p_vaddr >= HIGHER_HALF, "Limine: entry memory layout"
        assert head.p_paddr == head.p_vaddr - HIGHER_HALF and head.p_paddr >= 1 << 20
        assert head.p_vaddr % 4096 == head.p_offset % 4096 == 0
    ends = [head.p_vaddr + head.p_memsz for head in found]
    assert all(end <= head.p_vaddr for end, head in zip(ends, found[1:], strict=False))


def test_the_pvh_note_names_the_32_bit_entry(segments, symbols):
    (note,) = [data for head, data in segments if head.p_type == "PT_NOTE"]
    assert note == struct.pack("<III4sQ", 4, 8, 18, b"Xen\0", symbols["pvh_entry"] - HIGHER_HALF)


def test_the_multiboot2_header_is_complete_and_early_enough(data, symbols):
    at = data.index(struct.pack("<I", 0xE852_50D6))
    assert at % 8 == 0
    magic, architecture, length, checksum = struct.unpack_from("<IIII", data, at)
    assert at + length <= 32768 and architecture == 0
    assert (magic + architecture + length + checksum) % (1 << 32) == 0
    tags, here = {}, at + 16
    while here < at + length:
        kind, flags, size = struct.unpack_from("<HHI", data, here)
        tags[kind] = (flags, data[here + 8 : here + size])
        here += (size + 7) // 8 * 8
    assert here == at + length and list(tags)[-1] == 0
    assert tags[1] == (0, struct.pack("<I", 6)), "the memory map is required"
    assert tags[3] == (0, struct.pack("<I", symbols["multiboot2_entry"] - HIGHER_HALF))


def test_limine_requests_are_those_of_the_specification(data, segments):
    start = data.index(quads(START_MARKER))
    end = data.index(quads(END_MARKER))
    wanted = quads(START_MARKER) + quads(BASE_REVISION_2)
    for name, own in FEATURES.items():
        wanted += quads(COMMON) + quads(own) + bytes(16)  # revision 0, no response yet
        if name == "module":
            wanted += bytes(16)  # internal_module_count and internal_modules, of revision 1
    assert data[start:end] == wanted
    assert start % 8 == 0 and end % 8 == 0
    for pattern in (START_MARKER, END_MARKER, BASE_REVISION_2, *(f"{COMMON} {own}" for own in FEATURES.values())):
        assert data.count(quads(pattern)) == 1, "a loader refuses an image that asks twice"
    writable = loads(segments)[2]
    assert writable.p_offset <= start and end <= writable.p_offset + writable.p_filesz, "responses are written there"


def test_the_elf_entry_is_limines(built, symbols):
    with built.path.open("rb") as file:
        assert ELFFile(file).header.e_entry == symbols["limine_entry"] >= HIGHER_HALF
