from kernel.lang import fn, Ptr, ptr, some, u8


@fn
def f(p: Ptr[u8], a: u8) -> u8:
    b = ptr(a + 1)
    c = some(a)
    d = some(p)
    return ptr(a).value
