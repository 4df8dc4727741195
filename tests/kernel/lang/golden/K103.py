from kernel.lang import fn, u32


@fn
def f(a: int) -> u32:
    b: list[u32] = a
    return 0
