from kernel.lang import Array, bounded, fn, Ptr, u32


@fn
def f(n: u32) -> u32:
    total: u32 = 0
    for i in range(n):
        total += i
    while total > 3:
        total -= 1
    while True:
        total += 1
    while bounded(total > 3, n):
        total -= 1
    while bounded(total > 3, 10):
        total -= 1
    return total
