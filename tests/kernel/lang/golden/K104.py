from kernel.lang import fn, u32


@fn
def f(a: u32, b: u32 = 1, *rest: u32) -> u32:
    return a
