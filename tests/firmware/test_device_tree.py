"""The firmware's reader of device trees, host-native, against trees of our generator, of dtc, and damaged ones."""

import random
import shutil
import subprocess

import pytest

from firmware import device_tree, reservation
from firmware.device_tree import Facts, TreeError
from kernel.lang import KernelPanic
from rtl.device_tree import device_tree as soc_tree
from rtl.flattened_tree import cells, cells64, flatten, unflatten
from rtl.soc import SocConfig

BASE, SIZE = 0x8000_0000, 0x2_0000


def read(blob):
    facts = Facts()
    return TreeError(device_tree.read(bytes(blob), facts)), facts


def reserved(blob, room=256):
    """The tree with the reservation added, in exactly as much space as given."""
    error, facts = read(blob)
    assert error is TreeError.NONE
    space = bytearray(blob) + bytearray(b"\xa5" * room)
    error = TreeError(reservation.reserve(space, facts, BASE, SIZE))
    return error, bytes(space)


def soc(**options):
    return flatten(soc_tree(SocConfig(ram_bytes=128 << 20), **options))


def test_facts_are_those_of_the_soc_s_tree():
    blob = soc(initrd=(0x8400_0000, 0x8412_3456), bootargs="quiet")
    error, facts = read(blob)
    assert error is TreeError.NONE
    assert (facts.range_count, facts.ranges[0].base, facts.ranges[0].size) == (1, 0x8000_0000, 128 << 20)
    assert (facts.harts, facts.hart_count, facts.timebase_hz) == (1, 1, 10_000_000)
    assert (facts.initrd_start, facts.initrd_end) == (0x8400_0000, 0x8412_3456)
    assert blob[facts.isa_at : facts.isa_at + facts.isa_length].startswith(b"rv64imac_")


def test_disabled_harts_and_memory_of_other_types_do_not_count():
    tree = soc_tree(SocConfig(ram_bytes=128 << 20))
    hart = tree.find("/cpus/cpu@0")
    for number, status in ((1, b"disabled\0"), (2, b"fail\0"), (5, b"ok\0"), (70, b"okay\0")):
        other = tree.find("/cpus").add(f"cpu@{number:x}", device_type=b"cpu\0", reg=cells(number), status=status)
        other.properties["riscv,isa"] = hart.properties["riscv,isa"]
    tree.add("memory@90000000", reg=cells64(0x9000_0000, 0x1000))  # no device_type
    tree.add("memory@a0000000", reg=cells64(0xA000_0000, 0x2000, (1 << 64) - 1, 2), device_type=b"memory\0")
    error, facts = read(flatten(tree))
    assert error is TreeError.NONE and facts.harts == 0b100001 and facts.hart_count == 3
    assert [(r.base, r.size) for r in list(facts.ranges)[: facts.range_count]] == [
        (0x8000_0000, 128 << 20),
        (0xA000_0000, 0x2000),  # and not the one that wraps around
    ]


@pytest.mark.parametrize("cells_of_node", [None, (2, 2), (1, 1), (2, 1)])
def test_the_reservation_is_in_the_tree_and_nothing_else_changed(cells_of_node):
    tree = soc_tree(SocConfig(ram_bytes=128 << 20))
    if cells_of_node:
        node = tree.add("reserved-memory", ranges=b"")
        node.properties |= {"#address-cells": cells(cells_of_node[0]), "#size-cells": cells(cells_of_node[1])}
        node.add("other@88000000", reg=cells(0, 1, 2, 3)[: 4 * sum(cells_of_node)])
    error, space = reserved(flatten(tree))
    assert error is TreeError.NONE
    after = unflatten(space)
    node = after.find("/reserved-memory/mmode_resv0@80000000")
    address, size = cells_of_node or (2, 2)
    assert node.properties["reg"] == (cells64 if address == 2 else cells)(BASE) + (cells64 if size == 2 else cells)(
        SIZE
    )
    assert node.properties["no-map"] == b"" and len(node.properties) == 2
    parent = after.find("/reserved-memory")
    assert parent.properties["ranges"] == b"" and parent.properties["#address-cells"] == cells(address)
    parent.children.remove(node)
    if not cells_of_node:
        after.children.remove(parent)
    assert after == unflatten(flatten(tree))


def test_the_reservation_takes_no_byte_more_than_there_is():
    blob = soc()
    error, space = reserved(blob)
    total = int.from_bytes(space[4:8], "big")
    assert error is TreeError.NONE and space[total:] == b"\xa5" * (len(space) - total)
    assert reserved(blob, total - len(blob))[0] is TreeError.NONE
    error, space = reserved(blob, total - len(blob) - 1)
    assert error is TreeError.NO_ROOM and space[: len(blob)] == blob
    assert total - len(blob) <= reservation.MOST_ADDED


@pytest.mark.skipif(not shutil.which("dtc"), reason="dtc is missing: apt-get install device-tree-compiler")
def test_dtc_reads_the_result_and_its_trees_are_read(tmp_path):
    _, space = reserved(soc())
    (tmp_path / "in.dtb").write_bytes(space)
    source = subprocess.run(["dtc", "-q", tmp_path / "in.dtb"], capture_output=True, text=True, check=True).stdout
    assert "mmode_resv0@80000000" in source and "no-map;" in source
    (tmp_path / "in.dts").write_text(source)
    command = ["dtc", "-q", "-I", "dts", "-O", "dtb", tmp_path / "in.dts"]
    again = subprocess.run(command, capture_output=True, check=True).stdout
    error, facts = read(again)
    assert error is TreeError.NONE and facts.has_reserved and facts.harts == 1
    assert unflatten(reserved(again)[1]).find("/reserved-memory/mmode_resv0@80000000")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda b: b[:39], TreeError.TRUNCATED),
        (lambda b: b"\0" + b[1:], TreeError.BAD_MAGIC),
        (lambda b: b[:-1], TreeError.TRUNCATED),
        (lambda b: b[:20] + cells(16) + b[24:], TreeError.BAD_VERSION),
        (lambda b: b[:24] + cells(18) + b[28:], TreeError.BAD_VERSION),
        (lambda b: b[:36] + cells(len(b)) + b[40:], TreeError.TRUNCATED),
        (lambda b: b[:32] + cells(0xFFFF_FFFF) + b[36:], TreeError.TRUNCATED),
        (lambda b: b.replace(cells(2, 2, 9), cells(2, 2, 5)), TreeError.BAD_TOKEN),
        (lambda b: b.replace(cells(2, 2, 9), cells(2, 4, 9)), TreeError.BAD_TOKEN),
        (lambda b: b.replace(cells(2, 2, 9), cells(2, 2, 2)), TreeError.TOO_DEEP),
        (lambda b: b.replace(cells(2, 2, 9), cells(2, 2, 1)), TreeError.TRUNCATED),
        (lambda b: nested(14), TreeError.NONE),
        (lambda b: nested(15), TreeError.TOO_DEEP),
        (lambda b: b.replace(b"memory\0", b"memorz\0"), TreeError.NO_MEMORY),
        (lambda b: b.replace(b"cpu\0", b"gpu\0"), TreeError.NO_HARTS),
        (lambda b: b.replace(b"okay", b"fail"), TreeError.NO_HARTS),
    ],
)
def test_a_damaged_tree_is_refused_with_its_reason(change, error):
    assert read(change(soc()))[0] is error


def nested(depth):
    """The SoC's tree with a chain of nodes below its root."""
    tree = here = soc_tree(SocConfig(ram_bytes=128 << 20))
    for _ in range(depth):
        here = here.add("node")
    return flatten(tree)


def test_blocks_in_another_order_are_not_grown():
    blob = bytearray(soc())
    blob[16:20] = cells(len(blob) - 16)
    error, facts = read(blob)
    assert error is TreeError.NONE
    assert reservation.reserve(blob + bytearray(256), facts, BASE, SIZE) == TreeError.BAD_ORDER


def test_random_damage_never_leads_outside_of_the_tree():
    """Every access is checked, so what is not refused may at worst panic; a panic here is a check that is missing."""
    seed = 20261125
    print(f"seed {seed}")
    generator = random.Random(seed)
    blob = soc()
    seen = set()
    for _ in range(3000):
        damaged = bytearray(blob)
        for _ in range(generator.randint(1, 4)):
            at = generator.randrange(len(blob)) if generator.random() < 0.7 else generator.randrange(64)
            damaged[at] = generator.choice((0, 1, 2, 3, 4, 9, 0xFF, generator.randrange(256)))
        try:
            error, facts = read(damaged)
            seen.add(error)
            if error is TreeError.NONE:
                reservation.reserve(damaged + bytearray(256), facts, BASE, SIZE)
        except KernelPanic as panic:
            raise AssertionError(f"seed {seed}: {panic}") from panic
    assert {TreeError.NONE, TreeError.TRUNCATED, TreeError.BAD_TOKEN} <= seen
