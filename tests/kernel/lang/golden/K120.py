from kernel.lang import fn, u32


@fn
def f(a: u32) -> u32:
    with a:
        pass
    b: u32 = 1.5
    c = d = a
    e = lambda: a
    if 1 < a < 3:
        pass
    yield a
    return a


@fn
def g(a: u32) -> bool:
    return a in (1, 2)
