from kernel.lang import fn, u32

LIMIT = 3


@fn
def f(a: u32) -> u32:
    global LIMIT
    LIMIT = a
    return a
