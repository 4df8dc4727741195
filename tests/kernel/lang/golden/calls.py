"""Calls of types and builtins in all the ways that are refused."""

from enum import IntEnum

from kernel.lang import *


@enum(3)
class Color(IntEnum):
    RED = 1


@bitfield(u8)
class Paint:
    color: Color
    gloss: Bits[5]


@struct
class Inner:
    a: u8


@struct
class Outer:
    inner: Inner
    array: Array[u8, 3]


@fn
def types_called(p: Ptr[u8], b: bool, paint: Paint) -> None:
    inner = Inner()
    c = Ptr[u8](p)
    d = Array[u8, 3](1, 2)
    e = u32(p)
    f = Outer(inner=inner)
    g = Paint(gloss=1)
    h = Paint(color=Color.RED, gloss=1, shine=2)
    i = trunc(u8(3), 5)
    j = trunc(b, u8)


@fn
def builtins(data: View[u8], x: u8, s: i8, b: bool, outer: Ptr[Outer]) -> None:
    a = span(data)
    c = len(5)
    d = len(x)
    e = min(b, True)
    f = clz(s)
    g = zero(Span[u8])
    h: usize = offset_of(Outer, "nope")
    i = read_volatile(x)
    j = read_volatile(outer)
    k = address_of(x)


@fn
def statements(b: bool, x: u8, outer: Ptr[Outer], inner: Ptr[Inner]) -> None:
    a = bounded(b, 3)
    c = copy(outer, outer)
    d = range(3)
    copy(x, x)
    copy(outer, inner)
    panic(5)
    assert b, x
