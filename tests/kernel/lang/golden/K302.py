from kernel.lang import fn, function_pointer, u32

Step = function_pointer("Step", [u32], u32)


@fn
def even(n: u32) -> u32:
    return 1 if n == 0 else odd(n - 1)


@fn
def odd(n: u32) -> u32:
    return 0 if n == 0 else even(n - 1)


@fn
def through_pointer(n: u32) -> u32:
    step: Step = through_pointer
    return step(n)
