"""Expressions in all the ways that are refused and that no other file shows."""

from kernel.lang import *


@struct
class Small:
    a: u8


@bitfield(u8)
class Status:
    ready: bool


@fn
def memory(maybe: Ptr[Array[u8, 4]] | None, data: View[u8], status: Status, x: u8) -> None:
    a = maybe[0]
    b = data[0:4:2]
    c = span(x)
    d = status.busy


@fn
def operators(p: Ptr[u8], q: Ptr[u8], b: bool, x: u8) -> None:
    first, second = zero(Small), zero(Small)
    one = zero(Small)
    two = zero(Small)
    c = b << 1
    d = one if b else two
    e = p is q


@fn
def give() -> Ptr[u8]:
    panic("nothing to give")


@fn
def nothing() -> None:
    pass


@fn
def assigned(p: Ptr[Small], b: bool) -> None:
    p.a: u8 = 3
    _ = 5
    c = nothing()
    give().value += 1


@fn
def mixed(x: u32, t: u32, text: Str) -> None:
    a = x << True
    b = 1 == True
    c = min("a", 1)
    d = max(x, True)
    e = zero(Array[t, 4])
    f = "abc"[3]
    g = None
    h = x**2
    k = u8 < u32


@fn
def bits_behind_a_pointer(p: Ptr[Status]) -> None:
    a = p.ready
