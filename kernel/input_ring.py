"""Bytes typed on the console, from the interrupt that received them to who reads them.

One writer (the interrupt), one reader (with interrupts off or on: each index has one writer). Full: new bytes are lost,
and counted.
"""

from kernel.lang import *

CAPACITY = 256
NO_BYTE = 0x100

ring = variable(Array[u8, CAPACITY])
head = variable(u32, 0)  # bytes put in, modulo 2^16
tail = variable(u32, 0)  # bytes taken out
lost = variable(u64, 0)
_MODULUS = 1 << 16


@fn
def put(byte: u8) -> None:
    """Keeps a byte."""
    global head, lost
    if (head + _MODULUS - tail) % _MODULUS == CAPACITY:
        lost += 1
        return
    ring[usize(head % CAPACITY)] = byte
    head = (head + 1) % _MODULUS


@fn
def take() -> u16:
    """The oldest byte, or NO_BYTE."""
    global tail
    # The interrupt changes head behind the compiler's back.
    if read_volatile(ptr(head)) == tail:
        return NO_BYTE
    byte = ring[usize(tail % CAPACITY)]
    tail = (tail + 1) % _MODULUS
    return u16(byte)
