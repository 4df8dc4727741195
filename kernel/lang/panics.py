"""Panics: what a failed check reports, for the kernel's own panic handler and for Python.

A freestanding program defines the handler in Kernel Python:

    @fn(symbol="kernel_panic")
    def kernel_panic(site: Ptr[PanicSite], left: u64, right: u64) -> Never: ...
"""

from types import CodeType, FunctionType
from typing import Any

from kernel.lang.declare import struct
from kernel.lang.types import Str, u8, u32


@struct
class PanicSite:
    """Where a check stands (file, function, line), what it says, and how many of the two values belong to it.

    `is_signed`: the values are to be read as i64.
    """

    file: Str
    function: Str
    text: Str
    line: u32
    values: u8
    is_signed: bool


class KernelPanic(Exception):
    """A kernel function stopped: a failed check, an assertion, a panic(...).

    Members
    -------
    file, line, function : where in the kernel's source
    text : what failed
    values : the values that it failed with
    """

    def __init__(self, file: str, line: int, function: str, text: str, values: tuple[int, ...]):
        self.file, self.line, self.function, self.text, self.values = file, line, function, text, values
        super().__init__(f"{file}:{line}: {format_panic(text, values)}")


def format_panic(text: str, values: tuple[int, ...]) -> str:
    """The message, as every target prints it."""
    return text + (": " + ", ".join(str(v) for v in values) if values else "")


def signed_values(left: int, right: int, count: int, is_signed: bool) -> tuple[int, ...]:
    """The values of a site, from the two u64 the panic carries."""
    values = (left, right)[:count]
    return tuple(v - (1 << 64) if is_signed and v >> 63 else v for v in values)


_TEMPLATE = compile("def f(e):\n raise e", "<kernel>", "exec")


def raise_at(error: KernelPanic, path: str) -> Any:
    """Raises the error from a frame that names the kernel's file and line, so that tracebacks show the source."""
    inner = next(c for c in _TEMPLATE.co_consts if isinstance(c, CodeType))
    code = inner.replace(co_filename=path, co_name=error.function, co_firstlineno=error.line - 1)
    namespace: dict[str, Any] = {}
    FunctionType(code, namespace)(error)
