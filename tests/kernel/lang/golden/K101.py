from kernel.lang import fn, u32


@fn
def f(a, b: u32) -> u32:
    return b
