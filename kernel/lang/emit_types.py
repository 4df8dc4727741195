"""C for types: names, definitions in the order C wants them, constants."""

import re
from functools import cache

from kernel.lang import types
from kernel.lang.types import (
    BOOL,
    ArrayType,
    BitsType,
    EnumType,
    FnPtrType,
    HandleType,
    IntType,
    PtrType,
    RegistersType,
    SpanType,
    StructType,
    Type,
    VoidType,
)

RESERVED = frozenset(
    "auto break case char const continue default do double else enum extern float for goto if inline int long register "
    "restrict return short signed sizeof static struct switch typedef union unsigned void volatile while bool true "
    "false asm typeof main u8 u16 u32 u64 usize i8 i16 i32 i64 w8 w16 w32 w64 Str PanicSite NULL unix linux "
    "kernel_panic memcpy memset memmove memcmp".split()
)
# Macros of the headers that runtime.h includes, and its own.
_MACRO = re.compile(r"(KP|KERNEL|SIZE|PTRDIFF|WCHAR|WINT|SIG_ATOMIC|U?INT\w*)_\w+|NDEBUG|offsetof|setjmp")
# Functions of runtime.h, and those that the emitter makes (see `Emitter.helper`).
_HELPER = re.compile(r"kp_\w*|(add|sub|mul|div|mod|shl|shr|min|max)_([uiw]\d+|usize)|exact_\w+_from_\w+")


def identifier(text: str) -> str:
    """A C identifier that reads like `text`."""
    return re.sub(r"\W+", "_", text).strip("_") or "_"


def local_name(name: str) -> str:
    """A local's C name. It hides nothing that its function may need: types begin with a capital (see `type_name`),
    functions and variables of modules have `__` in them, words of C are RESERVED."""
    plain = name.islower() and name[0] != "_" and "__" not in name
    if plain and name not in RESERVED and not _HELPER.fullmatch(name) and not _MACRO.fullmatch(name):
        return name
    return "local_" + re.sub("__+", "_", name)


def type_name(name: str) -> str:
    """The C name of a type that the source names."""
    name = identifier(name)
    return name if name[0].isupper() and not _MACRO.fullmatch(name) else f"T_{name}"


class TypeNames:
    """Gives every type a C name and collects the definitions it needs."""

    def __init__(self) -> None:
        self._names: dict[Type, str] = {}
        self._used: set[str] = set(RESERVED)
        self.claimed: set[str] = set()
        self.definitions: list[str] = []
        self._forward: list[str] = []
        self._queue: list[StructType] = []
        self._defined: set[Type] = set()

    def unique(self, wanted: str) -> str:
        """`wanted`, or with a number when that is taken."""
        name, number = wanted, 2
        while name in self._used:
            name, number = f"{wanted}_{number}", number + 1
        self._used.add(name)
        return name

    def claim(self, symbol: str) -> str:
        """A symbol that the source asks for by name."""
        if symbol in self._used and symbol not in RESERVED:
            raise ValueError(f"two functions want the symbol {symbol}")
        self._used.add(symbol)
        self.claimed.add(symbol)
        return symbol

    def name(self, kind: Type) -> str:
        """The C type; pointers may mention structs that are defined later."""
        if isinstance(kind, IntType):
            return kind.name
        if kind is BOOL:
            return "bool"
        if isinstance(kind, VoidType):
            return "void"
        if kind is types.STR:
            return "Str"
        if isinstance(kind, PtrType):
            target = types.target_of(kind)
            return "u64" if isinstance(target, RegistersType) else f"{self.name(target)} *"
        if kind not in self._names:
            self._introduce(kind)
        return self._names[kind]

    def _introduce(self, kind: Type) -> None:
        if isinstance(kind, StructType):
            if kind.name == "PanicSite" and kind.module == "kernel.lang.panics":
                self._names[kind] = "PanicSite"
                return
            self._names[kind] = name = self.unique(type_name(kind.name))
            self._forward.append(f"typedef struct {name} {name};")
            self._queue.append(kind)
        elif isinstance(kind, ArrayType):
            name = self._names[kind] = self.unique(identifier(f"Array_{self.name(kind.element)}_{kind.count}"))
            self._forward.append(f"typedef struct {name} {name};")
            self._queue.append(kind)  # type: ignore[arg-type]
        elif isinstance(kind, SpanType):
            element = self.name(kind.element)
            name = self._names[kind] = self.unique(identifier(f"{'Span' if kind.writable else 'View'}_{element}"))
            space = "" if element.endswith("*") else " "
            pointer = f"{element}{space}*" if kind.writable else f"{element} const *"
            self._forward.append(f"typedef struct {{ {pointer}data; u64 length; }} {name};")
            self._queue.append(kind)  # type: ignore[arg-type]
        elif isinstance(kind, (EnumType, HandleType, BitsType)):
            name = self._names[kind] = self.unique(type_name(kind.name))
            self._forward.append(f"typedef {kind.base.name} {name};")
        elif isinstance(kind, FnPtrType):
            name = self._names[kind] = self.unique(type_name(kind.name))
            self._forward.append(f"typedef u64 {name};")
        else:
            raise AssertionError(f"no C type for {kind.name}")

    def finish(self) -> list[str]:
        """All definitions: forward declarations first, then structs with their parts before them."""
        while self._queue:
            self._define(self._queue.pop(0))
        return self._forward + self.definitions

    def _define(self, kind: Type) -> None:
        if kind in self._defined or (isinstance(kind, StructType) and self.name(kind) == "PanicSite"):
            return
        self._defined.add(kind)
        if isinstance(kind, ArrayType):
            self.name(kind)
            self._define(kind.element)
            self.definitions.append(f"struct {self.name(kind)} {{ {self.declare(kind.element, 'e')}[{kind.count}]; }};")
        elif isinstance(kind, StructType):
            name = self.name(kind)
            lines = []
            for field in kind.fields.values():
                self._define(field.type)
                lines.append(f"    {self.declare(field.type, member(field.name))};")
            self.definitions.append(f"struct {name} {{\n" + "\n".join(lines) + "\n};")
            self.definitions.append(
                f"_Static_assert(sizeof({name}) == {kind.size} && _Alignof({name}) == {kind.align}, "
                f'"layout of {name}");'
            )

    def declare(self, kind: Type, name: str) -> str:
        """`type name` as C writes it."""
        text = self.name(kind)
        return f"{text}{'' if text.endswith('*') else ' '}{name}"


def member(name: str) -> str:
    """A struct member's C name; no two fields get the same."""
    taken = name in RESERVED or name.startswith(("_", "field_")) or _MACRO.fullmatch(name)
    return f"field_{name}" if taken else name


def number(value: int, kind: Type | None = None) -> str:
    """An integer constant whose C type cannot surprise."""
    if value == -(1 << 63):
        return "INT64_MIN"
    wide = isinstance(kind, IntType) and kind.signed and kind.width == 64
    if value < 0:
        return f"({value}{'ll' if wide or value < -(1 << 31) else ''})"
    text = hex(value) if value > 0xFFFF else str(value)
    if value > (1 << 63) - 1:
        return text + "ull"
    if isinstance(kind, IntType) and not kind.signed and kind.width >= 32:
        return text + ("u" if kind.width == 32 else "ull")
    return text + ("ll" if wide or value > 0x7FFFFFFF else "")


_C_BYTES = [chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in range(256)]


@cache
def c_string(data: bytes) -> str:
    """A C string literal of exactly these bytes (plus C's zero, which is never counted)."""
    return '"' + "".join([_C_BYTES[byte] for byte in data]) + '"'
