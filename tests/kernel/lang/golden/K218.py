from kernel.lang import fn, handle, u32

Thread = handle("Thread", u32)
Port = handle("Port", u32)


@fn
def g(t: Thread) -> u32:
    return u32(t)


@fn
def f(t: Thread, p: Port, n: u32) -> u32:
    if t == p:
        return 1
    return g(p) + g(n) + g(Thread(n))
