from enum import IntEnum

from kernel.lang import enum, fn, u8


@enum(u8)
class Color(IntEnum):
    RED = 1
    GREEN = 2
    BLUE = 3


@fn
def f(color: Color, a: u8) -> u8:
    match color:
        case Color.RED:
            return 1
    match a:
        case 1:
            return 2
    return 0
