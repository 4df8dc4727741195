from kernel.lang import fn, Ptr, struct, u8


@struct
class Point:
    x: u8


@fn
def f(p: Ptr[Point], a: u8) -> u8:
    b = Point(z=3)
    c = a.x
    return p.y
