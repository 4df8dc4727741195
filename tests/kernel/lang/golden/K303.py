from kernel.lang import Array, fn, Ptr, ptr, Span, span, struct, u8, variable, zero


@struct
class Holder:
    data: Ptr[u8] | None


keep = variable(Holder)


@fn
def f(h: Ptr[Holder]) -> Ptr[u8]:
    a: u8 = 1
    h.data = ptr(a)
    p = ptr(a)
    keep.data = p
    mine = Holder(data=p)
    return p


@fn
def g() -> Span[u8]:
    buffer = zero(Array[u8, 8])
    return span(buffer)[1:3]
