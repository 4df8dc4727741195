from enum import IntEnum

from kernel.lang import bitfield, Bits, enum, fn, trunc, u8


@enum(u8)
class Color(IntEnum):
    RED = 1


@bitfield(u8)
class Control:
    level: Bits[3]


@fn
def f(a: u8) -> u8:
    b: u8 = 256
    c = a + 300
    d = Color(2)
    e = Control(level=8)
    g = trunc(256, u8)
    return a - (-1)
