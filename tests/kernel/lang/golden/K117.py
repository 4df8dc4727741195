from kernel.lang import fn, u32, variable

ticks = variable(u32)


@fn
def f(a: u32) -> u32:
    ticks = a
    return ticks
