from enum import IntEnum

from kernel.lang import Array, enum, fn, Ptr, struct, u8, zero


@enum(u8)
class Color(IntEnum):
    RED = 1


@struct
class Node:
    color: Color
    buffer: Ptr[u8]


@fn
def f(p: Ptr[u8]) -> u8:
    a = zero(Node)
    b = zero(Array[Color, 3])
    c = Node(buffer=p)
    return p.value
