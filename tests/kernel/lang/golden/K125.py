from kernel.lang import fn, u32


@fn
def f(a: u32) -> u32:
    if a == 3:
        raise ValueError
    try:
        a = 4
    finally:
        a = 5
    return a
