from kernel.lang import Array, constant, fn, Ptr, ptr, u8, View

TABLE = constant(Array[u8, 4], [1, 2, 3, 4])


@fn
def f(data: View[u8]) -> u8:
    TABLE[0] = 1
    data[0] = 2
    p = ptr(TABLE[1])
    return TABLE[0]
