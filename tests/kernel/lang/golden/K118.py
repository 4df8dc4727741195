from kernel.lang import Array, Ptr, fn, struct, u8, u64, variable


@struct
class Inner:
    address: u64
    owner: u8


@struct
class Outer:
    type: u8
    parts: Array[Inner, 4]
    fine: u8


@struct
class Global:
    extra: u8


state = variable(Global)


@fn
def f(outer: Ptr[Outer]) -> u8:
    return outer.fine


@fn
def g() -> u8:
    return state.extra
