from kernel.lang import fn, u8


def helper(a):
    return a


@fn
def f(a: u8) -> u8:
    b = a(1)
    print(a)
    return helper(a)
