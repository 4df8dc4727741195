"""What kernel source is written with: @fn, @struct, @bitfield, @enum, handles, function pointers, variables, constants.

All of it runs at import time as ordinary Python and only records what was said. The frontend reads a function's body
when it is first needed: by a call from Python (which runs the host-native build) or by an image build.
"""

import enum as python_enum
import importlib
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, overload

from kernel.lang import types
from kernel.lang.errors import ROOT
from kernel.lang.types import BitField, BitsOf, BitsType, EnumType, FnPtrType, HandleType, IntType, StructType, Type

_C = TypeVar("_C")

functions_by_module: dict[str, list["Function"]] = {}


class Function:
    """A kernel function. Calling it from ordinary Python runs its host-native build.

    Parameters
    ----------
    python : function
        The decorated function; never executed, only its source and its captured values are read.
    symbol : str or None
        The symbol in object code, where something outside of the program calls it; else a name is made.
    section : str or None
        The linker section, e.g. ".text.boot".
    entry : bool
        Called from outside (boot code, vectors): a root for the stack computation.
    stack : int or None
        Bytes of stack an entry may use; the build refuses more.
    inline : bool
        Its code stands where it is called, however large it is: for the few paths where each cycle counts.
    """

    def __init__(
        self,
        python: Callable[..., Any],
        *,
        symbol: str | None = None,
        section: str | None = None,
        entry: bool = False,
        stack: int | None = None,
        inline: bool = False,
    ):
        if symbol is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", symbol):
            raise ValueError(f"symbol must be a C identifier, not {symbol!r}")
        if stack is not None and stack < 1:
            raise ValueError(f"stack must be a positive number of bytes, not {stack!r}")
        self.python = python
        self.name = python.__name__
        self.module = python.__module__
        self.qualname = python.__qualname__
        self.file = python.__code__.co_filename
        self.line = python.__code__.co_firstlineno
        self.symbol = symbol
        self.section = section
        self.entry = entry or stack is not None
        self.stack = stack
        self.inline = inline
        self.__doc__ = python.__doc__
        self.__name__ = self.name
        self.__wrapped__ = python
        self._native: Callable[..., Any] | None = None

    @property
    def local(self) -> bool:
        """Made inside a Python function: a generic's instance or a test's local function."""
        return "<locals>" in self.qualname

    @property
    def identity(self) -> str:
        """Tells this function from all others, in the same way on every run."""
        return ":".join([self.module, self.qualname, str(self.line), *closure_names(self)])

    def captured(self) -> dict[str, Any]:
        """The names that the body can see, with their Python values."""
        code, closure = self.python.__code__, self.python.__closure__ or ()
        names: dict[str, Any] = dict(self.python.__globals__)
        for name, cell in zip(code.co_freevars, closure, strict=True):
            try:
                names[name] = cell.cell_contents
            except ValueError:
                names.pop(name, None)
        return names

    def __call__(self, *arguments: Any) -> Any:
        if self._native is None:
            from kernel.lang import native

            self._native = native.bind(self)
        return self._native(*arguments)

    def __repr__(self) -> str:
        return f"<kernel function {self.module}.{self.qualname}>"


@overload
def fn(python: Callable[..., Any], /) -> Function: ...
@overload
def fn(
    *,
    symbol: str | None = None,
    section: str | None = None,
    entry: bool = False,
    stack: int | None = None,
    inline: bool = False,
) -> Callable[[Callable[..., Any]], Function]: ...
def fn(python: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Makes a Python function a kernel function; see Function for the options."""
    if python is None:
        return lambda python: fn_with(python, options)
    return fn_with(python, options)


def fn_with(python: Callable[..., Any], options: dict[str, Any]) -> Function:
    """Registers the function under its module, so that a module's functions are built together."""
    function = Function(python, **options)
    if not function.local:
        known = functions_by_module.setdefault(function.module, [])
        known[:] = [f for f in known if f.qualname != function.qualname] + [function]
    return function


class Assembly:
    """An inline assembly intrinsic: `template` with `{name}` for each parameter and `{result}`.

    Parameters
    ----------
    python : function
        Gives name, parameter types, result type and, as its body, the model that host-native builds call.
    arch : str
        "riscv64", "x86_64" or "aarch64".
    template : str
        Instructions; operands are in general registers.
    clobbers : sequence of str
        Registers that change, and "memory" when memory may.
    constraints : dict
        Constraint of an operand where a general register will not do: {"port": "d"}.
    """

    def __init__(
        self,
        python: Callable[..., Any],
        *,
        arch: str,
        template: str,
        clobbers: Sequence[str],
        constraints: dict[str, str],
    ):
        self.python = python
        self.name = python.__name__
        self.module = python.__module__
        self.qualname = python.__qualname__
        self.file = python.__code__.co_filename
        self.line = python.__code__.co_firstlineno
        self.arch = arch
        self.template = template
        self.clobbers = tuple(clobbers)
        self.constraints = dict(constraints)
        self.__doc__ = python.__doc__

    captured = Function.captured

    def __call__(self, *arguments: Any) -> Any:
        return self.python(*arguments)


def assembly(
    arch: str, template: str, *, clobbers: Sequence[str] = (), constraints: dict[str, str] | None = None
) -> Callable[[Callable[..., Any]], Assembly]:
    """Declares an inline assembly intrinsic; only in files under kernel/arch/. See Assembly."""
    if arch not in ("riscv64", "x86_64", "aarch64"):
        raise ValueError(f"arch must be riscv64, x86_64 or aarch64, not {arch!r}")
    return lambda python: Assembly(
        python, arch=arch, template=template, clobbers=clobbers, constraints=constraints or {}
    )


def closure_names(function: "Function | Assembly") -> list[str]:
    """What tells the instances of a generic apart: the types and numbers that they captured."""
    found = []
    for cell in function.python.__closure__ or ():
        try:
            value = cell.cell_contents
        except ValueError:
            continue
        if isinstance(value, (Type, int)):
            found.append(str(value))
    return found


class Later:
    """A captured value that is imported when it is first compiled: where modules need each other."""

    def __init__(self, module: str, name: str):
        self.module, self.name = module, name

    def resolve(self) -> Any:
        """The value."""
        return getattr(importlib.import_module(self.module), self.name)

    def __repr__(self) -> str:
        return f"{self.module}.{self.name}"


class ByArch:
    """One name for a value that differs from target to target: functions, constants, types. See `by_arch`."""

    def __init__(self, choices: dict[str, Any]):
        self.choices = choices

    def __call__(self, *arguments: Any) -> Any:
        """From ordinary Python: the host's."""
        return self.choices["host"](*arguments)

    def __repr__(self) -> str:
        return f"<by_arch {', '.join(self.choices)}>"


def by_arch(**choices: Any) -> Any:
    """A value for each target: `now = by_arch(riscv64=rv.now, host=model.now)`; "host" is the host-native build's.

    Kernel code names it like any other captured value and gets the one of the target it is compiled for.
    """
    unknown = set(choices) - {"riscv64", "x86_64", "aarch64", "host"}
    if unknown or not choices:
        raise ValueError(
            f"by_arch takes riscv64, x86_64, aarch64 and host, not {', '.join(sorted(unknown)) or 'nothing'}"
        )
    return ByArch(choices)


def in_arch(file: str) -> bool:
    """Whether a file may hold assembly and raw addresses."""
    path = Path(file).resolve()
    if path.is_relative_to(ROOT):
        path = path.relative_to(ROOT)
    return "kernel/arch/" in f"/{path.as_posix()}"


class Variable:
    """A variable (or typed constant) of a module. Ordinary Python reads and writes the host-native one as `.value`.

    Parameters
    ----------
    kind : type
    initial : what Python can give for it (None: zero)
    constant : bool
        Read-only.
    align : int or None
        More alignment than the type has, a power of two: 4096 for a page table.
    section, symbol : str or None
        The linker section, and the symbol's name, where something outside needs them.
    external : bool
        Defined outside of the program (by assembly or the linker script) as `symbol`.
    """

    def __init__(
        self,
        kind: object,
        initial: Any,
        *,
        constant: bool,
        module: dict[str, Any],
        line: int,
        align: int | None = None,
        section: str | None = None,
        symbol: str | None = None,
        external: bool = False,
    ):
        if align is not None and (align < 1 or align & (align - 1)):
            raise ValueError(f"align must be a power of two, not {align!r}")
        if symbol is not None and not symbol.isidentifier():
            raise ValueError(f"symbol must be a C identifier, not {symbol!r}")
        self.type = types.resolve(kind, module)
        if not types.is_storable(self.type):
            raise TypeError(f"a variable cannot be a {self.type.name}")
        self.align = align
        self.section = section
        self.symbol = symbol
        self.external = external
        if initial is None and not self.type.has_zero and not external:
            raise TypeError(f"{self.type.name} has no zero value: give the variable an initial value")
        self.initial = initial
        self.constant = constant
        self.module = str(module.get("__name__", ""))
        self.file = str(module.get("__file__", ""))
        self.line = line
        self._names = module

    @property
    def name(self) -> str:
        """The name the module gave it, or one made from its line."""
        for name, value in self._names.items():
            if value is self:
                return name
        return f"variable_{self.line}"

    @property
    def value(self) -> Any:
        """The host-native variable: a Python value for scalars, a view for structs and arrays."""
        from kernel.lang import layout

        return layout.load_variable(self)

    @value.setter
    def value(self, value: Any) -> None:
        from kernel.lang import layout

        layout.store_variable(self, value)

    def __repr__(self) -> str:
        return f"<{'constant' if self.constant else 'variable'} {self.module}.{self.name}: {self.type.name}>"


def variable(
    kind: Any, initial: Any = None, *, align: int | None = None, section: str | None = None, symbol: str | None = None
) -> Any:
    """A mutable global: `ticks = variable(u64, 0)`. Without an initial value it starts as zero. See Variable."""
    frame = sys._getframe(1)
    options = {"align": align, "section": section, "symbol": symbol}
    return Variable(kind, initial, constant=False, module=frame.f_globals, line=frame.f_lineno, **options)


def external(kind: Any, symbol: str) -> Any:
    """Memory that assembly or the linker script defines: `image_end = external(u8, "image_end")`."""
    frame = sys._getframe(1)
    place = {"module": frame.f_globals, "line": frame.f_lineno}
    return Variable(kind, None, constant=False, symbol=symbol, external=True, **place)


def constant(kind: Any, value: Any) -> Any:
    """A typed constant in read-only memory, for tables: `TABLE = constant(Array[w32, 256], [...])`."""
    frame = sys._getframe(1)
    return Variable(kind, value, constant=True, module=frame.f_globals, line=frame.f_lineno)


def struct(cls: type[_C]) -> type[_C]:
    """Makes an annotated class a struct with C's layout."""
    if not cls.__dict__.get("__annotations__"):
        raise TypeError(f"{cls.__name__}: a struct needs at least one annotated field")
    module = sys.modules.get(cls.__module__)
    # Names of the surrounding Python function count too: generics build structs.
    frame = sys._getframe(1)
    outer = {} if frame.f_locals is frame.f_globals else dict(frame.f_locals)

    def resolve(annotation: object) -> Type:
        names = dict(vars(module)) if module else {}
        return types.resolve(annotation, names | outer | {cls.__name__: made})

    made = StructType(cls, resolve, frame.f_code.co_filename, frame.f_lineno)
    return made  # type: ignore[return-value]


def bitfield(base: IntType) -> Callable[[type[_C]], type[_C]]:
    """Makes an annotated class named bits of `base`, from bit 0 up: `bool`, `Bits[n]`, `Bits[n, T]`, or an enum."""
    if not isinstance(base, IntType) or base.signed:
        raise TypeError(f"a bit-field struct needs an unsigned base such as u32, not {base!r}")

    def make(cls: type[_C]) -> type[_C]:
        fields, lsb = {}, 0
        for name, annotation in cls.__dict__.get("__annotations__", {}).items():
            if isinstance(annotation, BitsOf):
                kind, width = annotation.type, annotation.width
            else:
                kind = types.as_type(annotation)
                if isinstance(kind, EnumType):
                    width = kind.width
                elif kind is types.BOOL:
                    width = 1
                else:
                    raise TypeError(f"{cls.__name__}.{name}: a bit field is bool, Bits[n] or an enum, not {kind.name}")
            fields[name] = BitField(name, kind, lsb, width)
            lsb += width
        if lsb > base.width:
            raise TypeError(f"{cls.__name__} has {lsb} bits, more than {base.name}")
        return BitsType(cls.__name__, base, fields)  # type: ignore[return-value]

    return make


_E = TypeVar("_E", bound=python_enum.Enum)


def enum(width: int | IntType) -> Callable[[type[_E]], type[_E]]:
    """Makes a Python Enum of ints a kernel enum of `width` bits: `@enum(u8) class Error(IntEnum): ...`."""
    bits = width.width if isinstance(width, IntType) else width

    def make(cls: type[_E]) -> type[_E]:
        cls.__kernel_type__ = EnumType(cls, bits)  # type: ignore[attr-defined]
        return cls

    return make


def handle(name: str, base: IntType = types.u64) -> Any:
    """A handle type: a number that mixes with nothing else. `Thread = handle("Thread", u32)`."""
    return HandleType(name, base)


def function_pointer(name: str, parameters: Sequence[object], result: object) -> Any:
    """A function pointer type. Its targets are all functions that the program stores as this type."""
    return FnPtrType(name, tuple(types.as_type(p) for p in parameters), types.as_type(result))


class Builtin:
    """A name with a meaning in kernel code only."""

    def __init__(self, name: str, doc: str):
        self.name = name
        self.__doc__ = doc

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        raise TypeError(f"{self.name}() exists in kernel code only")

    def __repr__(self) -> str:
        return f"<kernel builtin {self.name}>"


trunc: Any = Builtin("trunc", "trunc(x, T): the low bits of x as T.")
exact: Any = Builtin("exact", "exact(x, T): x as T; panics when T does not hold x.")
copy: Any = Builtin("copy", "copy(destination, source): copies a whole struct or array.")
ptr: Any = Builtin("ptr", "ptr(place): a pointer to it.")
some: Any = Builtin("some", "some(p): a `Ptr[T] | None` as Ptr[T]; panics when it is None.")
span: Any = Builtin("span", "span(array): all of an array, writable, with its length.")
view: Any = Builtin("view", "view(array or span): the same, read-only.")
panic: Any = Builtin("panic", 'panic("text"): stops with the text, file and line.')
bounded: Any = Builtin("bounded", "bounded(condition or range, N): a loop that panics after N rounds.")
zero: Any = Builtin("zero", "zero(T): the zero value of a struct, array or any other type that has one.")
size_of: Any = Builtin("size_of", "size_of(T): bytes, a constant.")
offset_of: Any = Builtin("offset_of", 'offset_of(T, "field"): bytes, a constant.')
address_of: Any = Builtin("address_of", "address_of(p): the address as usize.")
pointer_at: Any = Builtin("pointer_at", "pointer_at(address, T): a raw Ptr[T]; only under kernel/arch.")
read_volatile: Any = Builtin("read_volatile", "read_volatile(p): one load that the compiler keeps, of memory shared.")
write_volatile: Any = Builtin("write_volatile", "write_volatile(p, value): one store that the compiler keeps.")
clz: Any = Builtin("clz", "clz(x): leading zero bits; the width for 0.")
ctz: Any = Builtin("ctz", "ctz(x): trailing zero bits; the width for 0.")
popcount: Any = Builtin("popcount", "popcount(x): bits set.")
byteswap: Any = Builtin("byteswap", "byteswap(x): bytes in the other order.")
