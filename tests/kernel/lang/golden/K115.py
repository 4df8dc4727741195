from kernel.lang import fn, u32

settings = {"limit": 3}


@fn
def f(a: u32, b: u32) -> u32:
    c = settings
    return a + settings
