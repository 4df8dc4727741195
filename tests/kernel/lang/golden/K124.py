from kernel.lang import fn, u32


@fn
def g(a: u32) -> u32:
    return a


@fn
def f(a: u32) -> u32:
    g(a)
    _ = g(a)
    return a
