from kernel.lang import fn, u32, u8


@fn
def f(a: u8) -> u32:
    if a == 3:
        return
    return a


@fn
def g(a: u8) -> None:
    return a
