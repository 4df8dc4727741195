"""The image builder: what it trusts, what it packs, what it refuses."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from kernel import image

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with a built riscv64 kernel that the test may damage; objects come from the common one."""
    built = image.build("riscv64").path.parent
    folder = tmp_path / "kernel" / "image-riscv64"
    folder.parent.mkdir()
    os.system(f"cp -r {built} {folder} && cp {built.parent}/*.o {built.parent}/*.sha256 {folder.parent} 2>/dev/null")
    monkeypatch.setenv("SPLAX_CACHE", str(tmp_path))
    return folder


def test_an_unchanged_kernel_is_not_built_again(own_cache: Path) -> None:
    assert image.build("riscv64").cached


@pytest.mark.parametrize("name", ["kernel", "kernel.elf", "manifest.json"])
def test_a_damaged_image_is_built_again(own_cache: Path, name: str) -> None:
    good = (own_cache / "kernel").read_bytes()
    damaged = bytearray((own_cache / name).read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (own_cache / name).write_bytes(damaged)
    made = image.build("riscv64")
    assert not made.cached and made.path.read_bytes() == good


def test_a_changed_source_is_built_again(own_cache: Path) -> None:
    manifest = json.loads((own_cache / "manifest.json").read_text())
    assert "kernel/banner.py" in manifest["sources"] and "rtl/registers/ns16550.py" in manifest["sources"]
    manifest["sources"]["kernel/banner.py"] = "0" * 64
    (own_cache / "manifest.json").write_text(json.dumps(manifest))
    assert not image.build("riscv64").cached


def test_the_build_imports_no_hardware() -> None:
    code = "from kernel.arch import entry, layout; import sys; print('amaranth' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("arch", image.ARCHITECTURES)
def test_every_function_is_in_the_packed_symbol_table(arch: str) -> None:
    """Read out of the boot file with nothing but the table's own layout, against the ELF file's symbols."""
    made = image.build(arch)
    elf = image.Elf(made.elf.read_bytes())
    flat = elf.flat()
    at = elf.symbols["kernel_symbols"] - elf.symbols["image_start"]
    (count,) = struct.unpack_from("<Q", flat, at)
    names = at + 8 + 12 * count
    table = [struct.unpack_from("<III", flat, at + 8 + 12 * n) for n in range(count)]
    packed = [(offset, flat[names + name : names + name + length].decode()) for offset, name, length in table]
    assert packed == elf.functions() and len(packed) > 50
    assert [offset for offset, _ in packed] == sorted(offset for offset, _ in packed)


@pytest.mark.parametrize("arch", ["riscv64", "aarch64"])
def test_the_boot_file_has_linuxs_image_header(arch: str) -> None:
    data = image.build(arch).path.read_bytes()
    _, _, offset, size, flags = struct.unpack_from("<IIQQQ", data)
    if arch == "riscv64":
        assert data[48:56] == b"RISCV\0\0\0" and data[56:60] == b"RSC\x05"
        assert offset == 2 << 20 and flags == 0
    else:
        assert data[:2] == b"MZ" and data[56:60] == b"ARM\x64" and flags == 0xA
        (pe,) = struct.unpack_from("<I", data, 60)
        assert data[pe : pe + 6] == b"PE\0\0" + struct.pack("<H", 0xAA64)
    assert size >= len(data) and size % 4096 == 0
