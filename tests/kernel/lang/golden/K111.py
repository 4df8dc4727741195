from kernel.lang import fn, u32, u8


@fn
def f(a: u32, b: u8) -> u32:
    x = a
    x = b
    y: u32 = a
    y: u8 = b
    return x
