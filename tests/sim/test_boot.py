"""Images are where QEMU puts them: its memory is read through its debugger's port and compared with our layout."""

import gzip
import random
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

from rtl.memory_map import DRAM_BASE
from rtl.periph.boot_rom import reset_vector
from sim import boot
from sim.boot import MIB, Chosen, Layout
from sim.errors import InputError
from sim.gdb import GdbClient
from sim.twin import program

pytestmark = pytest.mark.skipif(not any(path.exists() for path in boot.OPENSBI), reason="OpenSBI is not installed")


def qemu_memory(directory: Path, ram: int, options: list[str], ranges: list[tuple[int, int]]) -> list[bytes]:
    """What QEMU has in memory before the first instruction."""
    socket = directory / "gdb"
    command = [
        program(),
        "-M",
        "virt",
        "-m",
        f"{ram // MIB}M",
        "-S",
        "-display",
        "none",
        "-monitor",
        "none",
        "-serial",
        "none",
    ]
    command += ["-chardev", f"socket,path={socket},server=on,wait=off,id=g", "-gdb", "chardev:g", *options]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        gdb = GdbClient(str(socket))
        gdb.command("?")
        return [gdb.read_memory(address, length) for address, length in ranges]
    finally:
        process.kill()
        process.wait()


def device_tree(chosen: Chosen) -> bytes:
    """Stands for the device tree: as long as QEMU's, so that it lies at the same place."""
    return b"\xd0\x0d\xfe\xed".ljust(6000, b"\0")


def compare(directory: Path, layout: Layout, options: list[str]) -> None:
    """Our layout against QEMU's memory: images, boot ROM, and the device tree's place."""
    images = [(segment.address, segment.data) for what, segment in layout.segments if what != "device tree"]
    ranges = [(0x1000, 96), (layout.device_tree, 4)]
    for address, data in images:
        ranges += [(address, min(64, len(data))), (address + len(data) - min(64, len(data)), min(64, len(data)))]
    rom, magic, *rest = qemu_memory(directory, layout.ram_bytes, options, ranges)
    ours = reset_vector(start=layout.start, device_tree=layout.device_tree, next_address=layout.next_address)
    assert ours.ljust(96, b"\0")[:88] == rom[:88]
    assert magic == b"\xd0\x0d\xfe\xed"
    for (address, data), first, last in zip(images, rest[::2], rest[1::2], strict=True):
        assert (first, last) == (data[: len(first)], data[-len(last) :]), f"at {address:#x}"


@pytest.mark.parametrize("ram", [64, 100, 128, 2048, 4096])
def test_firmware_kernel_and_initrd_lie_where_qemu_puts_them(tmp_path: Path, ram: int) -> None:
    generator = random.Random(ram)
    firmware = boot.default_firmware()
    kernel, initrd = tmp_path / "kernel", tmp_path / "initrd"
    kernel.write_bytes(generator.randbytes(5000))
    initrd.write_bytes(generator.randbytes(3001))
    layout = boot.virt(ram * MIB, device_tree, bios=firmware, kernel=kernel, initrd=initrd, append="quiet")
    options = ["-bios", str(firmware), "-kernel", str(kernel), "-initrd", str(initrd), "-append", "quiet"]
    compare(tmp_path, layout, options)


def test_large_firmware_moves_the_kernel(tmp_path: Path) -> None:
    firmware, kernel = tmp_path / "firmware", tmp_path / "kernel"
    firmware.write_bytes(random.Random(1).randbytes(3 * MIB))
    kernel.write_bytes(b"kernel" * 100)
    layout = boot.virt(128 * MIB, device_tree, bios=firmware, kernel=kernel)
    assert layout.next_address == DRAM_BASE + 4 * MIB
    compare(tmp_path, layout, ["-bios", str(firmware), "-kernel", str(kernel)])


def test_no_firmware_and_elf_kernel(tmp_path: Path) -> None:
    elf = boot.default_kernel().with_name("uboot.elf")
    layout = boot.virt(128 * MIB, device_tree, bios="none", kernel=elf)
    compare(tmp_path, layout, ["-bios", "none", "-kernel", str(elf)])


@pytest.mark.parametrize("compressed", [False, True])
def test_uimage_lies_where_it_says(tmp_path: Path, compressed: bool) -> None:
    contents = b"a kernel in a uImage " * 50
    body = gzip.compress(contents) if compressed else contents
    load, entry = DRAM_BASE + 16 * MIB, DRAM_BASE + 16 * MIB + 64
    head = struct.pack(
        ">7I4B32s", boot.UIMAGE_MAGIC, 0, 0, len(body), load, entry, zlib.crc32(body), 5, 26, 2, compressed, b""
    )
    head = head[:4] + struct.pack(">I", zlib.crc32(head)) + head[8:]
    kernel = tmp_path / "uImage"
    kernel.write_bytes(head + body)
    layout = boot.virt(128 * MIB, device_tree, bios=boot.default_firmware(), kernel=kernel)
    assert layout.next_address == entry
    compare(tmp_path, layout, ["-bios", str(boot.default_firmware()), "-kernel", str(kernel)])


def test_damaged_uimage_is_refused(tmp_path: Path) -> None:
    kernel = tmp_path / "uImage"
    kernel.write_bytes(struct.pack(">8I", boot.UIMAGE_MAGIC, 0, 0, 1000, 0, 0, 0, 0) + bytes(100))
    with pytest.raises(InputError, match="truncated"):
        boot.virt(128 * MIB, device_tree, bios="none", kernel=kernel)


def test_images_that_meet_are_refused(tmp_path: Path) -> None:
    kernel, initrd = tmp_path / "kernel", tmp_path / "initrd"
    kernel.write_bytes(bytes(9 * MIB))
    initrd.write_bytes(b"x")
    with pytest.raises(InputError, match="overlaps"):
        boot.virt(16 * MIB, device_tree, bios="none", kernel=kernel, initrd=initrd)
