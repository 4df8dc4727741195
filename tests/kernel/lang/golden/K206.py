from kernel.lang import Array, fn, Ptr, struct, u8


@struct
class Point:
    x: u8
    y: u8


@fn
def f(p: Ptr[Point], q: Ptr[Array[Point, 2]]) -> u8:
    a = q[0]
    q[1] = q[0]
    b = Point(x=1)
    b = Point(x=2)
    return a.x


@fn
def g(p: Ptr[Array[Point, 2]]) -> Point:
    return p[0]
