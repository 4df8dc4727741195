"""PVH start info: what is read, and that a truncated or contradictory one is refused with its reason."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.arch.x86_64 import pvh
from kernel.arch.x86_64.boot_error import BootError
from kernel.boot_info import BootInfo, RegionKind

AT, MODULES, COMMAND_LINE, MAP = 0x1000, 0x1100, 0x1200, 0x1300
ENTRIES = ((0, 0x9_F000, 1), (0x9_F000, 0x1000, 2), (0x10_0000, 0x7EE_0000, 1), (0xFEFF_C000, 0x4000, 2))


def memory(
    *, magic=0x336EC578, version=1, modules=1, module_list=MODULES, command_line=COMMAND_LINE, memory_map=MAP,
    entries=ENTRIES, count=None, module=(0x2000, 0x100),
):  # fmt: skip
    image = bytearray(0x4000)
    count = len(entries) if count is None else count
    struct.pack_into(
        "<IIIIQQQQII", image, AT, magic, version, 0, modules, module_list, command_line, 0xF_59E0, memory_map, count, 0
    )
    struct.pack_into("<QQQQ", image, MODULES, *module, 0, 0)
    image[COMMAND_LINE : COMMAND_LINE + 6] = b"hello\0"
    for n, (base, size, kind) in enumerate(entries[:64]):
        struct.pack_into("<QQII", image, MAP + n * 24, base, size, kind, 0)
    return bytes(image)


def read(image, at=AT):
    info = BootInfo()
    return BootError(pvh.read_start_info(image, at, info)), info


def test_facts_are_those_of_the_start_info():
    error, info = read(memory())
    assert error == BootError.NONE and info.rsdp == 0xF_59E0
    assert bytes(list(info.command_line.bytes)[: info.command_line.length]) == b"hello"
    assert (info.modules_base, info.modules_end) == (0x2000, 0x2100)
    found = [(r.base, r.size, RegionKind(r.kind)) for r in list(info.regions)[: info.region_count]]
    assert (0x10_0000, 0x7EE_0000, RegionKind.FREE) in found
    assert (0x1000, 0x1000, RegionKind.BOOT_DATA) in found
    assert (0xFEFF_C000, 0x4000, RegionKind.RESERVED) in found


@pytest.mark.parametrize(
    "image, at, wanted",
    [
        (memory(), 0x4000 - 8, BootError.PVH_ADDRESS),
        (memory(), 1 << 63, BootError.PVH_ADDRESS),
        (memory(magic=0), AT, BootError.PVH_MAGIC),
        (memory(version=0), AT, BootError.PVH_VERSION),
        (memory()[: AT + 48], AT, BootError.PVH_ADDRESS),
        (memory(memory_map=0), AT, BootError.NO_MEMORY_MAP),
        (memory(count=0), AT, BootError.NO_MEMORY_MAP),
        (memory(count=5000), AT, BootError.PVH_MEMORY_MAP),
        (memory(memory_map=(1 << 64) - 8), AT, BootError.PVH_MEMORY_MAP),
        (memory(module_list=0x4000), AT, BootError.PVH_MODULE),
        (memory(module=(0x2000, (1 << 64) - 1)), AT, BootError.PVH_MODULE),
    ],
)
def test_a_contradiction_is_refused_with_its_reason(image, at, wanted):
    assert read(image, at)[0] == wanted


def test_no_command_line_and_no_module_are_no_errors():
    error, info = read(memory(command_line=0, modules=0))
    assert error == BootError.NONE and info.command_line.length == 0 and info.modules_end == 0


def test_a_command_line_without_an_end_is_cut():
    image = bytearray(memory(command_line=0x3000))
    image[0x3000:] = b"x" * 0x1000
    error, info = read(bytes(image))
    assert error == BootError.NONE and info.command_line.length == 256


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(AT, MAP + 100), st.binary(min_size=1, max_size=8)), max_size=6))
def test_a_damaged_start_info_never_panics(changes):
    image = bytearray(memory())
    for at, data in changes:
        image[at : at + len(data)] = data
    assert read(bytes(image))[0] in BootError
