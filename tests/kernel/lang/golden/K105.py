from kernel.lang import fn, struct, u32


@struct
class Point:
    x: u32


@fn
def f(p: Point) -> u32:
    return p.x
