from kernel.lang import fn, u32


@fn
def f(a: u32) -> u32:
    items = [a, a]
    table = {a: a}
    squares = [i * i for i in range(10)]
    text = f"{a}"
    return a
