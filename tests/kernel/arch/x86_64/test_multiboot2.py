"""Multiboot2 information: what is read, and that a truncated or contradictory one is refused with its reason."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.arch.x86_64 import multiboot2
from kernel.arch.x86_64.boot_error import BootError
from kernel.boot_info import BootInfo, RegionKind

AT = 0x100
MAP = ((0, 0x9_FC00, 1), (0x9_FC00, 0x400, 2), (0x10_0000, 0x7EE_0000, 1), (0x7FE_0000, 0x2_0000, 3))


def tag(kind, body):
    """One tag (3.6.2), padded to 8 bytes."""
    data = struct.pack("<II", kind, 8 + len(body)) + body
    return data + bytes(-len(data) % 8)


def memory_map(entries=MAP, entry_size=24):
    rows = b"".join(struct.pack("<QQII", *e, 0).ljust(entry_size, b"\0") for e in entries)
    return tag(6, struct.pack("<II", entry_size, 0) + rows)


END = tag(0, b"")
SMALL_ENTRIES = tag(6, struct.pack("<II", 16, 0) + bytes(32))
USUAL = (
    tag(1, b"console=ttyS0\0"),
    tag(2, b"GRUB 2.06\0"),
    tag(3, struct.pack("<II", 0x40_0000, 0x41_0000) + b"initrd\0"),
    memory_map(),
    tag(14, b"RSD PTR " + bytes(12)),
    tag(15, b"RSD PTR " + bytes(28)),
    tag(77, bytes(5)),  # one that nobody knows
)


def information(*tags, total=None):
    body = b"".join(tags)
    return bytes(AT) + struct.pack("<II", 8 + len(body) if total is None else total, 0) + body


def read(memory, at=AT):
    info = BootInfo()
    return BootError(multiboot2.read_information(memory, at, info)), info


def regions(info):
    return [(r.base, r.size, RegionKind(r.kind)) for r in list(info.regions)[: info.region_count]]


def text(value):
    return bytes(list(value.bytes)[: value.length]).decode()


def test_facts_are_those_of_the_tags():
    error, info = read(information(*USUAL, END))
    assert error == BootError.NONE
    assert text(info.command_line) == "console=ttyS0" and text(info.loader) == "GRUB 2.06"
    assert (info.modules_base, info.modules_end) == (0x40_0000, 0x41_0000)
    assert (0x7FE_0000, 0x2_0000, RegionKind.ACPI) in regions(info)
    assert (0x10_0000, 0x7EE_0000, RegionKind.FREE) in regions(info)
    new_rsdp = AT + 8 + sum(len(t) for t in USUAL[:5]) + 8
    assert info.rsdp == new_rsdp, "the new RSDP is preferred"


def test_entries_of_a_longer_form_are_read():
    error, info = read(information(memory_map(entry_size=40), END))
    assert error == BootError.NONE and (0x10_0000, 0x7EE_0000, RegionKind.FREE) in regions(info)


def test_what_one_entry_reserves_another_does_not_free():
    error, info = read(information(memory_map([(0x10_0000, 0x10_0000, 1), (0x14_0000, 0x1_0000, 2)]), END))
    assert error == BootError.NONE
    assert regions(info) == [
        (0x10_0000, 0x4_0000, RegionKind.FREE),
        (0x14_0000, 0x1_0000, RegionKind.RESERVED),
        (0x15_0000, 0xB_0000, RegionKind.FREE),
    ]


@pytest.mark.parametrize(
    "memory, at, wanted",
    [
        (information(memory_map(), END), AT + 4, BootError.MULTIBOOT2_ADDRESS),
        (information(memory_map(), END), 1 << 32, BootError.MULTIBOOT2_ADDRESS),
        (information(memory_map(), END), AT + (1 << 33), BootError.MULTIBOOT2_ADDRESS),
        (information(memory_map(), END, total=8), AT, BootError.MULTIBOOT2_SIZE),
        (information(memory_map(), END, total=1 << 31), AT, BootError.MULTIBOOT2_SIZE),
        (information(memory_map(), END, total=4096), AT, BootError.MULTIBOOT2_SIZE),
        (information(memory_map()), AT, BootError.MULTIBOOT2_NO_END),
        (information(memory_map(), tag(1, b"x" * 100)[:-8]), AT, BootError.MULTIBOOT2_TAG),
        (information(struct.pack("<II", 1, 7), END), AT, BootError.MULTIBOOT2_TAG),
        (information(tag(1, b"\0"), END), AT, BootError.NO_MEMORY_MAP),
        (information(SMALL_ENTRIES, END), AT, BootError.MULTIBOOT2_MEMORY_MAP),
        (information(tag(6, b""), END), AT, BootError.MULTIBOOT2_MEMORY_MAP),
        (information(tag(3, struct.pack("<II", 9, 8)), memory_map(), END), AT, BootError.MULTIBOOT2_MODULE),
        (information(*[tag(99, b"")] * 300, memory_map(), END), AT, BootError.MULTIBOOT2_NO_END),
        (information(memory_map([(n << 20, 1 << 12, 1) for n in range(100)]), END), AT, BootError.TOO_MANY_REGIONS),
    ],
)  # fmt: skip
def test_a_contradiction_is_refused_with_its_reason(memory, at, wanted):
    assert read(memory, at)[0] == wanted


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.integers(AT, AT + 400), st.binary(min_size=1, max_size=8)), max_size=6), st.integers(0, 800)
)
def test_damaged_information_never_panics(changes, cut):
    memory = bytearray(information(*USUAL, END))
    for at, data in changes:
        memory[at : at + len(data)] = data
    error, info = read(bytes(memory[: max(cut, 1)]))
    assert error in BootError
    if error == BootError.NONE:
        found = regions(info)
        assert all(a[0] + a[1] <= b[0] for a, b in zip(found, found[1:], strict=False)), "sorted, without overlaps"
