from kernel.lang import Array, Ptr, Span, fn, function_pointer, ptr, some, span, struct, u8, variable, zero


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


@struct
class Link:
    data: Ptr[u8] | None
    next: Ptr["Link"] | None


@fn
def same(p: Ptr[u8]) -> Ptr[u8]:
    return p


@fn
def remember(p: Ptr[u8]) -> None:
    keep.data = same(p)


@fn
def put(link: Ptr[Link], p: Ptr[u8]) -> None:
    link.data = p


@fn
def put_next(link: Ptr[Link], p: Ptr[u8]) -> None:
    put(some(link.next), p)


@fn
def take(link: Ptr[Link]) -> Ptr[u8]:
    return some(some(link.next).data)


@fn
def through_calls(outer: Ptr[Link]) -> Ptr[u8]:
    a: u8 = 1
    b: u8 = 2
    c: u8 = 3
    remember(ptr(a))
    put(outer, ptr(b))
    put_next(outer, same(ptr(c)))
    return same(ptr(a))


@fn
def through_memory(good: Ptr[u8]) -> Ptr[u8]:
    a: u8 = 1
    inner = Link(data=ptr(a))
    outside = Link(data=good, next=ptr(inner))
    taken = take(ptr(outside))
    here = ptr(outside)
    keep.data = some(here.next).data
    return taken


Step = function_pointer("Step", [Ptr[u8]], None)


@fn
def through_pointers(which: u8) -> None:
    a: u8 = 1
    step: Step = remember
    step(ptr(a))


@fn
def legal(outer: Ptr[Link], good: Ptr[u8]) -> Ptr[u8]:
    a: u8 = 1
    inner = Link(data=ptr(a))
    put(ptr(inner), ptr(a))
    own = Link(data=good, next=outer)
    put_next(ptr(own), good)
    put(ptr(own), same(good))
    a = same(ptr(a)).value
    return take(ptr(own))
