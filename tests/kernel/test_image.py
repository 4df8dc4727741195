"""The image builder: what it trusts, what it packs, what it refuses."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from kernel import image, link, manifest

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


def test_a_damaged_image_or_a_changed_source_is_built_again(own_cache: Path) -> None:
    facts = json.loads((own_cache / "manifest.json").read_text())
    assert "kernel/banner.py" in facts["sources"] and "rtl/registers/ns16550.py" in facts["sources"]
    good = {name: (own_cache / name).read_bytes() for name in ("kernel", "kernel.elf", "manifest.json")}
    damaged = {name: data[: len(data) // 2] + bytes(16) + data[len(data) // 2 + 16 :] for name, data in good.items()}
    facts["sources"]["kernel/banner.py"] = "0" * 64
    damages = [*damaged.items(), ("manifest.json", json.dumps(facts).encode())]
    for name, data in damages:
        assert manifest.intact(own_cache) is not None
        (own_cache / name).write_bytes(data)
        assert manifest.intact(own_cache) is None, name
        (own_cache / name).write_bytes(good[name])
    for name, data in damages:
        (own_cache / name).write_bytes(data)
    made = image.build("riscv64")
    assert not made.cached and made.path.read_bytes() == good["kernel"] and made.elf.read_bytes() == good["kernel.elf"]


CHANGING = """
from pathlib import Path
from kernel import manifest

WORD = 0
manifest.ROOT = here = Path(__file__).parent  # what it depends on
manifest._before.update(manifest._stamps())

def child():
    if WORD < CHANGES:
        source = Path(__file__)
        source.write_text(source.read_text().replace(f"WORD = {WORD}", f"WORD = {WORD + 1}"))
    manifest.keep(here / "built", ["word"], lambda place: {"bytes": (place / "word").write_text(str(WORD))})
"""


@pytest.mark.parametrize("changes", [0, 1, 3, manifest.ATTEMPTS])
def test_a_build_is_made_again_while_its_sources_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: int
) -> None:
    monkeypatch.setattr(manifest, "ROOT", tmp_path)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # Python looks at the second in which a source was written
    (tmp_path / "changing.py").write_text(CHANGING.replace("CHANGES", str(changes)))
    heard: list[str] = []
    path = f"{ROOT}:{tmp_path}"
    if changes == manifest.ATTEMPTS:
        with pytest.raises(manifest.BuildError, match=f"sources changed in each of {changes} builds"):
            manifest.built(tmp_path / "built", "changing", heard.append, PYTHONPATH=path)
    else:
        assert manifest.built(tmp_path / "built", "changing", heard.append, PYTHONPATH=path) == ({"bytes": 1}, False)
        assert (tmp_path / "built" / "word").read_text() == str(changes)
        assert manifest.built(tmp_path / "built", "changing", heard.append, PYTHONPATH=path) == ({"bytes": 1}, True)
    assert heard == ["a source changed meanwhile: building again"] * changes


def test_a_file_that_is_no_python_is_named_with_the_place(tmp_path: Path) -> None:
    (tmp_path / "no_python.py").write_text("def child():\n    return (\n")
    with pytest.raises(manifest.BuildError) as caught:
        manifest.built(tmp_path / "built", "no_python", PYTHONPATH=f"{ROOT}:{tmp_path}")
    assert 'no_python.py", line 2\n' in str(caught.value) and "Traceback" not in str(caught.value)


@pytest.mark.long
def test_a_cache_in_which_every_file_is_damaged_is_not_trusted(own_cache: Path) -> None:
    """Emptied, cut in half, zeroed or gone: objects, their notes, the images and the manifest."""
    good = (own_cache / "kernel").read_bytes()
    files = sorted(path for path in own_cache.parent.rglob("*") if path.is_file())
    assert len([path for path in files if path.suffix in (".o", ".sha256")]) > 10
    for number, path in enumerate(files):
        data = path.read_bytes()
        damage = (b"", data[: len(data) // 2], bytes(len(data)), None)[number % 4]
        if damage is None:
            path.unlink()
        else:
            path.write_bytes(damage)
    made = image.build("riscv64")
    assert not made.cached and made.path.read_bytes() == good


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
    names = elf.symbols["kernel_symbol_names"] - elf.symbols["image_start"]
    table = [struct.unpack_from("<III", flat, at + 8 + 12 * n) for n in range(count)]
    packed = [(offset, flat[names + name : names + name + length].decode()) for offset, name, length in table]
    assert packed == elf.functions() and len(packed) > 50
    assert [offset for offset, _ in packed] == sorted(offset for offset, _ in packed)


@pytest.mark.parametrize("arch", image.ARCHITECTURES)
def test_every_entry_has_a_stack_that_it_fits_and_every_program_is_listed(arch: str) -> None:
    """All that assembly enters; two of them one after the other take no more than there is."""
    rows = [line.split() for line in image.build(arch).stacks.splitlines()]
    programs = rows.index(["program", "stack", "of"])
    entries = {name: (int(used), int(limit)) for name, used, limit in rows[1:programs]}
    assert {"kernel_start", "trap_from_user", "trap_from_kernel", "fast_call", "kernel_panic_stacked"} <= set(entries)
    assert all(0 < used <= limit <= link.STACK_BYTES for used, limit in entries.values())
    from_kernel = entries.pop("trap_from_kernel")[1]
    assert max(limit for _, limit in entries.values()) + from_kernel <= link.STACK_BYTES
    listed = {name: int(used) for name, used in rows[programs + 1 :]}
    assert {"s-init", "shell", "hello", "hello-c"} <= set(listed) and all(used > 0 for used in listed.values())


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
