"""Addresses as pointers, for the firmware: the devices of rtl.memory_map, and memory that a caller named."""

from kernel.lang import *
from rtl import memory_map
from rtl.registers import clint, ns16550, sifive_test

MOST = 1 << 40
"""Bytes that one span over physical memory may cover."""


@fn
def uart() -> Ptr[ns16550.Registers]:
    return pointer_at(memory_map.UART.base, ns16550.Registers)


@fn
def timer() -> Ptr[clint.Registers]:
    return pointer_at(memory_map.CLINT.base, clint.Registers)


@fn
def finisher() -> Ptr[sifive_test.Registers]:
    return pointer_at(memory_map.FINISHER.base, sifive_test.Registers)


@fn
def bytes_at(address: u64, length: u64) -> Span[u8]:
    """Physical memory as bytes. The caller has checked that it is RAM."""
    whole = pointer_at(usize(address), Array[u8, MOST])
    return span(whole)[0 : usize(length)]


def pointer_to(T):
    """A function that makes an address a pointer to a struct."""

    @fn
    def make(address: u64) -> Ptr[T]:
        return pointer_at(usize(address), T)

    return make
