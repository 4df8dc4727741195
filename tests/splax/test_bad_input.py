"""Bad input: one line that names the thing and the way out, exit status 2, nothing half-written."""

import os
import shutil
from pathlib import Path

import pytest

from .bare_metal import HELLO, LOOP, SIGNATURE, assemble
from .conftest import Splax


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return assemble(tmp_path, HELLO)


def refused(splax: Splax, *arguments: str | Path, names: str, command: str = "run") -> None:
    """Runs, and checks status, the one line, and what it must name."""
    done = splax(command, *arguments)
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("splax: building")]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("splax: error: ") and names in lines[0]
    assert not done.stdout


@pytest.mark.parametrize("length", [10, 40, 100, 0x1008])
def test_truncated_elf(splax: Splax, program: Path, length: int) -> None:
    program.write_bytes(program.read_bytes()[:length])
    refused(splax, "--elf", program, names=str(program))


def test_foreign_elf(splax: Splax) -> None:
    refused(splax, "--elf", "/bin/sh", names="another architecture")
    refused(splax, "--kernel", "/bin/sh", names="another architecture")


def test_elf_for_32_bits(splax: Splax, program: Path) -> None:
    data = bytearray(program.read_bytes())
    data[4] = 1
    program.write_bytes(data)
    refused(splax, "--elf", program, names="32-bit")


def test_overlapping_segments(splax: Splax, tmp_path: Path) -> None:
    """Two PT_LOAD segments at the same address."""
    source = HELLO.replace(".section .tohost", '.section .extra, "aw", @progbits\n.dword 1\n.section .tohost')
    program = assemble(tmp_path, source)
    data = bytearray(program.read_bytes())
    table, size, count = (int.from_bytes(data[n : n + w], "little") for n, w in ((32, 8), (54, 2), (56, 2)))
    loads = [table + n * size for n in range(count) if data[table + n * size] == 1]
    if len(loads) < 2:
        data[table + (count - 1) * size : table + count * size] = data[loads[0] : loads[0] + size]
    else:
        data[loads[1] + 24 : loads[1] + 32] = data[loads[0] + 24 : loads[0] + 32]
    program.write_bytes(data)
    refused(splax, "--elf", program, names="overlap")


def test_image_larger_than_ram(splax: Splax, tmp_path: Path) -> None:
    image = tmp_path / "large"
    with image.open("wb") as file:
        file.truncate(20 << 20)
        file.write(b"x")
    refused(splax, "--kernel", image, "--ram", "16M", names=str(image))
    refused(splax, "--bios", image, "--ram", "16M", names="does not fit")
    refused(splax, "--kernel", image, "--ram", "16M", names=str(image), command="qemu")


def test_elf_outside_ram(splax: Splax, tmp_path: Path) -> None:
    program = assemble(tmp_path, HELLO, "low")
    data = bytearray(program.read_bytes())
    table, size, count = (int.from_bytes(data[n : n + w], "little") for n, w in ((32, 8), (54, 2), (56, 2)))
    load = next(table + n * size for n in range(count) if data[table + n * size] == 1)
    data[load + 24 : load + 32] = (0x1000).to_bytes(8, "little")
    program.write_bytes(data)
    refused(splax, "--elf", program, names="does not fit")


def test_file_that_is_not_there_or_not_readable(splax: Splax, tmp_path: Path) -> None:
    for option in ("--elf", "--bios", "--kernel"):
        refused(splax, option, tmp_path / "nothing", names="No such file")
    refused(splax, "--elf", tmp_path, names="Is a directory")
    (tmp_path / "empty").touch()
    refused(splax, "--kernel", tmp_path / "empty", names="empty")


def test_wrong_flags(splax: Splax, program: Path) -> None:
    refused(splax, "--colour", names="--colour")
    refused(splax, "--ram", "lots", names="--ram")
    refused(splax, "--ram", "5K", names="ram_bytes")
    refused(splax, "--max-cycles", "many", names="--max-cycles")
    refused(splax, "--max-cycles", "0", names="--max-cycles")
    refused(splax, "--elf", program, "--bios", "none", names="--elf")
    refused(splax, "--bios", "none", "--initrd", program, names="--kernel")
    refused(splax, "--wave-from", "5", names="--wave")
    refused(splax, names="fly", command="fly")


def test_device_tree_that_does_not_fit(splax: Splax, program: Path) -> None:
    refused(splax, "--elf", program, "--ram", "1M", names="device tree")


def test_missing_signature_symbols(splax: Splax, program: Path, tmp_path: Path) -> None:
    refused(splax, "--elf", program, "--signature", tmp_path / "signature", names="begin_signature")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize(
    "option",
    ["--trace", "--stats", "--signature", pytest.param("--wave", marks=pytest.mark.xdist_group("traced simulator"))],
)
def test_full_disk(splax: Splax, tmp_path: Path, option: str) -> None:
    program = assemble(tmp_path, SIGNATURE)
    refused(splax, "--elf", program, option, "/dev/full", names="/dev/full")


def test_directory_that_is_not_there(splax: Splax, program: Path, tmp_path: Path) -> None:
    refused(splax, "--elf", program, "--trace", tmp_path / "nowhere" / "trace", names="nowhere")


def test_nothing_half_written_is_left(splax: Splax, program: Path, tmp_path: Path) -> None:
    target = tmp_path / "results"
    target.mkdir()
    program = shutil.copy(program, tmp_path / "copy.elf")
    arguments = ("--elf", program, "--trace", target / "trace", "--stats", "/dev/full")
    assert splax("run", *arguments).returncode == 2
    assert {path.name for path in target.iterdir()} <= {"trace"}
    loop = assemble(tmp_path, LOOP)
    refused(splax, "--elf", loop, "--trace", "/dev/full", "--max-cycles", "3000000", names="/dev/full")
    assert {path.name for path in target.iterdir()} <= {"trace"}
