"""From reset to the next stage: what is protected and reserved, and what a bad start says before it stops."""

import shutil
import struct

import pytest

from firmware import image
from kernel.image import Elf
from rtl.flattened_tree import cells, unflatten
from tests.firmware.sbi import machine
from tests.firmware.sbi.machine import PROGRAM_BASE

pytestmark = pytest.mark.skipif(
    not shutil.which("qemu-system-riscv64"), reason="QEMU is missing: apt-get install qemu-system-misc"
)
FIRMWARE, TREE, INFORMATION = 0x8000_0000, 0x8700_0000, 0x8600_0000
MAGIC = 0x4942_534F


def information(magic=MAGIC, version=2, address=PROGRAM_BASE, mode=1, options=0, hart=0):
    """fw_dynamic information."""
    return struct.pack("<6Q", magic, version, address, mode, options, hart)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """QEMU's own device tree."""
    import subprocess

    path = tmp_path_factory.mktemp("tree") / "virt.dtb"
    command = ["qemu-system-riscv64", "-M", f"virt,dumpdtb={path}", "-m", "128M", "-display", "none"]
    subprocess.run(command, check=True, capture_output=True)
    blob = path.read_bytes()
    return blob[: int.from_bytes(blob[4:8], "big")]


def started_with(blob, info, **registers):
    """What the firmware says when it starts with this tree and this information."""
    with machine.Qemu(image.build_firmware().image, machine.program(), stopped=True) as qemu:
        assert qemu.gdb
        if blob:
            qemu.gdb.write_memory(TREE, blob)
        qemu.gdb.write_memory(INFORMATION, info)
        qemu.set_registers(**{"pc": FIRMWARE, "x10": 0, "x11": TREE, "x12": INFORMATION} | registers)
        qemu.go()
        said = qemu.console()
        return said, qemu.process.wait(timeout=10)


def test_a_good_start_for_comparison(tree):
    said, status = started_with(tree, information())
    assert "failed 0" in said and status == 0 and "device tree 0x87000000" in said


def test_the_banner_can_be_switched_off(tree):
    said, status = started_with(tree, information(options=1))
    assert said.startswith("by the debug console") and status == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda b: cells(0xD00DFEEE) + b[4:], "does not start with d00dfeed"),
        (lambda b: b[:4] + cells(1000) + b[8:], "it is cut off"),
        (lambda b: b[:4] + cells(0xFFFF_FFF0) + b[8:], "it is cut off"),
        (lambda b: b[:20] + cells(3) + b[24:], "version is not 17"),
        (lambda b: b[:8] + cells(56 + 64) + b[12:], "unknown token"),
        (lambda b: b.replace(b"memory\0", b"memoir\0"), "names no memory"),
        (lambda b: b.replace(b"cpu\0", b"gpu\0"), "names no hart"),
    ],
    ids=["magic", "size", "huge", "version", "token", "memory", "harts"],
)
def test_a_damaged_device_tree_stops_it_with_the_reason(tree, change, reason):
    said, status = started_with(change(tree), information())
    assert "firmware: device tree: " in said and reason in said and "the machine stops" in said and status == 1
    assert "Splax firmware" not in said


@pytest.mark.parametrize(
    ("info", "reason"),
    [
        (information(magic=1), "it has no OSBI magic (0x1)"),
        (information(version=3), "version that is not 1 or 2 (0x3)"),
        (information(mode=2), "its mode is not 0 (U), 1 (S) or 3 (M) (0x2)"),
        (information(address=0), "name a kernel (0x0)"),
        (information(address=FIRMWARE + 0x1000), "name a kernel (0x80001000)"),
        (information(address=PROGRAM_BASE + 1), "name a kernel (0x80200001)"),
    ],
    ids=["magic", "version", "mode", "none", "inside", "odd"],
)
def test_a_bad_next_stage_stops_it_with_the_reason(tree, info, reason):
    said, status = started_with(tree, info)
    assert said.startswith("firmware: next stage: ") and reason in said and status == 1


def test_registers_that_point_nowhere_stop_it_with_the_reason(tree):
    assert "a1 must be its address" in started_with(tree, information(), x11=0)[0]
    assert "a1 must be its address" in started_with(tree, information(), x11=TREE + 4)[0]
    assert "a2 must be the address" in started_with(tree, information(), x12=0)[0]
    said, status = started_with(tree, information(), x11=0x4000_0000_0000)
    assert "load access fault in M-mode on hart 0: mcause 0x5" in said and "mtval 0x400000000000" in said
    assert status == 1


def test_the_next_stage_can_be_in_m_mode(tree):
    # csrr a0, mhartid; li t1, 0x5555; lui t0, 0x100; sw t1, 0(t0)
    code = struct.pack("<5I", 0xF140_2573, 0x0000_5337, 0x5553_0313, 0x0010_02B7, 0x0062_A023)
    with machine.Qemu(image.build_firmware().image, None, stopped=True) as qemu:
        assert qemu.gdb
        qemu.gdb.write_memory(TREE, tree)
        qemu.gdb.write_memory(INFORMATION, information(mode=3, address=0x8100_0000))
        qemu.gdb.write_memory(0x8100_0000, code)
        qemu.set_registers(pc=FIRMWARE, x10=0, x11=TREE, x12=INFORMATION)
        qemu.go()
        assert "next 0x81000000 in M-mode" in qemu.console() and qemu.process.wait(timeout=10) == 0


def test_another_hart_is_started_where_the_loader_prefers_it(tree):
    """The tree here has one hart: the preferred one does not exist, and the one there is goes on."""
    said, status = started_with(tree, information(hart=3))
    assert "failed 0" in said and status == 0


def test_the_next_stage_finds_the_reservation_in_its_tree(tree):
    with machine.Qemu(image.build_firmware().image, machine.program(), stopped=True) as qemu:
        assert qemu.gdb
        qemu.run_to(PROGRAM_BASE)
        hart, address = qemu.gdb.registers()[10:12]
        after = unflatten(qemu.gdb.read_memory(address, len(tree) + 256))
    node = after.find("/reserved-memory/mmode_resv0@80000000")
    base, size = struct.unpack(">QQ", node.properties["reg"])
    assert hart == 0 and base == FIRMWARE and "no-map" in node.properties
    symbols = Elf(image.build_firmware().elf.read_bytes()).symbols
    assert symbols["image_end"] - FIRMWARE <= size < 2 * (symbols["image_end"] - FIRMWARE) and size & (size - 1) == 0


def test_a_trap_in_m_mode_says_where_and_why():
    """An illegal instruction, put in the way of the first call."""
    symbols = Elf(image.build_firmware().elf.read_bytes()).symbols
    with machine.Qemu(image.build_firmware().image, machine.program(), stopped=True) as qemu:
        assert qemu.gdb
        qemu.run_to(PROGRAM_BASE)
        qemu.run_to(symbols["firmware_trap"])
        qemu.gdb.write_memory(symbols["firmware_trap"], bytes(4))
        qemu.go()
        said = qemu.console()
        assert qemu.process.wait(timeout=10) == 1
    place = symbols["firmware_trap"]
    assert f"firmware: illegal instruction in M-mode on hart 0: mcause 0x2, mepc {place:#x}, mtval 0x0, ra " in said


def test_a_failed_check_of_the_firmware_is_a_panic_that_says_where():
    """`facts.range_count` beyond its array: the next check of an address has more rounds than its bound."""
    symbols = Elf(image.build_firmware().elf.read_bytes()).symbols
    from firmware.device_tree import Facts

    with machine.Qemu(image.build_firmware().image, machine.program(), stopped=True) as qemu:
        assert qemu.gdb
        qemu.run_to(symbols["firmware_trap"])
        at = symbols["firmware_state__facts"] + Facts.fields["range_count"].offset
        qemu.gdb.write_memory(at, (100).to_bytes(8, "little"))
        qemu.go()
        said = qemu.console()
        assert qemu.process.wait(timeout=10) == 1
    assert "firmware: panic on hart 0: " in said and "more than 8 rounds" in said and "(firmware/state.py:" in said
