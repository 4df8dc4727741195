from kernel.lang import fn, pointer_at, u32


@fn
def f() -> u32:
    return pointer_at(0x1000_0000, u32).value
