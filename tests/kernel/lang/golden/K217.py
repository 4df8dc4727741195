from kernel.lang import fn, u8


@fn
def f(a: u8) -> u8:
    b = a % 0
    return a // (3 - 3)
