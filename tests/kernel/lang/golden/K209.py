from kernel.lang import bitfield, fn, struct, u8


@struct
class Point:
    x: u8


@bitfield(u8)
class Flags:
    ready: bool


@fn
def g() -> Point:
    return Point(x=1)


@fn
def f(a: u8) -> u8:
    g().x = a
    Flags(0).ready = True
    return g().x
