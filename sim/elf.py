"""ELF64 files for RISC-V: what to load where, where to start, and names for addresses."""

from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from .errors import InputError

EM_RISCV = "EM_RISCV"


@dataclass(frozen=True)
class Segment:
    """Bytes at a physical address; `size` is at least the data's, zeroes follow."""

    address: int
    data: bytes
    size: int

    @property
    def end(self) -> int:
        """First address behind the segment."""
        return self.address + self.size


@dataclass(frozen=True)
class Symbols:
    """Names of addresses."""

    addresses: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ordered = sorted((address, name) for name, address in self.addresses.items())
        object.__setattr__(self, "_ordered", ordered)

    def name(self, address: int) -> str:
        """`symbol+0x12` for an address, or an empty string."""
        ordered: list[tuple[int, str]] = getattr(self, "_ordered")  # noqa: B009
        index = bisect_right(ordered, (address, "\U0010ffff")) - 1
        if index < 0:
            return ""
        base, name = ordered[index]
        offset = address - base
        if offset >= 1 << 20:
            return ""
        return f"{name}+{offset:#x}" if offset else name


@dataclass(frozen=True)
class Elf:
    """A checked ELF64 file."""

    path: Path
    entry: int
    segments: tuple[Segment, ...]
    symbols: Symbols

    @property
    def lowest(self) -> int:
        """Address of the first byte loaded."""
        return min(segment.address for segment in self.segments)

    @property
    def end(self) -> int:
        """First address behind everything loaded."""
        return max(segment.end for segment in self.segments)


def read_file(path: Path, what: str) -> bytes:
    """A file's bytes, or the error that says why not."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {what} {path}: {error.strerror}", "give a readable file") from error
    if not data:
        raise InputError(f"{what} {path} is empty", "give the image itself")
    return data


def is_elf(data: bytes) -> bool:
    """Whether the bytes claim to be ELF."""
    return data[:4] == b"\x7fELF"


def read_elf(path: Path, what: str = "ELF file") -> Elf:
    """Reads and checks a file; raises InputError naming what is wrong with it."""
    data = read_file(path, what)
    if not is_elf(data):
        raise InputError(f"{what} {path} is not an ELF file", "give an ELF64 file for RISC-V")
    if len(data) >= 20:
        if data[4] != 2:
            raise InputError(f"{what} {path} is for a 32-bit machine", "build it for rv64")
        machine = int.from_bytes(data[18:20], "little" if data[5] == 1 else "big")
        if machine != 243:
            raise InputError(
                f"{what} {path} is for another architecture (e_machine {machine}, RISC-V is 243)", "build it for rv64"
            )
    try:
        with path.open("rb") as file:
            elf = ELFFile(file)
            segments = _segments(elf, path, what, len(data))
            symbols = _symbols(elf)
            entry = int(elf["e_entry"])
            kind = elf["e_type"]
    except (ELFError, ValueError, KeyError, AttributeError, IndexError, TypeError, OverflowError) as error:
        raise InputError(
            f"{what} {path} is damaged or truncated ({error or type(error).__name__})", "build or copy it again"
        ) from error
    if kind not in ("ET_EXEC", "ET_DYN"):
        raise InputError(f"{what} {path} is not linked ({kind})", "link it to an executable")
    if not segments:
        raise InputError(f"{what} {path} has nothing to load", "link it with a PT_LOAD segment")
    return Elf(path, entry, segments, symbols)


def _segments(elf: Any, path: Path, what: str, length: int) -> tuple[Segment, ...]:
    found = []
    for header in elf.iter_segments():
        if header["p_type"] != "PT_LOAD" or not header["p_memsz"]:
            continue
        if header["p_offset"] + header["p_filesz"] > length:
            raise InputError(
                f"{what} {path} is truncated: a segment ends at byte {header['p_offset'] + header['p_filesz']}, "
                f"the file has {length}",
                "build or copy it again",
            )
        if header["p_filesz"] > header["p_memsz"]:
            raise InputError(
                f"{what} {path} is damaged: a segment is larger in the file than in memory", "build it again"
            )
        found.append(Segment(header["p_paddr"], header.data(), header["p_memsz"]))
    found.sort(key=lambda segment: segment.address)
    for low, high in zip(found, found[1:], strict=False):
        if low.end > high.address:
            raise InputError(
                f"{what} {path} has overlapping segments: {low.address:#x}..{low.end:#x} "
                f"and {high.address:#x}..{high.end:#x}",
                "correct its linker script",
            )
    return tuple(found)


def _symbols(elf: Any) -> Symbols:
    found: dict[str, int] = {}
    for section in elf.iter_sections():
        if not isinstance(section, SymbolTableSection):
            continue
        for symbol in section.iter_symbols():
            kind, where = symbol["st_info"]["type"], symbol["st_shndx"]
            local_label = symbol.name.startswith((".L", "$"))
            if (
                symbol.name
                and not local_label
                and where != "SHN_UNDEF"
                and kind in ("STT_NOTYPE", "STT_FUNC", "STT_OBJECT")
            ):
                found.setdefault(symbol.name, symbol["st_value"])
    return Symbols(found)
