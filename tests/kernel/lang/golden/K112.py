from kernel.lang import Array, fn, u32


@fn
def f(a: u32) -> u32:
    x = 5
    y: Array[u32, 4]
    return a + x
