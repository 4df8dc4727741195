"""Device trees that no kernel can go by, as a broken loader would leave them: the reason on the console, and the end of
the machine. Every way that a tree can be damaged is in tests/kernel/test_devicetree.py; here the whole kernel stops.
"""

import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from firmware.image import build_firmware
from kernel import image

from .machine import PACKAGES, Machine
from .test_aarch64 import QEMU as AARCH64
from .test_aarch64 import STATUS
from .test_riscv64 import QEMU as RISCV64

# Loaders of a few instructions: the tree's address where the kernel expects it, and off to the kernel.
KERNEL_AT, TREE_AT, NO_TREE = 0x8400_0000, 0x8800_0000, 0
RISCV64_LOADER = struct.pack("<5I", 0x440005B7, 0x00159593, 0x420002B7, 0x00129293, 0x00028067)  # a1, t0; jr t0
AARCH64_LOADER = struct.pack("<3I", 0xD2A90000, 0xD2A88001, 0xD61F0020)  # x0 = 0x48000000; x1 = 0x44000000; br x1


def truncated(tree: bytes) -> bytes:
    """totalsize ends in the middle of the structure block."""
    return tree[:4] + struct.pack(">I", 0x200) + tree[8:]


def cyclic(tree: bytes) -> bytes:
    """The interrupt controller's interrupts go to the UART, and the UART's to the controller."""
    if shutil.which("dtc") is None:
        pytest.skip("install device-tree-compiler")
    source = dtc(tree, "dtb", "dts").decode()
    for node, properties in (
        (r"(?:plic|intc)@\w+", "interrupt-parent = <0x777>;"),
        (r"(?:serial|pl011)@\w+", "phandle = <0x777>;"),
    ):
        source, count = re.subn(rf"(\s{node} {{\n)", rf"\1{properties}\n", source, count=1)
        assert count == 1, node
    return dtc(source.encode(), "dts", "dtb")


def dtc(data: bytes, given: str, wanted: str) -> bytes:
    """A tree in the other form."""
    return subprocess.run(["dtc", "-q", "-I", given, "-O", wanted], input=data, capture_output=True, check=True).stdout


DAMAGE = {
    "no tree": (lambda tree: bytes(len(tree)), "does not begin with 0xd00dfeed"),
    "truncated": (truncated, "is truncated: it reaches past its own end"),
    "cyclic": (cyclic, "has interrupt parents in a circle"),
    "no memory": (lambda tree: tree.replace(b"memory\0", b"nomory\0"), "names no memory"),
}


def machine(arch: str, folder: Path, damage: str) -> Machine:
    """Boots the kernel with QEMU's own tree, damaged."""
    qemu = {"riscv64": RISCV64, "aarch64": [*AARCH64, "-M", "virt", "-cpu", "cortex-a57", *STATUS]}[arch]
    qemu = [*qemu, "-m", "256"]
    with Machine([qemu[0], "--version"]):
        assert qemu[0] in PACKAGES  # or this test is skipped
    tree, loader = folder / "tree", folder / "loader"
    kind = ["-M", f"virt,dumpdtb={tree}", *(["-cpu", "cortex-a57"] if arch == "aarch64" else [])]
    subprocess.run([qemu[0], *kind, "-m", "256", "-display", "none"], check=True, capture_output=True)
    tree.write_bytes(DAMAGE[damage][0](tree.read_bytes()))
    loader.write_bytes(RISCV64_LOADER if arch == "riscv64" else AARCH64_LOADER)
    base = 0 if arch == "riscv64" else 0x4000_0000
    kernel = ["-device", f"loader,file={image.build(arch).path},addr={KERNEL_AT - base:#x},force-raw=on"]
    data = ["-device", f"loader,file={tree},addr={TREE_AT - base:#x},force-raw=on"]
    # Our firmware: before the tree is read nobody else can say "failed" (OpenSBI before 1.3 says "passed").
    start = ["-bios", str(build_firmware().image), "-kernel", str(loader)]
    if arch == "aarch64":
        start = ["-device", f"loader,file={loader},addr=0x42000000,force-raw=on", "-device", "loader,addr=0x42000000"]
        start[-1] += ",cpu-num=0"
    return Machine([*qemu, *start, *kernel, *data])


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("arch", ["riscv64", "aarch64"])
def test_the_kernel_stops_with_a_reason(arch: str, damage: str, tmp_path: Path):
    with machine(arch, tmp_path, damage) as m:
        assert m.wait() == 1
        m.expect(f"boot stopped: the device tree {DAMAGE[damage][1]}", seconds=0.1)
        assert "\nSplax\n" not in m.text
