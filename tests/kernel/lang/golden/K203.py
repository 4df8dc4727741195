from kernel.lang import fn, handle, i8, u32, u8

Thread = handle("Thread", u32)


@fn
def f(a: u32, t: Thread, b: bool, s: i8) -> u32:
    c = a / 3
    d = t + t
    e = b < b
    g = -a
    h = a << s
    i = a is None
    return a**2
