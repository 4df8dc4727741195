"""The worst stack depth of every entry point, from the machine code itself.

clang writes the frame size of every function into `.stack_sizes`; the relocations in a function's code name what it
calls. Kernel Python has no recursion and no indirect calls (function pointers are dispatched by a switch over their
known targets), so the call graph that the linker sees is the whole truth, helpers and memcpy included.
"""

import struct
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from kernel.lang.errors import Diagnostics

if TYPE_CHECKING:
    from kernel.lang.build import Object

SHT_SYMTAB, SHT_RELA, STT_FUNC = 2, 4, 2
# Bytes that a call itself takes, which the callee's frame does not count: x86 pushes the return address.
CALL_BYTES = {"riscv64": 0, "x86_64": 8, "aarch64": 0}


@dataclass
class MachineFunction:
    """A function in object code: its frame in bytes, and the symbols that its code refers to."""

    frame: int
    callees: set[str]


@dataclass(frozen=True)
class StackUse:
    """The deepest path from one function.

    bytes     that it takes
    path      the functions on it with their frames
    external  symbols of other objects that its functions name: what those take is not counted
    limit     bytes that its declaration gives it, if it does
    """

    entry: str
    bytes: int
    path: tuple[tuple[str, int], ...]
    external: tuple[str, ...]
    limit: int | None = None

    def __str__(self) -> str:
        path = " -> ".join(f"{name} ({frame})" for name, frame in self.path)
        outside = f"; not counted: {', '.join(self.external)}" if self.external else ""
        limit = f" of {self.limit}" if self.limit is not None else ""
        return f"{self.entry}: {self.bytes}{limit} bytes of stack: {path}{outside}"


@lru_cache(maxsize=16)
def machine_functions(path: Path) -> dict[str, MachineFunction]:
    """The functions of a relocatable object that was built with -ffunction-sections and -fstack-size-section.

    Reads ELF by itself: a general library takes longer over the thousands of relocations than clang over the code.
    """
    data = path.read_bytes()
    if data[:6] != b"\x7fELF\x02\x01":
        raise ValueError(f"{path} is not a 64-bit little-endian ELF file")
    (header_at,) = struct.unpack_from("<Q", data, 40)
    size, count, _ = struct.unpack_from("<HHH", data, 58)
    sections = [_Section(*struct.unpack_from("<IIQQQQIIQQ", data, header_at + n * size)) for n in range(count)]
    tables = [s for s in sections if s.type == SHT_SYMTAB]
    if not tables:
        raise ValueError(f"{path} has no symbol table")
    symbols = list(struct.iter_unpack("<IBBHQQ", tables[0].data(data)))
    text = sections[tables[0].link].data(data)
    names = [text[s[0] : text.index(0, s[0])].decode() for s in symbols]
    by_section = {s[3]: names[n] for n, s in enumerate(symbols) if s[1] & 15 == STT_FUNC}
    found = {name: MachineFunction(-1, set()) for name in by_section.values()}
    for section in sections:
        if section.type != SHT_RELA:
            continue
        place, code = section.info, sections[section.info]
        relocations = struct.iter_unpack("<QQq", section.data(data))
        if place in by_section:
            own = by_section[place]
            for index in {info >> 32 for _, info, _ in relocations}:
                outside = symbols[index][3] == 0  # SHN_UNDEF
                name = names[index] if outside else by_section.get(symbols[index][3], "")
                if name and name != own and (name in found or outside):
                    found[own].callees.add(name)
        elif _is_stack_sizes(data, sections, code):
            sizes = code.data(data)
            for offset, info, _ in relocations:
                name = by_section.get(symbols[info >> 32][3], "")
                if name in found:
                    found[name].frame = _uleb(sizes, offset + 8)
    return found


@dataclass(frozen=True)
class _Section:
    """A section header (System V ABI, chapter 4)."""

    name: int
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entry_size: int

    def data(self, file: bytes) -> bytes:
        return file[self.offset : self.offset + self.size]


def _is_stack_sizes(data: bytes, sections: list[_Section], section: _Section) -> bool:
    (names,) = struct.unpack_from("<H", data, 62)
    start = sections[names].offset + section.name
    return data[start : start + 13] == b".stack_sizes\0"


def _uleb(data: bytes, position: int) -> int:
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
        position, shift = position + 1, shift + 7


def stack_use(functions: dict[str, MachineFunction], entry: str, arch: str) -> StackUse:
    """The deepest path from `entry`."""
    known: dict[str, tuple[int, tuple[tuple[str, int], ...], frozenset[str]]] = {}

    def depth(name: str, above: tuple[str, ...]) -> tuple[int, tuple[tuple[str, int], ...], frozenset[str]]:
        if name in known:
            return known[name]
        if name in above:
            raise ValueError(f"recursion in machine code: {' -> '.join((*above, name))}")
        function = functions[name]
        if function.frame < 0:
            raise ValueError(f"the frame of {name} is not known")
        best: tuple[int, tuple[tuple[str, int], ...]] = (0, ())
        outside: set[str] = set()
        for callee in sorted(function.callees):
            if callee not in functions:
                outside.add(callee)
                continue
            size, path, more = depth(callee, (*above, name))
            outside |= more
            if size > best[0] or not best[1]:
                best = (size, path)
        frame = function.frame + CALL_BYTES[arch]
        known[name] = (frame + best[0], ((name, frame), *best[1]), frozenset(outside))
        return known[name]

    size, path, outside = depth(entry, ())
    return StackUse(entry, size, path, tuple(sorted(outside)))


def report(made: "Object") -> list[StackUse]:
    """The stack use of every root and entry of a program, deepest first."""
    functions = machine_functions(made.path)
    wanted = [f for f in made.program.bodies if f.entry or f in made.program.roots]
    limits = {made.emitter.function_names[f]: f.stack for f in wanted}
    uses = (replace(stack_use(functions, name, made.arch), limit=limit) for name, limit in limits.items())
    return sorted(uses, key=lambda use: (-use.bytes, use.entry))


def check(made: "Object") -> None:
    """Refuses (K304) an entry whose worst case does not fit the stack that its declaration gives it."""
    limited = [f for f in made.program.bodies if f.stack is not None]
    if not limited:
        return
    functions = machine_functions(made.path)
    diagnostics = Diagnostics()
    for function in limited:
        use = stack_use(functions, made.emitter.function_names[function], made.arch)
        if use.bytes > (function.stack or 0):
            from kernel.lang.source import function_ast, span_of

            node = function_ast(function.file, function.line, function.name, diagnostics)
            detail = f"{use.bytes} bytes on {made.arch}, {function.name} has {function.stack}: "
            detail += " -> ".join(f"{name} ({frame})" for name, frame in use.path)
            diagnostics.add("K304", span_of(node, function.file, function.name), detail)
    diagnostics.check()
