"""Kernel Python: a small, statically typed subset of Python, compiled ahead of time. See docs/kernel-python.md."""

from kernel.lang import registers  # Teaches annotations about register files.
from kernel.lang.declare import (
    address_of,
    assembly,
    bitfield,
    bounded,
    byteswap,
    clz,
    constant,
    copy,
    ctz,
    enum,
    exact,
    fn,
    function_pointer,
    handle,
    offset_of,
    panic,
    pointer_at,
    popcount,
    ptr,
    size_of,
    some,
    span,
    struct,
    trunc,
    variable,
    view,
)
from kernel.lang.errors import CompileError
from kernel.lang.layout import host
from kernel.lang.panics import KernelPanic, PanicSite
from kernel.lang.types import (
    Array,
    Bits,
    Ptr,
    Span,
    Str,
    View,
    i8,
    i16,
    i32,
    i64,
    u8,
    u16,
    u32,
    u64,
    usize,
    w8,
    w16,
    w32,
    w64,
)

__all__ = [
    "registers", "Array", "Bits", "CompileError", "KernelPanic", "PanicSite", "Ptr", "Span", "Str", "View", "address_of",
    "assembly", "bitfield", "bounded", "byteswap", "clz", "constant", "copy", "ctz", "enum", "exact", "fn",
    "function_pointer", "handle", "host", "i16", "i32", "i64", "i8", "offset_of", "panic", "pointer_at", "popcount",
    "ptr", "size_of", "some", "span", "struct", "trunc", "u16", "u32", "u64", "u8", "usize", "variable", "view", "w16",
    "w32", "w64", "w8",
]  # fmt: skip
