"""The types of Kernel Python.

A type is an ordinary immutable Python object, so that generics are plain Python: `Ptr[T]`, `Array[T, N]`. Types that
are written with brackets are interned: `Ptr[u8] is Ptr[u8]`, so types compare with `is` and `==` alike. Structs, bit
fields, enums and handles are nominal: two of them never mix, whatever they hold.

All targets are 64-bit: `usize` is 64 bits wide everywhere, but a type of its own.
"""

import enum as python_enum
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Never, NoReturn

POINTER_BYTES = 8


class Type:
    """Base of all types.

    Members
    -------
    name : str
        As written in source and shown in errors.
    size, align : int
        In bytes, as C lays it out on all our targets.
    """

    name: str

    @property
    def size(self) -> int:
        """Size in bytes."""
        raise NotImplementedError(self.name)

    @property
    def align(self) -> int:
        """Alignment in bytes."""
        return self.size

    @property
    def has_zero(self) -> bool:
        """Whether all-zero memory is a valid value."""
        return True

    @property
    def aggregate(self) -> bool:
        """Whether it lives in memory only: never copied by `=`."""
        return False

    def __repr__(self) -> str:
        return self.name

    def __or__(self, other: object) -> "Type":
        if other is None and isinstance(self, PtrType):
            return self.optional()
        if other is None:
            raise TypeError(f"{self.name} | None: only a Ptr may be None")
        return NotImplemented


class VoidType(Type):
    """The result of a function that returns nothing (`-> None`), or never returns (`-> Never`)."""

    def __init__(self, name: str):
        self.name = name


class BoolType(Type):
    """True or False, one byte; written `bool`."""

    name = "bool"
    size = 1  # type: ignore[assignment]


class LiteralType(Type):
    """The type of a Python int before it meets a typed operand; it takes the type of its context."""

    name = "constant int"


@dataclass(frozen=True, eq=False, repr=False)
class IntType(Type):
    """An integer: unsigned, signed, or wrapping (arithmetic modulo 2^width, unsigned).

    Calling the type from ordinary Python checks the range and gives back a Python int.
    """

    name: str
    width: int
    signed: bool = False
    wrapping: bool = False

    @property
    def size(self) -> int:
        return self.width // 8

    @property
    def minimum(self) -> int:
        """Least value."""
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def maximum(self) -> int:
        """Greatest value."""
        return (1 << (self.width - 1)) - 1 if self.signed else (1 << self.width) - 1

    def holds(self, value: int) -> bool:
        """Whether `value` is in range."""
        return self.minimum <= value <= self.maximum

    def wrap(self, value: int) -> int:
        """The low bits of `value`, read as this type."""
        value &= (1 << self.width) - 1
        return value - (1 << self.width) if self.signed and value >> (self.width - 1) else value

    def widens_to(self, other: "IntType") -> bool:
        """Whether every value of this type is a value of `other`."""
        return other.minimum <= self.minimum and self.maximum <= other.maximum

    def __call__(self, value: int) -> int:
        if not isinstance(value, int) or not self.holds(value):
            raise ValueError(f"{value!r} is not a {self.name} ({self.minimum}..{self.maximum})")
        return int(value)


u8, u16, u32, u64 = (IntType(f"u{n}", n) for n in (8, 16, 32, 64))
i8, i16, i32, i64 = (IntType(f"i{n}", n, signed=True) for n in (8, 16, 32, 64))
w8, w16, w32, w64 = (IntType(f"w{n}", n, wrapping=True) for n in (8, 16, 32, 64))
usize = IntType("usize", 64)
BOOL, VOID, NEVER, LITERAL = BoolType(), VoidType("None"), VoidType("Never"), LiteralType()
INTEGERS = (u8, u16, u32, u64, usize, i8, i16, i32, i64, w8, w16, w32, w64)


def storage_for(width: int) -> IntType:
    """The smallest unsigned type of at least `width` bits."""
    for candidate in (u8, u16, u32, u64):
        if width <= candidate.width:
            return candidate
    raise ValueError(f"a field of {width} bits does not fit 64")


class PtrType(Type):
    """A pointer to one T, never null; `Ptr[T] | None` may be. The target may be the name of a struct declared later."""

    def __init__(self, target: "Type | str", nullable: bool = False):
        self.target = target
        self.nullable = nullable

    @property
    def name(self) -> str:  # type: ignore[override]
        target = self.target if isinstance(self.target, str) else self.target.name
        return f"Ptr[{target}]" + (" | None" if self.nullable else "")

    @property
    def size(self) -> int:
        return POINTER_BYTES

    @property
    def has_zero(self) -> bool:
        return self.nullable

    def optional(self) -> "PtrType":
        """The same pointer, or None."""
        return _intern(PtrType, self.target, True)

    def required(self) -> "PtrType":
        """The same pointer, never None."""
        return _intern(PtrType, self.target, False)


class ArrayType(Type):
    """`count` elements in a row, inline."""

    def __init__(self, element: Type, count: int):
        self.element = element
        self.count = count

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"Array[{self.element.name}, {self.count}]"

    @property
    def size(self) -> int:
        return self.element.size * self.count

    @property
    def align(self) -> int:
        return self.element.align

    @property
    def has_zero(self) -> bool:
        return self.element.has_zero

    @property
    def aggregate(self) -> bool:
        return True


class SpanType(Type):
    """A pointer and a length, every index checked: `Span[T]` is writable, `View[T]` is read-only, `Str` is text."""

    def __init__(self, element: Type, writable: bool):
        self.element = element
        self.writable = writable

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"{'Span' if self.writable else 'View'}[{self.element.name}]"

    size = 16  # type: ignore[assignment]
    align = 8  # type: ignore[assignment]


class StrType(SpanType):
    """UTF-8 text that was a literal or a captured `str`; indexes to u8."""

    def __init__(self) -> None:
        super().__init__(u8, writable=False)

    name = "Str"  # type: ignore[assignment]


STR = StrType()


@dataclass(frozen=True)
class Field:
    """A member of a struct: its type and its offset in bytes."""

    name: str
    type: Type
    offset: int


class StructType(Type):
    """A struct with C's layout. Calling it from ordinary Python makes an object that kernel functions can point at."""

    def __init__(self, cls: type, resolve: Callable[[object], Type], file: str = "", line: int = 0):
        self.name = cls.__name__
        self.module = cls.__module__
        self.file = file
        self.line = line
        self.doc = cls.__doc__
        self._annotations = dict(cls.__dict__.get("__annotations__", {}))
        self._resolve = resolve
        self._fields: dict[str, Field] | None = None
        self._size = self._align = 0
        self.host_class: Any = None

    @property
    def fields(self) -> dict[str, Field]:
        """Fields by name, in order; resolved on first use so that structs may point at each other."""
        if self._fields is None:
            fields, offset, align = {}, 0, 1
            for name, annotation in self._annotations.items():
                kind = self._resolve(annotation)
                if not is_storable(kind):
                    raise TypeError(f"{self.name}.{name}: {annotation!r} is not a type that memory can hold")
                offset = -(-offset // kind.align) * kind.align
                fields[name] = Field(name, kind, offset)
                offset += kind.size
                align = max(align, kind.align)
            self._fields, self._size, self._align = fields, -(-offset // align) * align, align
        return self._fields

    @property
    def size(self) -> int:
        _ = self.fields
        return self._size

    @property
    def align(self) -> int:
        _ = self.fields
        return self._align

    @property
    def has_zero(self) -> bool:
        return all(field.type.has_zero for field in self.fields.values())

    @property
    def aggregate(self) -> bool:
        return True

    def __call__(self, /, **values: object) -> Any:
        from kernel.lang import layout

        return layout.new(self, values)


class EnumType(Type):
    """An enumeration stored in `base`; `width` is the number of bits in a bit field. `python` is the Python Enum."""

    def __init__(self, python: type[python_enum.Enum], width: int):
        self.name = python.__name__
        self.module = python.__module__
        self.python = python
        self.width = width
        self.base = storage_for(width)
        self.members: dict[str, int] = {name: int(member.value) for name, member in python.__members__.items()}
        for name, value in self.members.items():
            if not 0 <= value < 1 << width:
                raise ValueError(f"{self.name}.{name} = {value} does not fit {width} bits")

    @property
    def size(self) -> int:
        return self.base.size

    @property
    def has_zero(self) -> bool:
        return 0 in self.members.values()


class HandleType(Type):
    """A number with a name of its own: no arithmetic, and no mixing with other handles or integers."""

    def __init__(self, name: str, base: IntType):
        self.name = name
        self.base = base

    @property
    def size(self) -> int:
        return self.base.size

    def __call__(self, value: int) -> int:
        return self.base(value)


@dataclass(frozen=True)
class BitField:
    """Some bits of a bit-field struct: the type a read gives, lowest bit, number of bits."""

    name: str
    type: Type
    lsb: int
    width: int


class BitsType(Type):
    """A bit-field struct: named bits of one unsigned integer, declared from bit 0 up. A value, copied by `=`."""

    def __init__(self, name: str, base: IntType, fields: dict[str, BitField]):
        self.name = name
        self.base = base
        self.fields = fields

    @property
    def size(self) -> int:
        return self.base.size

    @property
    def has_zero(self) -> bool:
        return all(f.type.has_zero for f in self.fields.values())

    def __call__(self, raw: int = 0, /, **values: int) -> int:
        """The integer with these field values; checked, for use from ordinary Python."""
        raw = self.base(raw)
        for name, value in values.items():
            field = self.fields[name]
            if not 0 <= int(value) < 1 << field.width:
                raise ValueError(f"{self.name}.{name} = {value!r} does not fit {field.width} bits")
            raw = raw & ~(((1 << field.width) - 1) << field.lsb) | int(value) << field.lsb
        return raw


class FnPtrType(Type):
    """A function pointer. Its targets are the functions that the program stores as this type: a closed, known set."""

    def __init__(self, name: str, parameters: tuple[Type, ...], result: Type):
        self.name = name
        self.parameters = parameters
        self.result = result

    size = POINTER_BYTES  # type: ignore[assignment]
    has_zero = False  # type: ignore[assignment]


class RegistersType(Type):
    """A block of memory-mapped registers; only ever behind a Ptr. `registers` maps names to register descriptions."""

    def __init__(self, name: str, registers: dict[str, Any]):
        self.name = name
        self.registers = registers

    size = 0  # type: ignore[assignment]
    align = 1  # type: ignore[assignment]


_interned: dict[tuple[object, ...], Any] = {}


def _intern(kind: type, *arguments: Any) -> Any:
    """One object for each (kind, arguments)."""
    key = (kind, *(id(a) if isinstance(a, Type) else a for a in arguments))
    if key not in _interned:
        _interned[key] = kind(*arguments)
    return _interned[key]


class Brackets:
    """Makes `Name[...]` build a type."""

    def __init__(self, name: str, make: Callable[..., Type]):
        self.name = name
        self.make = make

    def __getitem__(self, arguments: Any) -> Any:
        return self.make(*arguments) if isinstance(arguments, tuple) else self.make(arguments)

    def __repr__(self) -> str:
        return self.name


def _pointer(target: object) -> Type:
    return _intern(PtrType, target if isinstance(target, str) else as_type(target, pointee=True), False)


def _array(element: object, count: object) -> Type:
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise TypeError(f"Array[{element!r}, {count!r}]: the length must be an int of 1 or more")
    kind = as_type(element)
    if not is_storable(kind):
        raise TypeError(f"Array[{element!r}, {count}]: {element!r} is not a type that memory can hold")
    return _intern(ArrayType, kind, count)


@dataclass(frozen=True)
class BitsOf:
    """`Bits[n]` or `Bits[n, T]` in a bit-field struct: n bits, read as T."""

    width: int
    type: Type


def _bits(width: int, kind: object = None) -> Any:
    if not isinstance(width, int) or not 1 <= width <= 64:
        raise TypeError(f"Bits[{width!r}]: the width must be 1..64")
    return BitsOf(width, storage_for(width) if kind is None else as_type(kind))


Ptr: Any = Brackets("Ptr", _pointer)
Array: Any = Brackets("Array", _array)
Span: Any = Brackets("Span", lambda element: _intern(SpanType, as_type(element), True))
View: Any = Brackets("View", lambda element: _intern(SpanType, as_type(element), False))
Bits: Any = Brackets("Bits", _bits)
Str: Any = STR


def is_storable(kind: Type) -> bool:
    """Whether a field, element or variable may have this type."""
    return not isinstance(kind, (VoidType, LiteralType, RegistersType))


_converters: list[Callable[[object], Type | None]] = []


def type_converter(convert: Callable[[object], Type | None]) -> Callable[[object], Type | None]:
    """Registers a function that recognises foreign type objects (register blocks, Amaranth enums) in annotations."""
    _converters.append(convert)
    return convert


def as_type(value: object, pointee: bool = False) -> Type:
    """The kernel type that an annotation means, or TypeError. Register blocks are allowed only as `pointee`."""
    if value is bool:
        return BOOL
    if value is None or value is type(None):
        return VOID
    if value in (Never, NoReturn):
        return NEVER
    found = value if isinstance(value, Type) else getattr(value, "__kernel_type__", None)
    for convert in _converters:
        found = found or convert(value)
    if isinstance(found, RegistersType) and not pointee:
        raise TypeError(f"{found.name} is a register block: use Ptr[{found.name}]")
    if not isinstance(found, Type) or isinstance(found, LiteralType):
        raise TypeError(f"{value!r} is not a kernel type")
    return found


def target_of(pointer: PtrType) -> Type:
    """What the pointer points at; its name must have been resolved."""
    assert isinstance(pointer.target, Type), f"{pointer.name} was not resolved"
    return pointer.target


def resolve(annotation: object, names: Mapping[str, Any]) -> Type:
    """The type of an annotation whose strings name things in `names`."""
    if isinstance(annotation, str):
        annotation = eval(annotation, {}, dict(names))  # noqa: S307 - the programmer's own source
    kind = as_type(annotation)
    if isinstance(kind, PtrType) and isinstance(kind.target, str):
        if kind.target not in names:
            raise TypeError(f"{kind.name}: {kind.target} is not defined")
        resolved: PtrType = _pointer(names[kind.target])  # type: ignore[assignment]
        return resolved.optional() if kind.nullable else resolved
    if isinstance(kind, ArrayType):
        return _array(resolve(kind.element, names), kind.count)
    if isinstance(kind, SpanType) and not isinstance(kind, StrType):
        return _intern(SpanType, resolve(kind.element, names), kind.writable)
    return kind


def walk(kind: Type) -> Iterator[Type]:
    """The type and the types stored inside it, innermost first: the order in which C must define them."""
    if isinstance(kind, ArrayType):
        yield from walk(kind.element)
    elif isinstance(kind, StructType):
        for field in kind.fields.values():
            yield from walk(field.type)
    yield kind
