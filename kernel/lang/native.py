"""Host-native calls: a kernel function called from ordinary Python is compiled for this machine and run.

The functions of one module are built together, on the first call of any of them; functions made inside Python
functions (generics, tests) are built alone. What the library reaches beyond its own memory comes back to Python:
module variables live in memory that Python owns (`module.ticks.value`), register blocks are Python objects with
`read(offset, width)` and `write(offset, width, value)`, assembly intrinsics run the Python body of their declaration.

A panic raises KernelPanic with the kernel's file and line. `configure(sanitize="undefined")` rebuilds everything with
UBSan, whose findings raise UndefinedBehaviour; "address" needs the process to run under libasan (see `configure`).
"""

import ctypes
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kernel.lang import build, layout, types
from kernel.lang.declare import Assembly, Function, functions_by_module
from kernel.lang.errors import ROOT
from kernel.lang.panics import KernelPanic, raise_at, signed_values
from kernel.lang.program import Program, compile_program
from kernel.lang.types import BOOL, NEVER, VOID, FnPtrType, IntType, PtrType, SpanType, Type

_settings = {"sanitize": os.environ.get("SPLAX_SANITIZE", ""), "optimize": "-O1"}
_libraries: dict[Function, "Library"] = {}
_bound: list[Function] = []


class UndefinedBehaviour(Exception):
    """UBSan found undefined behaviour in generated C: a bug in the compiler of Kernel Python."""


class _Str(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("length", ctypes.c_uint64)]

    @property
    def text(self) -> str:
        return ctypes.string_at(self.data, self.length).decode()


class _SpanArgument(ctypes.Structure):
    """A Span, View or Str that is passed; `data` is an address, or the bytes themselves."""

    _fields_ = [("data", ctypes.c_char_p), ("length", ctypes.c_uint64)]


class _Site(ctypes.Structure):
    _fields_ = [
        ("file", _Str),
        ("function", _Str),
        ("text", _Str),
        ("line", ctypes.c_uint32),
        ("values", ctypes.c_uint8),
        ("is_signed", ctypes.c_bool),
    ]


class State(ctypes.Structure):
    """How the last call ended; mirrors `struct kp_state` of native_support."""

    _fields_ = [
        ("failed", ctypes.c_int),
        ("callback_failed", ctypes.c_int),
        ("site", ctypes.POINTER(_Site)),
        ("left", ctypes.c_uint64),
        ("right", ctypes.c_uint64),
        ("behaviour", ctypes.c_char_p),
    ]


_READ = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint32)
_WRITE = ctypes.CFUNCTYPE(None, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_uint64)


def configure(*, sanitize: str | None = None, optimize: str | None = None) -> None:
    """Changes how host-native code is built from now on; loaded libraries are let go.

    sanitize: "" or "undefined"; or "address", for which Python must have been started with libasan in LD_PRELOAD and
    ASAN_OPTIONS=detect_leaks=0 (Debian: `LD_PRELOAD=$(gcc -print-file-name=libasan.so)`).
    """
    if sanitize == "address" and "asan" not in os.environ.get("LD_PRELOAD", ""):
        raise build.ToolError(
            "address sanitizing needs its runtime in the process: start Python with "
            "LD_PRELOAD=$(gcc -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0 (Debian package libasan8, gcc)"
        )
    for name, value in (("sanitize", sanitize), ("optimize", optimize)):
        if value is not None:
            _settings[name] = value
    _libraries.clear()
    for function in _bound:
        function._native = None
    _bound.clear()


def bind(function: Function) -> Callable[..., Any]:
    """The Python callable that runs the native build of `function`."""
    if function not in _libraries:
        roots = [function] if function.local else _module_roots(function)
        library = Library(compile_program(roots))
        for root in roots:
            _libraries.setdefault(root, library)
    _bound.append(function)
    return _libraries[function].callable(function)


def _module_roots(function: Function) -> list[Function]:
    """The functions of the module, and `function` itself in case the module has since defined another of its name."""
    known = functions_by_module.get(function.module, [])
    return known if function in known else [function]


class Library:
    """One loaded shared library.

    Parameters
    ----------
    program : Program
        Its roots become callable.
    """

    def __init__(self, program: Program):
        self.program = program
        path, self.emitter = build.build_native(program, **_settings)
        self.library = ctypes.PyDLL(str(path))
        self.state = State.in_dll(self.library, "kp_state")
        self.pending: BaseException | None = None
        self._callbacks: list[Any] = []
        self._connect("kp_read_callback", _READ(self._read))
        self._connect("kp_write_callback", _WRITE(self._write))
        for variable, name in self.emitter.variable_names.items():
            if not variable.constant:
                self._pointer(name, layout.variable_address(variable))
        for functions in program.targets.values():
            for function in functions:
                layout.to_raw(FnPtrType("any", (), VOID), function)
        for intrinsic in self.emitter.assembly:
            self._connect(f"kpm_{self.emitter.function_names[intrinsic]}", self._model(intrinsic))

    def _pointer(self, symbol: str, address: int | None) -> None:
        ctypes.c_void_p.in_dll(self.library, symbol).value = address

    def _connect(self, symbol: str, callback: Any) -> None:
        self._callbacks.append(callback)
        self._pointer(symbol, ctypes.cast(callback, ctypes.c_void_p).value)

    def _failed(self, error: BaseException) -> int:
        self.pending = error
        self.state.callback_failed = 1
        return 0

    def _read(self, address: int, width: int) -> int:
        try:
            device, offset = layout.device_at(address)
            value = device.read(offset, width)
            if not isinstance(value, int) or not 0 <= value < 1 << width:
                raise ValueError(f"{device!r}.read({offset:#x}, {width}) gave {value!r}, not an int of {width} bits")
            return int(value)
        except BaseException as error:  # noqa: BLE001 - carried across the C frames, raised by the caller
            return self._failed(error)

    def _write(self, address: int, width: int, value: int) -> None:
        try:
            device, offset = layout.device_at(address)
            device.write(offset, width, value)
        except BaseException as error:  # noqa: BLE001
            self._failed(error)

    def _model(self, intrinsic: Assembly) -> Any:
        signature = self.program.signatures[intrinsic]
        result = signature.result

        def run(*arguments: int) -> int | None:
            try:
                kinds = (kind for _, kind in signature.parameters)
                given = [layout.from_raw(k, a or 0) for k, a in zip(kinds, arguments, strict=True)]
                value = intrinsic(*given)
                return None if result in (VOID, NEVER) else layout.to_raw(result, value)[0]
            except BaseException as error:  # noqa: BLE001
                return self._failed(error)

        kind = None if result in (VOID, NEVER) else _scalar(result)
        return ctypes.CFUNCTYPE(kind, *(_scalar(k) for _, k in signature.parameters))(run)

    def callable(self, function: Function) -> Callable[..., Any]:
        """A Python function that checks arguments, calls, and raises what went wrong."""
        signature = self.program.signatures[function]
        native = getattr(self.library, f"kpx_{self.emitter.function_names[function]}")
        result = signature.result
        scope: dict[str, Any] = {"native": native, "state": self.state, "fail": self._raise, "to_raw": layout.to_raw}
        scope |= {"span_raw": layout.span_raw, "from_raw": layout.from_raw, "Span": _SpanArgument}
        scope |= {"allocate": layout.allocate, "load": layout.load, "StructView": layout.StructView}
        scope["result_type"] = result
        names = [name for name, _ in signature.parameters]
        lines = [f"def {function.name}({', '.join(names)}):"]
        kinds = []
        for index, (name, kind) in enumerate(signature.parameters):
            scope[f"T{index}"] = kind
            if isinstance(kind, PtrType) and isinstance(target := types.target_of(kind), types.StructType):
                scope[f"S{index}"] = target
            lines.append(_conversion(name, index, kind))
            kinds.append(_SpanArgument if isinstance(kind, SpanType) else _scalar(kind))
        passed = list(names)
        in_memory = result.aggregate or isinstance(result, SpanType)
        if in_memory:
            lines.append(f"    owner, address = allocate({result.size})")
            passed.append("address")
            kinds.append(ctypes.c_void_p)
        lines.append(f"    result = native({', '.join(passed)})")
        lines.append("    if state.failed: fail()")
        if in_memory:
            lines.append("    return load(result_type, address, owner)")
        elif isinstance(result, IntType) or result is BOOL:
            lines.append("    return result")
        elif result not in (VOID, NEVER):
            owner = f"({', '.join(names)},)" if names else "None"
            lines.append(f"    return from_raw(result_type, result or 0, {owner})")
        native.argtypes = kinds
        native.restype = None if in_memory or result in (VOID, NEVER) else _scalar(result)
        exec("\n".join(lines), scope)  # noqa: S102 - made above from checked names
        return scope[function.name]

    def _raise(self) -> None:
        failed, self.state.failed = self.state.failed, 0
        if failed == 2:
            error, self.pending = self.pending, None
            assert error is not None
            raise error
        if failed == 3:
            raise UndefinedBehaviour(f"{self.state.behaviour.decode()} in {self.program.roots[0].module}")
        site = self.state.site.contents
        values = signed_values(self.state.left, self.state.right, site.values, site.is_signed)
        file = site.file.text
        raise_at(
            KernelPanic(file, site.line, site.function.text, site.text.text, values), str((ROOT / Path(file)).resolve())
        )


def _conversion(name: str, index: int, kind: Type) -> str:
    """Python source that turns the argument into what ctypes passes."""
    if isinstance(kind, IntType):
        low, high = kind.minimum, kind.maximum
        return (
            f"    if {name}.__class__ is not int or not {low} <= {name} <= {high}: {name} = to_raw(T{index}, {name})[0]"
        )
    if kind is BOOL:
        return f"    if {name} is not True and {name} is not False: to_raw(T{index}, {name})"
    if isinstance(kind, SpanType):
        general = f"a, n, keep{index} = span_raw(T{index}, {name}); {name} = Span(a, n)"
        if kind.writable or kind.element.size != 1:
            return f"    {general}"
        return f"    if {name}.__class__ is bytes: {name} = Span({name}, len({name}))\n    else: {general}"
    general = f"{name}, keep{index} = to_raw(T{index}, {name})"
    if isinstance(kind, PtrType) and isinstance(types.target_of(kind), types.StructType):
        quick = f"keep{index} = {name}; {name} = {name}.address"
        return f"    if {name}.__class__ is StructView and {name}.type is S{index}: {quick}\n    else: {general}"
    return f"    {general}"


def _scalar(kind: Type) -> Any:
    """The ctypes type of a scalar."""
    if kind is BOOL:
        return ctypes.c_bool
    if isinstance(kind, PtrType):
        return ctypes.c_uint64 if isinstance(types.target_of(kind), types.RegistersType) else ctypes.c_void_p
    if isinstance(kind, FnPtrType):
        return ctypes.c_uint64
    base = kind if isinstance(kind, IntType) else kind.base  # type: ignore[attr-defined]
    return getattr(ctypes, f"c_{'int' if base.signed else 'uint'}{base.width}")
