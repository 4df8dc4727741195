"""Kernel memory seen from Python: loads and stores of typed values at addresses, and objects that own memory.

`host(T, value)` makes an object of any type in memory of its own; `Point(x=1)` does the same for structs. Reading an
attribute or element loads, assigning stores (checked against the type). Structs and arrays inside come as views.
"""

import ctypes
import enum
from collections.abc import Iterator, Mapping
from typing import Any

from kernel.lang import types
from kernel.lang.declare import Function, Variable
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
)

_functions: dict[int, Function] = {}
_devices: dict[int, Any] = {}
_device_addresses: dict[int, int] = {}
DEVICE_WINDOW = 1 << 32
_FIRST_DEVICE = 1 << 60


def allocate(size: int, align: int = 16) -> tuple[Any, int]:
    """Zeroed memory: (owner, address)."""
    owner = ctypes.create_string_buffer(max(size, 1) + align - 1)
    return owner, (ctypes.addressof(owner) + align - 1) & -align


class Memory:
    """An object of kernel type `type` at `address`; `owner` keeps the memory alive."""

    __slots__ = ("type", "address", "owner", "extra")

    def __init__(self, kind: Type, address: int, owner: Any):
        self.type = kind
        self.address = address
        self.owner = owner
        self.extra: list[Any] = []


VIEW_NAMES = Memory.__slots__
"""What every view has: no field of a struct may be called so."""


class Cell(Memory):
    """Memory of one scalar: `.value`."""

    __slots__ = ()

    @property
    def value(self) -> Any:
        """The value."""
        return load(self.type, self.address, self)

    @value.setter
    def value(self, value: Any) -> None:
        store(self.type, self.address, value, self)

    def __repr__(self) -> str:
        return f"{self.type.name}({self.value!r})"


class StructView(Memory):
    """A struct; its fields are attributes."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        fields = self.type.fields  # type: ignore[attr-defined]
        if name not in fields:
            raise AttributeError(f"{self.type.name} has no field {name}: it has {', '.join(fields)}")
        return load(fields[name].type, self.address + fields[name].offset, self)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in Memory.__slots__:
            object.__setattr__(self, name, value)
            return
        fields = self.type.fields  # type: ignore[attr-defined]
        if name not in fields:
            raise AttributeError(f"{self.type.name} has no field {name}: it has {', '.join(fields)}")
        store(fields[name].type, self.address + fields[name].offset, value, self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StructView) and self.type is other.type and to_python(self) == to_python(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        fields = self.type.fields  # type: ignore[attr-defined]
        return f"{self.type.name}({', '.join(f'{n}={getattr(self, n)!r}' for n in fields)})"


class ArrayView(Memory):
    """An array; indexed and iterated like a list of fixed length."""

    __slots__ = ("count", "element")

    def __init__(self, element: Type, count: int, address: int, owner: Any):
        super().__init__(types.Array[element, count] if count else element, address, owner)
        self.element = element
        self.count = count

    def __len__(self) -> int:
        return self.count

    def _address(self, index: int) -> int:
        if not 0 <= index < self.count:
            raise IndexError(f"index {index} of {self.count} elements")
        return self.address + index * self.element.size

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self.count))]
        return load(self.element, self._address(index), self)

    def __setitem__(self, index: int | slice, value: Any) -> None:
        if isinstance(index, slice):
            places = range(*index.indices(self.count))
            if len(places) != len(value):
                raise ValueError(f"{len(value)} values for {len(places)} elements")
            for place, item in zip(places, value, strict=True):
                self[place] = item
            return
        store(self.element, self._address(index), value, self)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(self.count))

    def __bytes__(self) -> bytes:
        return ctypes.string_at(self.address, self.element.size * self.count)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (ArrayView, list, tuple)) and to_python(self) == [to_python(v) for v in other]

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"[{', '.join(repr(v) for v in self)}]"


_storage: dict[Variable, Memory] = {}  # the host-native memory of module variables


def view(kind: Type, address: int, owner: Any) -> Any:
    """The Python object for memory of this type."""
    if isinstance(kind, StructType):
        return StructView(kind, address, owner)
    if isinstance(kind, ArrayType):
        return ArrayView(kind.element, kind.count, address, owner)
    return Cell(kind, address, owner)


def host(kind: Any, value: Any = None) -> Any:
    """An object of any kernel type in memory of its own; `value` as for a field, None for zero."""
    made = types.as_type(kind)
    owner, address = allocate(made.size)
    result = view(made, address, owner)
    if value is not None:
        store(made, address, value, result)
    elif not made.has_zero:
        raise ValueError(f"{made.name} has no zero value: give one")
    return result


def new(kind: StructType, values: Mapping[str, Any]) -> Any:
    """A struct with these fields; the rest is zero."""
    for name, field in kind.fields.items():
        if name not in values and not field.type.has_zero:
            raise ValueError(f"{kind.name}.{name} is {field.type.name}, which has no zero value: give one")
    owner, address = allocate(kind.size)
    result = StructView(kind, address, owner)
    for name, value in values.items():
        setattr(result, name, value)
    return result


def to_python(value: Any) -> Any:
    """Views as plain dicts and lists, for comparison and printing."""
    if isinstance(value, StructView):
        return {n: to_python(getattr(value, n)) for n in value.type.fields}  # type: ignore[attr-defined]
    if isinstance(value, ArrayView):
        return [to_python(v) for v in value]
    return value


def _raw_load(address: int, size: int) -> int:
    return int.from_bytes(ctypes.string_at(address, size), "little")


def _raw_store(address: int, size: int, value: int) -> None:
    ctypes.memmove(address, (value & (1 << 8 * size) - 1).to_bytes(size, "little"), size)


def load(kind: Type, address: int, owner: Any) -> Any:
    """The value at an address: a Python value for scalars, a view for structs and arrays and what pointers point at."""
    if kind.aggregate:
        return view(kind, address, owner)
    if isinstance(kind, SpanType):
        return span_value(kind, _raw_load(address, 8), _raw_load(address + 8, 8), owner)
    return from_raw(kind, _raw_load(address, kind.size), owner)


def from_raw(kind: Type, raw: int, owner: Any = None) -> Any:
    """A scalar's Python value, from its bits."""
    if isinstance(kind, IntType):
        return kind.wrap(raw)
    if kind is BOOL:
        return bool(raw)
    if isinstance(kind, EnumType):
        try:
            return kind.python(raw)
        except ValueError:
            return raw
    if isinstance(kind, PtrType):
        target = types.target_of(kind)
        if raw == 0:
            return None
        return _devices.get(raw, raw) if isinstance(target, RegistersType) else view(target, raw, owner)
    if isinstance(kind, FnPtrType):
        return _functions.get(raw, raw)
    return raw


def span_value(kind: SpanType, address: int, length: int, owner: Any) -> Any:
    """A span as str (Str) or as a view of its elements."""
    if kind is types.STR:
        return ctypes.string_at(address, length).decode(errors="replace") if length else ""
    return ArrayView(kind.element, length, address, owner)


def store(kind: Type, address: int, value: Any, owner: Any) -> None:
    """Checks a Python value and stores it."""
    if isinstance(kind, StructType):
        if isinstance(value, StructView) and value.type is kind:
            ctypes.memmove(address, value.address, kind.size)
            return
        if not isinstance(value, Mapping):
            raise TypeError(f"{value!r} is not a {kind.name} or a dict of its fields")
        for name, item in value.items():
            store(kind.fields[name].type, address + kind.fields[name].offset, item, owner)
    elif isinstance(kind, ArrayType):
        items = list(value)
        if len(items) != kind.count:
            raise ValueError(f"{len(items)} values for {kind.name}")
        for index, item in enumerate(items):
            store(kind.element, address + index * kind.element.size, item, owner)
    elif isinstance(kind, SpanType):
        start, length, keep = span_raw(kind, value)
        _raw_store(address, 8, start)
        _raw_store(address + 8, 8, length)
        _keep(owner, keep)
    else:
        raw, keep = to_raw(kind, value)
        _raw_store(address, kind.size, raw)
        _keep(owner, keep)


def _keep(owner: Any, thing: Any) -> None:
    """Memory that a stored pointer refers to must live as long as the memory that holds the pointer."""
    while isinstance(owner, Memory) and isinstance(owner.owner, Memory):
        owner = owner.owner
    if thing is not None and isinstance(owner, Memory):
        owner.extra.append(thing)


def to_raw(kind: Type, value: Any) -> tuple[int, Any]:
    """A scalar's bits from its Python value, and what must stay alive with it; raises TypeError or ValueError."""
    if isinstance(kind, IntType):
        if isinstance(value, (bool, enum.Enum)) or not isinstance(value, int):
            raise TypeError(f"{value!r} is not an int, {kind.name} is wanted")
        return kind(value), None
    if kind is BOOL:
        if not isinstance(value, bool):
            raise TypeError(f"{value!r} is not a bool")
        return int(value), None
    if isinstance(kind, EnumType):
        if not isinstance(value, kind.python):
            raise TypeError(f"{value!r} is not a member of {kind.name}")
        return int(value.value), None
    if isinstance(kind, (HandleType, BitsType)):
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{value!r} is not an int, {kind.name} is wanted")
        return kind.base(value), None
    if isinstance(kind, FnPtrType):
        from kernel.lang.emit_c import pointer_value

        if not isinstance(value, Function):
            raise TypeError(f"{value!r} is not a kernel function")
        _functions[pointer_value(value)] = value
        return pointer_value(value), None
    if isinstance(kind, PtrType):
        return _pointer_raw(kind, value)
    raise TypeError(f"a {kind.name} cannot be given from Python")


def _pointer_raw(kind: PtrType, value: Any) -> tuple[int, Any]:
    target = types.target_of(kind)
    if value is None:
        if not kind.nullable:
            raise TypeError(f"None is not a {kind.name}")
        return 0, None
    if isinstance(target, RegistersType):
        return device_address(value), value
    if isinstance(value, Variable) and value.type is target:
        return variable_address(value), None
    if isinstance(value, Memory) and value.type is target:
        return value.address, value
    if isinstance(value, bytearray) and isinstance(target, ArrayType) and target.element.size == 1:
        if len(value) != target.count:
            raise ValueError(f"{len(value)} bytes for {target.name}")
        buffer = (ctypes.c_char * len(value)).from_buffer(value)
        return ctypes.addressof(buffer), buffer
    raise TypeError(f"{value!r} is not memory of type {target.name}: make it with host({target.name}, ...)")


def span_raw(kind: SpanType, value: Any) -> tuple[int, int, Any]:
    """(address, length, what must stay alive) for a span parameter."""
    if isinstance(value, str) and not kind.writable and kind.element is types.u8:
        value = value.encode()
    if isinstance(value, bytes) and not kind.writable and kind.element.size == 1:
        buffer = ctypes.create_string_buffer(value, max(len(value), 1))
        return ctypes.addressof(buffer), len(value), buffer
    if isinstance(value, bytearray) and kind.element.size == 1:
        buffer = (ctypes.c_char * len(value)).from_buffer(value)
        return ctypes.addressof(buffer), len(value), buffer
    if isinstance(value, ArrayView) and value.element is kind.element:
        return value.address, value.count, value
    raise TypeError(f"{value!r} is not {kind.name}: give host(Array[{kind.element.name}, N], ...)")


# Variables of modules and devices


def variable_address(variable: Variable) -> int:
    """The host-native memory of a variable, set to its initial value on first use."""
    if variable not in _storage:
        owner, address = allocate(variable.type.size, variable.align or 16)
        _storage[variable] = memory = view(variable.type, address, owner)
        if variable.initial is not None:
            store(variable.type, address, variable.initial, memory)
    return _storage[variable].address


def load_variable(variable: Variable) -> Any:
    """`variable.value`."""
    address = variable_address(variable)
    return load(variable.type, address, _storage[variable])


def store_variable(variable: Variable, value: Any) -> None:
    """`variable.value = value`."""
    if variable.constant:
        raise TypeError(f"{variable.name} is a constant")
    address = variable_address(variable)
    store(variable.type, address, value, _storage[variable])


def device_address(device: Any) -> int:
    """The address that stands for a Python object with read(offset, width) and write(offset, width, value)."""
    if id(device) not in _device_addresses:
        if not (hasattr(device, "read") and hasattr(device, "write")):
            raise TypeError(f"{device!r} needs read(offset, width) and write(offset, width, value)")
        address = _FIRST_DEVICE + len(_devices) * DEVICE_WINDOW
        _devices[address] = device  # Kept for good, so that its id stays its own.
        _device_addresses[id(device)] = address
    return _device_addresses[id(device)]


def device_at(address: int) -> tuple[Any, int]:
    """The device behind an address and the offset in it."""
    base = address & ~(DEVICE_WINDOW - 1)
    if base not in _devices:
        raise LookupError(f"no device at {address:#x}: pass a Python object for the register block")
    return _devices[base], address - base
