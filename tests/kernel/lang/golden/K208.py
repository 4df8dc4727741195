from kernel.lang import fn, struct, u8


@struct
class Point:
    x: u8


@fn
def g(a: u8, b: u8) -> u8:
    return a


@fn
def f(a: u8) -> u8:
    b = g(a)
    c = g(a, a, a)
    d = g(a, c=a)
    e = Point(1)
    h = g(b=a, a=a)
    return len(a, a)
