from kernel.lang import Array, fn, i32, Ptr, u8


@fn
def f(p: Ptr[Array[u8, 4]], a: u8, i: i32) -> u8:
    b = a[0]
    c = p[i]
    d = p[True]
    return p[1:2][0]
