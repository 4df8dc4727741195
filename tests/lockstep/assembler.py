"""Places instructions at addresses, resolves labels, and writes the result as an ELF64 file with a listing."""

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.lockstep import encoding as e


@dataclass(frozen=True)
class Label:
    """A place in the code."""

    name: str


@dataclass(frozen=True)
class Reference:
    """An instruction that depends on the distance to a label: `make(distance)`; it has `size` bytes."""

    make: Callable[[int], e.Instruction]
    label: str
    size: int = 4


Piece = e.Instruction | Label | Reference


def _low(value: int) -> int:
    return ((value & 0xFFF) ^ 0x800) - 0x800


def address(rd: int, label: str, offset: int = 0) -> list[Piece]:
    """Loads the address of a label, relative to pc, so that it is right wherever the code is mapped."""
    return [
        Reference(lambda d: e.auipc(rd, (d + offset - _low(d + offset)) >> 12), label),
        Reference(lambda d: e.immediate("addi", rd, rd, _low(d + 4 + offset)), label),
    ]


def jump(rd: int, label: str) -> Reference:
    return Reference(lambda d: e.jal(rd, d), label)


def branch(name: str, rs1: int, rs2: int, label: str) -> Reference:
    return Reference(lambda d: e.branch(name, rs1, rs2, d), label)


class Assembler:
    """Collects code and data.

    Members
    -------
    pc : int
        Where the next piece goes.
    labels : dict[str, int]
    listing : list[tuple[int, int, str]]
        Address, encoding and text of every instruction, after `finish`.
    """

    def __init__(self) -> None:
        self.pc = 0
        self.labels: dict[str, int] = {}
        self.listing: list[tuple[int, int, str]] = []
        self._segments: list[tuple[int, bytearray]] = []
        self._references: list[tuple[int, Reference]] = []

    def org(self, at: int) -> None:
        """Continues at address `at`."""
        self.pc = at
        self._segments.append((at, bytearray()))

    def emit(self, *pieces: Piece) -> None:
        for piece in pieces:
            if isinstance(piece, Label):
                if piece.name in self.labels:
                    raise ValueError(f"label {piece.name} is defined twice")
                self.labels[piece.name] = self.pc
                continue
            if isinstance(piece, Reference):
                self._references.append((self.pc, piece))
                self.data(bytes(piece.size))
            else:
                self.listing.append((self.pc, piece.value, piece.text))
                self.data(piece.value.to_bytes(piece.size, "little"))

    def data(self, content: bytes) -> None:
        self._segments[-1][1].extend(content)
        self.pc += len(content)

    def patch(self, at: int, content: bytes) -> None:
        """Overwrites bytes that are placed already."""
        for start, segment in self._segments:
            if start <= at and at + len(content) <= start + len(segment):
                segment[at - start : at - start + len(content)] = content
                return
        raise ValueError(f"nothing is placed at {at:#x}")

    def finish(self) -> None:
        """Fills in what depended on labels."""
        for at, reference in self._references:
            instruction = reference.make(self.labels[reference.label] - at)
            if instruction.size != reference.size:
                raise ValueError(f"{instruction.text} has {instruction.size} bytes, {reference.size} wanted")
            self.patch(at, instruction.value.to_bytes(instruction.size, "little"))
            self.listing.append((at, instruction.value, f"{instruction.text}    # {reference.label}"))
        self._references.clear()
        self.listing.sort()

    def write_elf(self, path: Path, entry: int, symbols: Iterable[str] = ()) -> None:
        """Writes an ELF64 executable whose symbol table holds the labels named."""
        segments = [(start, bytes(content)) for start, content in self._segments if content]
        names = [b""] + [name.encode() for name in symbols]
        strings = b"\0".join(names) + b"\0"
        table = bytes(24)
        for name in symbols:
            offset = strings.index(b"\0" + name.encode() + b"\0") + 1
            table += struct.pack("<IBBHQQ", offset, 0x10, 0, 0xFFF1, self.labels[name], 0)
        section_names = b"\0.symtab\0.strtab\0.shstrtab\0"
        offset = 64 + 56 * len(segments)
        headers, body = b"", b""
        for start, content in segments:
            offset += -offset % 8
            body += bytes(offset - 64 - 56 * len(segments) - len(body))
            size = len(content)
            headers += struct.pack("<IIQQQQQQ", 1, 7, offset, start, start, size, size, 8)
            body += content
            offset += size
        sections = bytes(64)
        for name, kind, content, link, info, entry_size in (
            (1, 2, table, 2, 1, 24),
            (9, 3, strings, 0, 0, 0),
            (17, 3, section_names, 0, 0, 0),
        ):
            sections += struct.pack("<IIQQQQIIQQ", name, kind, 0, 0, offset, len(content), link, info, 1, entry_size)
            body += content
            offset += len(content)
        body += bytes(-offset % 8)
        offset += -offset % 8
        identification = b"\x7fELF\x02\x01\x01" + bytes(9)
        header = struct.pack("<HHIQQQIHHHHHH", 2, 243, 1, entry, 64, offset, 1, 64, 56, len(segments), 64, 4, 3)
        path.write_bytes(identification + header + headers + body + sections)

    def write_listing(self, path: Path) -> None:
        """Writes what is where, for a person who looks into a failure."""
        places: dict[int, list[str]] = {}
        for name, at in self.labels.items():
            places.setdefault(at, []).append(name)
        lines = []
        for at, value, text in self.listing:
            lines += [f"{name}:" for name in places.pop(at, ())]
            lines.append(f"  {at:x}  {value:08x}  {text}")
        path.write_text("\n".join(lines) + "\n")
