from kernel.lang import fn, i32, u32, u8


@fn
def f(a: u32, b: i32) -> u8:
    c = u32(b)
    d = i32(a)
    return u8(a)
