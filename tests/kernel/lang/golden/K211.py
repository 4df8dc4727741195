from kernel.lang import Array, fn, Ptr, u8


@fn
def f(p: Ptr[Array[u8, 4]]) -> u8:
    p[4] = 1
    p[u8(4)] = 1
    return p[-1]
