"""The worst stack depth of every entry point, from the machine code itself.

clang writes the frame size of every function into `.stack_sizes`; the relocations in a function's code name what it
calls. Kernel Python has no recursion and no indirect calls (function pointers are dispatched by a switch over their
known targets), so the call graph that the linker sees is the whole truth, helpers and memcpy included.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

from kernel.lang.errors import Diagnostics

if TYPE_CHECKING:
    from kernel.lang.build import Object

# Bytes that a call itself takes, which the callee's frame does not count: x86 pushes the return address.
CALL_BYTES = {"riscv64": 0, "x86_64": 8, "aarch64": 0}


@dataclass
class MachineFunction:
    """A function in object code: its frame in bytes, and the symbols that its code refers to."""

    frame: int
    callees: set[str]


@dataclass(frozen=True)
class StackUse:
    """The deepest path from one function: bytes, and the functions on it with their frames."""

    entry: str
    bytes: int
    path: tuple[tuple[str, int], ...]
    external: tuple[str, ...]

    def __str__(self) -> str:
        path = " -> ".join(f"{name} ({frame})" for name, frame in self.path)
        outside = f"; not counted: {', '.join(self.external)}" if self.external else ""
        return f"{self.entry}: {self.bytes} bytes of stack: {path}{outside}"


def machine_functions(path: Path) -> dict[str, MachineFunction]:
    """The functions of a relocatable object that was built with -ffunction-sections and -fstack-size-section."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        sections = list(elf.iter_sections())
        table = elf.get_section_by_name(".symtab")
        if not isinstance(table, SymbolTableSection):
            raise ValueError(f"{path} has no symbol table")
        symbols = list(table.iter_symbols())
        by_section: dict[int, str] = {}
        for symbol in symbols:
            if symbol["st_info"]["type"] == "STT_FUNC" and isinstance(symbol["st_shndx"], int):
                by_section[symbol["st_shndx"]] = symbol.name
        found = {name: MachineFunction(-1, set()) for name in by_section.values()}

        def named(index: int) -> str:
            symbol = symbols[index]
            section = symbol["st_shndx"]
            return by_section.get(section, "") if isinstance(section, int) else symbol.name

        for section in sections:
            if not isinstance(section, RelocationSection):
                continue
            place = section["sh_info"]
            target = sections[place]
            if target.name == ".stack_sizes":
                data = target.data()
                for relocation in section.iter_relocations():
                    name = named(relocation["r_info_sym"])
                    if name in found:
                        found[name].frame = _uleb(data, relocation["r_offset"] + 8)
            elif place in by_section:
                caller = found[by_section[place]]
                for relocation in section.iter_relocations():
                    name = named(relocation["r_info_sym"])
                    kind = symbols[relocation["r_info_sym"]]
                    outside = kind["st_shndx"] == "SHN_UNDEF"
                    if name and name != by_section[place] and (name in found or outside):
                        caller.callees.add(name)
        return found


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
    names = {made.emitter.function_names[f] for f in wanted}
    return sorted((stack_use(functions, n, made.arch) for n in names), key=lambda u: (-u.bytes, u.entry))


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
