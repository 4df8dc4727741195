from kernel.lang import fn, u32


@fn
def f(a: u32) -> u32:
    if a > 3:
        x: u32 = 1
    return x


@fn
def g(a: u32) -> u32:
    b = y + a
    y = a
    return b


@fn
def h(a: u32) -> u32:
    for i in range(3):
        b = i
    return a if b == i else 0
