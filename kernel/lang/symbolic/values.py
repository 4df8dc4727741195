"""What a value is while the tree runs symbolically.

| type | value |
|---|---|
| integers, enums, handles, bit fields | a Z3 bit-vector of the type's width |
| bool | a Z3 Bool |
| pointer into memory | Pointer: a 64-bit address, and what it points at; NULL is address 0 |
| pointer to a local or to a constant | Cell: container and key, as in evaluate.py |
| struct or array | a dict or list (local), or the Pointer to it (in memory) |
| Span, View, Str | Slice |
| function pointer | the Function |
"""

# Z3's own annotations are unions of everything that a call may give.
# pyright: reportArgumentType=false, reportReturnType=false, reportAttributeAccessIssue=false
# pyright: reportOperatorIssue=false, reportCallIssue=false

from dataclasses import dataclass
from typing import Any

import z3

from kernel.lang import types
from kernel.lang.types import ArrayType, BitsType, EnumType, HandleType, IntType, StructType, Type

ADDRESS = z3.BitVecSort(64)


@dataclass(frozen=True)
class Pointer:
    """A place in memory: its address, the type there, and the region of memory it belongs to (see memory.py).

    `index` is what the region's array is indexed by: the address of the struct around a scalar field, else the address.
    """

    address: Any
    target: Type
    region: Any = None
    index: Any = None


@dataclass(eq=False)
class Cell:
    """A place in a local or in a constant."""

    container: Any
    key: Any

    def same(self, other: "Cell") -> bool:
        """Whether both are one place."""
        return self.container is other.container and self.key == other.key


@dataclass
class Slice:
    """A Span, View or Str: where its elements are (a list, or the Pointer to the first), and how many there are."""

    items: Any
    start: Any
    length: Any
    element: Type


NULL = Pointer(z3.BitVecVal(0, 64), types.VOID)


def width_of(kind: Type) -> int:
    """Bits of a scalar that is a bit-vector."""
    if isinstance(kind, IntType):
        return kind.width
    if isinstance(kind, (EnumType, HandleType, BitsType)):
        return kind.base.width
    raise TypeError(f"{kind.name} is no bit-vector")


def constant(kind: Type, value: Any) -> Any:
    """A known scalar of a type."""
    if kind is types.BOOL:
        return z3.BoolVal(bool(value))
    if value is None:
        return NULL
    return z3.BitVecVal(int(value), width_of(kind))


def sort_of(kind: Type) -> Any:
    """The Z3 sort of a scalar in memory."""
    if kind is types.BOOL:
        return z3.BoolSort()
    return ADDRESS if isinstance(kind, types.PtrType) else z3.BitVecSort(width_of(kind))


def zero_value(kind: Type) -> Any:
    """The all-zero value of a type."""
    if isinstance(kind, StructType):
        return {name: zero_value(field.type) for name, field in kind.fields.items()}
    if isinstance(kind, ArrayType):
        return [zero_value(kind.element) for _ in range(kind.count)]
    if isinstance(kind, (types.PtrType, types.FnPtrType)):
        return NULL
    return constant(kind, 0)


def resize(value: Any, width: int, signed: bool) -> Any:
    """The value with another number of bits: its low ones, or extended."""
    if value.size() >= width:
        return z3.Extract(width - 1, 0, value) if value.size() > width else value
    extra = width - value.size()
    return z3.SignExt(extra, value) if signed else z3.ZeroExt(extra, value)
