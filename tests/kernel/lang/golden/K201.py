from kernel.lang import fn, u16, u32, u8


@fn
def g(a: u32) -> u32:
    return a


@fn
def f(a: u8, b: u32) -> u32:
    c = a + b
    d: u32 = a
    e: u8 = b
    if a == b:
        pass
    return g(a) + g(True)
