from kernel.lang import fn, u32


@fn
def f(a: u32) -> u32:
    return a
    a = 3
