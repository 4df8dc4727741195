from kernel.lang import fn, function_pointer, Ptr, struct, u32

Step = function_pointer("Step", [u32], u32)


@struct
class Machine:
    step: Step


@fn
def f(machine: Ptr[Machine]) -> u32:
    return machine.step(3)
