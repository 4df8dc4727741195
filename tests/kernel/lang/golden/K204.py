from kernel.lang import fn, u32


@fn
def f(a: u32) -> u32:
    if a:
        return 1
    while a and True:
        pass
    return 2 if not a else 3
