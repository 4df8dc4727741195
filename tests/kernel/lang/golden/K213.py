from kernel.lang import fn, Ptr, struct, u8


@struct
class Node:
    value: u8
    next: Ptr["Node"] | None


@fn
def g(p: Ptr[Node]) -> u8:
    return p.value


@fn
def f(p: Ptr[Node]) -> u8:
    a = g(p.next)
    b = g(None)
    return p.next.value
