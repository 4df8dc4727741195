"""The device tree parser on damaged trees: it refuses or reads them, and never panics."""

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel import boot_info, boot_tree, devicetree

SOURCE = """/dts-v1/;
/ { #address-cells = <2>; #size-cells = <2>; model = "test"; interrupt-parent = <&plic>;
  chosen { bootargs = "one"; stdout-path = "/soc/serial@10000000"; };
  cpus { #address-cells = <1>; #size-cells = <0>; timebase-frequency = <10000000>;
    cpu@0 { device_type = "cpu"; reg = <0>; compatible = "riscv"; }; };
  memory@80000000 { device_type = "memory"; reg = <0 0x80000000 0 0x8000000>; };
  soc { #address-cells = <2>; #size-cells = <2>; ranges; compatible = "simple-bus";
    plic: plic@c000000 { compatible = "sifive,plic-1.0.0"; reg = <0 0xc000000 0 0x600000>; phandle = <1>; };
    serial@10000000 { compatible = "ns16550a"; reg = <0 0x10000000 0 0x100>; interrupts = <10>; }; }; };
"""


def compiled(source: str) -> bytes:
    if shutil.which("dtc") is None:
        pytest.skip("install device-tree-compiler")
    return subprocess.run(["dtc", "-q", "-O", "dtb"], input=source.encode(), capture_output=True, check=True).stdout


def read(blob: bytes) -> tuple[devicetree.TreeError, boot_info.BootInfo]:
    info = boot_info.BootInfo()
    return devicetree.TreeError(boot_tree.read(blob, info)), info


def test_a_good_tree_is_read():
    error, info = read(compiled(SOURCE))
    assert error == devicetree.TreeError.NONE
    assert (info.total_memory, info.cpu_count, info.timer_hz) == (0x800_0000, 1, 10_000_000)
    assert bytes(boot_info.text_view(info.command_line)) == b"one"


def test_bad_trees_get_their_reason():
    good = compiled(SOURCE)
    assert read(b"\0" + good[1:])[0] == devicetree.TreeError.BAD_MAGIC
    assert read(good[:-40])[0] == devicetree.TreeError.TRUNCATED
    assert read(good[:4] + b"\x7f\0\0\0" + good[8:])[0] == devicetree.TreeError.TOO_BIG
    assert read(compiled(SOURCE.replace('device_type = "memory";', "")))[0] == devicetree.TreeError.NO_MEMORY
    cyclic = SOURCE.replace("phandle = <1>;", "phandle = <1>; interrupt-parent = <2>;")
    cyclic = cyclic.replace("interrupts = <10>;", "phandle = <2>; interrupt-parent = <1>;")
    assert read(compiled(cyclic))[0] == devicetree.TreeError.CYCLIC_PHANDLES


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_tree_never_panics(data: st.DataObject):
    blob = bytearray(compiled(SOURCE) if not _good else _good[0])
    _good[:] = _good or [bytes(blob)]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(blob) - 1))
        blob[at] = data.draw(st.integers(0, 255))
    read(bytes(blob))


_good: list[bytes] = []
