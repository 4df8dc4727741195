"""Builds a kernel image: compiles the kernel for an architecture, links it, packs its symbols, writes the boot file.

    python -m kernel.image --arch riscv64 --out build/kernel-riscv64

`F` is what boots (for riscv64 and aarch64 the flat Image), `F.elf` beside it has symbols and DWARF. A build is a
process of its own, since an architecture is chosen when the kernel's modules are imported (see `kernel.arch`).

Warm builds do not import the compiler: see kernel/manifest.py.
"""

import argparse
import gc
import re
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kernel import manifest

if TYPE_CHECKING:
    from kernel.lang.stack import StackUse

ARCHITECTURES = ("riscv64", "x86_64", "aarch64")
USER_MODE = ARCHITECTURES  # where the microkernel runs programs
FLAGS = ("-fno-omit-frame-pointer",)  # for backtraces


class ImageError(RuntimeError):
    """A kernel that cannot be built; the message says why."""


@dataclass(frozen=True)
class Image:
    """A built kernel.

    path     the boot file
    elf      the same with symbols and DWARF, at its linked addresses
    sizes    bytes of text, rodata, data, bss, and of the boot file
    cached   whether it was there already
    seconds  how long it took, wall clock
    stacks   the stack that every entry of the kernel needs, of what it has, and every program
    paths    what each entry of the kernel calls to need it
    holders  who will hold what: what `caps` shows when the system has started
    """

    arch: str
    path: Path
    elf: Path
    sizes: dict[str, int]
    cached: bool
    seconds: float
    stacks: str
    paths: str
    holders: str

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {size}" for name, size in self.sizes.items())
        how = "unchanged" if self.cached else "built"
        return f"{self.path}: {self.arch} kernel, {how} in {self.seconds:.2f} s: {parts} bytes"

    def report(self, verbose: bool = False) -> str:
        """How large, the stack that it needs (`verbose`: for what), and who will hold what."""
        return f"{self}\n{self.stacks}{self.paths if verbose else ''}{self.holders}"


def build(arch: str, report: Callable[[str], None] = lambda step: None) -> Image:
    """The default kernel's image for an architecture, built if need be, by a process of its own.

    `report` is told what the build does, where there is anything to build.
    """
    started = time.monotonic()
    if arch not in ARCHITECTURES:
        raise ImageError(f"unknown architecture {arch!r}: use one of {', '.join(ARCHITECTURES)}")
    place = manifest.directory(f"image-{arch}")
    try:
        facts, cached = manifest.built(place, "kernel.image", report, KERNEL_ARCH=arch)
    except manifest.BuildError as error:
        raise ImageError(f"the {arch} kernel does not build:\n{error}") from None
    seconds = time.monotonic() - started
    texts = (facts[name] for name in ("stacks", "paths", "holders"))
    return Image(arch, place / "kernel", place / "kernel.elf", facts["sizes"], cached, seconds, *texts)


def write(arch: str, out: Path, report: Callable[[str], None] = lambda step: None) -> Image:
    """`build`, with the results copied to `out` and `out`.elf."""
    made = build(arch, report)
    elf = out.with_name(out.name + ".elf")
    manifest.copy(made.path, out)
    manifest.copy(made.elf, elf)
    return replace(made, path=out, elf=elf)


def child() -> None:
    """The build itself, in a process that has imported nothing of the kernel yet."""
    from kernel import arch
    from kernel.lang import CompileError
    from kernel.lang.build import ToolError

    manifest.report("reading the sources")
    gc.disable()  # Trees of programs stay until the end: looking for garbage among them is a tenth of the work.
    try:
        place = manifest.directory(f"image-{arch.selected}")
        manifest.keep(place, ("kernel", "kernel.elf"), lambda scratch: _link(arch.selected, scratch, manifest.report))
    except (CompileError, ToolError, ImageError) as error:
        print(error, file=sys.stderr)
        sys.exit(1)


def _link(name: str, directory: Path, report: Callable[[str], None]) -> dict[str, object]:
    """Compiles and links into `directory`; gives the sizes, and the texts of an Image."""
    from kernel import archive, link, programs
    from kernel.arch import entry, layout
    from kernel.fault import kernel_panic_stacked
    from kernel.lang import build as compiler
    from kernel.lang import stack
    from kernel.services.description import SYSTEM

    script = directory / "kernel.ld"
    script.write_text(link.script(layout.LINKER))
    with compiler.Session(name, report) as session:
        assembly = session.submit("assembly", compiler.compile_assembly, entry.ASSEMBLY, name)
        user = programs.Builder(session)
        user.start_small()
        kernel = session.start("kernel", [*entry.ROOTS, kernel_panic_stacked], optimize="-Os", defines=FLAGS)
        user.start_others()
        files = user.finish()
        made = kernel()
    (directory / link.ARCHIVE).write_bytes(archive.pack(files))
    report("linking")
    flags = ["-T", str(script), "-z", "max-page-size=4096", "--no-pie", "-z", "norelro"]
    elf = directory / "kernel.elf"
    table: list[tuple[int, str]] = []
    for _ in range(3):
        for blob, content in zip((link.SYMBOLS, link.NAMES), symbol_table(table), strict=True):
            (directory / blob).write_bytes(content)
        compiler.link([assembly.result(), made.path], name, elf, flags, link.BLOBS)
        parsed = Elf(elf.read_bytes())
        found = parsed.functions()
        if found == table:
            break
        table = found
    else:
        raise ImageError(f"the {name} kernel's symbols move each time that it is linked")
    stray = parsed.allocated - set(re.findall(r"^ +(\.[\w.]+)", script.read_text(), re.M))
    if stray:
        raise ImageError(f"the linker script has no place for {', '.join(sorted(stray))}")
    flat = parsed.flat()
    packed = entry.pack(flat, parsed.symbols)
    (directory / "kernel").write_bytes(packed)
    start, at = parsed.symbols["image_start"], parsed.symbols
    sizes = {
        "text": at["text_end"] - start,
        "rodata": at["rodata_end"] - at["text_end"],
        "data": at["data_end"] - at["rodata_end"],
        "bss": at["bss_end"] - at["bss_start"],
        "file": len(packed),
    }
    uses = stack.report(made)
    stacks = _stacks(uses, {name: Elf(file).stack for name, file in files.items()})
    paths = "".join(f"{use}\n" for use in uses)
    return {"sizes": sizes, "stacks": stacks, "paths": paths, "holders": SYSTEM.report()}


def _stacks(uses: "list[StackUse]", programs: dict[str, int]) -> str:
    """A table of the stack that the kernel's entries need, of what they have, and that programs need, which get it."""
    rows = [("entry", "stack", "of"), *((use.entry, str(use.bytes), str(use.limit)) for use in uses)]
    rows += [("program", "stack", "of"), *((name, str(size), "") for name, size in programs.items())]
    return "".join(f"{name:24} {size:>6} {limit:>6}".rstrip() + "\n" for name, size, limit in rows)


def symbol_table(table: list[tuple[int, str]]) -> tuple[bytes, bytes]:
    """The packed symbol table that kernel/symbols.py reads, of (offset, name): the count and the rows; the names."""
    rows, names = [struct.pack("<Q", len(table))], b""
    for offset, name in table:
        rows.append(struct.pack("<III", offset, len(names), len(name)))
        names += name.encode()
    return b"".join(rows), names


class Elf:
    """As much of a 64-bit little-endian ELF file as an image needs."""

    def __init__(self, data: bytes):
        self.data = data
        (self.entry,) = struct.unpack_from("<Q", data, 24)
        ph_offset, sh_offset = struct.unpack_from("<QQ", data, 32)
        ph_size, ph_count, sh_size, sh_count = struct.unpack_from("<HHHH", data, 54)
        self.segments = [struct.unpack_from("<IIQQQQQQ", data, ph_offset + n * ph_size) for n in range(ph_count)]
        sections = [struct.unpack_from("<IIQQQQIIQQ", data, sh_offset + n * sh_size) for n in range(sh_count)]
        names = sections[struct.unpack_from("<H", data, 62)[0]][4]
        self.stack = next((s[6] for s in self.segments if s[0] == 0x6474_E551), 0)  # PT_GNU_STACK
        self.allocated = {self._text(names + s[0]) for s in sections if s[2] & 2 and s[5]}  # SHF_ALLOC
        self.symbols: dict[str, int] = {}
        self._functions: list[tuple[int, str]] = []
        for section in sections:
            if section[1] == 2:  # SHT_SYMTAB
                self._read_symbols(section, sections[section[6]])

    def _read_symbols(self, table: tuple, names: tuple) -> None:
        offset, size = table[4], table[5]
        for at in range(offset, offset + size, 24):
            name_at, info, _, section, value, _ = struct.unpack_from("<IBBHQQ", self.data, at)
            name = self._text(names[4] + name_at)
            if not name or section == 0:
                continue
            if info >> 4 or name not in self.symbols:  # a local name never hides a global one
                self.symbols[name] = value
            if info & 15 in (0, 2) and not name.startswith((".L", "$")):
                self._functions.append((value, name))

    def _text(self, at: int) -> str:
        return self.data[at : self.data.index(0, at)].decode()

    def functions(self) -> list[tuple[int, str]]:
        """(offset from the image's start, name) of all code symbols, by address; one name an address."""
        start, end = self.symbols["image_start"], self.symbols["text_end"]
        chosen: dict[int, str] = {}
        for value, name in self._functions:
            if start <= value < end and name != "image_start":
                chosen[value - start] = min(chosen.get(value - start, name), name)
        return sorted(chosen.items())

    def flat(self) -> bytes:
        """What a raw loader puts in memory: the image's segments, from image_start to data_end."""
        start, end = self.symbols["image_start"], self.symbols["data_end"]
        out = bytearray(end - start)
        for kind, _, offset, virtual, _, file_size, _, _ in self.segments:
            if kind == 1 and start <= virtual < end:
                out[virtual - start : virtual - start + file_size] = self.data[offset : offset + file_size]
        return bytes(out)


def _print(step: str) -> None:
    print(step, file=sys.stderr)


def main() -> None:
    """The command line, for use without `splax`."""
    parser = argparse.ArgumentParser(prog="python -m kernel.image", description=__doc__)
    parser.add_argument("--arch", required=True)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    try:
        made = write(options.arch, options.out, _print) if options.out else build(options.arch, _print)
        print(made.report(), end="")
    except (ImageError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
