from kernel.lang import fn, ptr, u32


@fn
def f(a: u32) -> u32:
    for i in range(10):
        i += 1
    for a in range(u32(3)):
        pass
    for j in range(10):
        p = ptr(j)
    return a
