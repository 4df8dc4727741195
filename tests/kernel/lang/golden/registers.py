"""Register accesses in all the ways that are refused and that no other file shows."""

from kernel.lang import *
from rtl.registers import copy_engine, ns16550, plic


@fn
def uart(registers: Ptr[ns16550.Registers], x: u8) -> None:
    a = registers.nope.read()
    b = registers.lsr.read(1)
    registers.lcr.modify(x)
    registers.thr.write(x, x)
    registers.scr.modify(a=1)


@fn
def engine(registers: Ptr[copy_engine.Registers]) -> None:
    registers.status.modify(done=True)
    registers.status.write(busy=True)


@fn
def interrupts(registers: Ptr[plic.Registers]) -> None:
    a = registers.priority.read()
    b = registers.priority[5000].read()
