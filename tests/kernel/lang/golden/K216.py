from kernel.lang import fn, u8


@fn
def f(a: u8) -> u8:
    b = a >> 9
    c = a >> u8(8)
    return a << 8
