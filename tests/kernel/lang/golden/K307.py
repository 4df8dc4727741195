from rtl.registers import ns16550

from kernel.lang import fn, Ptr, u8


@fn
def f(uart: Ptr[ns16550.Registers]) -> u8:
    uart.thr = 1
    return uart.rbr
