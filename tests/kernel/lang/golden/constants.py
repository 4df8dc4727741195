"""Compile-time values that do not fit what is wanted."""

from enum import IntEnum

from kernel.lang import *

TABLE = [1, 2, 3]


class Plain(IntEnum):
    A = 1


@enum(u8)
class Color(IntEnum):
    RED = 1


@struct
class Node:
    a: u8
    p: Ptr[u8]


@struct
class Broken:
    a: int


Step = function_pointer("Step", [u8], u8)
misspelt = variable(Node, {"b": 1})
partial = variable(Node, {"a": 1})
ELSEWHERE = by_arch(riscv64=1)


@fn
def other(a: u16) -> u8:
    return 1


@fn
def values(i: usize, x: u8, colors: Ptr[Color]) -> None:
    a: u8 = Plain.A
    b: u8 = Color.RED
    c: Step = other
    d: Array[u8, 3] = [1, 2]
    e: u32 = TABLE[i]
    f: u32 = TABLE[9]
    g = Color.BLUE
    h = ELSEWHERE + x
    j: None = 1
    k = misspelt.a
    l = partial.a


@fn
def broken(p: Ptr[Broken]) -> None:
    a = p.a


@fn
def folded(x: u8) -> None:
    a = -None
    b = 1 << x
    c = Color.RED + 1
    d: u64 = 1 << 5000
    e: u64 = 5 // 0
    f = "a" - "b"
    g = "a" < 3
