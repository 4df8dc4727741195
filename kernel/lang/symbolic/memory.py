"""Memory: one Z3 array for every field of every struct type, indexed by the address of the struct.

So two places can be the same only when they are the same field of the same type; that objects of different types do not
overlap, and two of one type are equal or apart, is an assumption of all proofs (it is what kernel/proofs/retype.py
proves of the function that makes objects). Pointers to scalars that were made from addresses (page tables, memory that
is cleared) are in a region of their own for each scalar type. Module variables lie at fixed addresses.
"""

# Z3's own annotations are unions of everything that a call may give.
# pyright: reportArgumentType=false, reportReturnType=false, reportAttributeAccessIssue=false
# pyright: reportOperatorIssue=false, reportCallIssue=false

from collections.abc import Iterable
from typing import Any

import z3

from kernel.lang import types
from kernel.lang.symbolic.values import ADDRESS, Pointer, sort_of
from kernel.lang.types import ArrayType, EnumType, PtrType, StructType, Type

FIRST_VARIABLE = 0xFFFF_FFF0_0000_0000  # addresses that no object has


class Memory:
    """The state of memory at one moment; arrays come into being, unknown, when they are first used."""

    def __init__(self) -> None:
        self.arrays: dict[Any, Any] = {}
        self.names: dict[Any, str] = {}  # of regions that were forgotten

    def copy(self) -> "Memory":
        """This moment, kept."""
        kept = Memory()
        kept.arrays, kept.names = dict(self.arrays), dict(self.names)
        return kept

    def name(self, region: Any) -> str:
        """What the array of a region is called, as long as nothing was stored there."""
        return self.names.get(region, region_name(region))

    def array(self, region: Any, kind: Type) -> Any:
        """The array of a region."""
        if region not in self.arrays:
            self.arrays[region] = z3.Array(self.name(region), ADDRESS, sort_of(kind))
        return self.arrays[region]

    def same_as(self, other: "Memory", regions: Iterable[Any] | None = None) -> Any:
        """Whether nothing is different in another moment of the same path, in all regions or in some."""
        used = self.arrays.keys() | other.arrays.keys() | self.names.keys() | other.names.keys()
        equal = []
        for region in used if regions is None else used & set(regions):
            if region not in self.arrays and region not in other.arrays:
                equal.append(z3.BoolVal(self.name(region) == other.name(region)))
                continue
            sort = (self if region in self.arrays else other).arrays[region].sort()
            mine, theirs = (memory.arrays.get(region, z3.Const(memory.name(region), sort)) for memory in (self, other))
            equal.append(mine == theirs)
        return z3.simplify(z3.And(equal))

    def load(self, place: Pointer) -> Any:
        """A scalar; pointers come as Pointers."""
        raw = z3.simplify(z3.Select(self.array(place.region, place.target), place.index))
        if isinstance(place.target, PtrType):
            return pointer(raw, types.target_of(place.target))
        return raw

    def store(self, place: Pointer, value: Any) -> None:
        """Replaces a scalar."""
        if isinstance(value, Pointer):
            value = value.address
        old = self.array(place.region, place.target)
        self.arrays[place.region] = z3.Store(old, place.index, value)

    def havoc(self, region: Any, name: str) -> None:
        """Forgets what is in a region, also where nothing was read yet."""
        self.arrays.pop(region, None)
        self.names[region] = name


def region_name(region: Any) -> str:
    """For models and messages."""
    owner, name = region
    return f"{owner if isinstance(owner, str) else owner.name}.{name}"


def pointer(address: Any, target: Type) -> Pointer:
    """A pointer to something that the address alone tells."""
    if isinstance(target, StructType):
        return Pointer(address, target, None, address)
    scalar = target
    while isinstance(scalar, ArrayType):
        scalar = scalar.element
    return Pointer(address, target, ("raw", scalar.name), address)


def field(base: Pointer, name: str) -> Pointer:
    """The place of a field."""
    assert isinstance(base.target, StructType), base.target
    found = base.target.fields[name]
    address = z3.simplify(base.address + found.offset)
    if isinstance(found.type, StructType):
        return Pointer(address, found.type, None, address)
    scalar = not isinstance(found.type, ArrayType)
    return Pointer(address, found.type, (base.target, name), base.index if scalar else address)


def element(base: Pointer, kind: Type, index: Any) -> Pointer:
    """The place of an element of an array, or of what follows a pointer to an element."""
    offset = z3.simplify(base.address + index * kind.size)
    if isinstance(kind, StructType):
        return Pointer(offset, kind, None, offset)
    return Pointer(offset, kind, base.region, offset)


def allowed(kind: Type, value: Any) -> Any:
    """What is known of a scalar that memory holds: enums are members. None when nothing is."""
    if isinstance(kind, EnumType):
        members = sorted(kind.members.values())
        if members == list(range(len(members))):
            return z3.ULE(value, members[-1]) if len(members) < 1 << value.size() else None
        return z3.Or([value == member for member in members])
    return None
