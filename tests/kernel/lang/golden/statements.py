"""Loops, matches and statements in all the ways that are refused and that no other file shows."""

from kernel.lang import *


@fn
def loops(n: u8, array: Ptr[Array[u8, 4]], b: bool, data: Span[u8]) -> None:
    while bounded(b, 3):
        pass
    else:
        pass
    for i in range(3):
        pass
    else:
        pass
    for a, c in range(3):
        pass
    for i in data:
        pass
    for i in range(3):
        for i in range(3):
            pass
    for i in array:
        pass
    i = 5
    for j in range(1, 2, 3, 4):
        pass
    for j in range(1, 2, 0):
        pass
    for j in bounded(range(b), 3):
        pass
    while bounded(b):
        pass


@fn
def matches(n: u8, b: bool) -> None:
    match b:
        case True:
            pass
    match n:
        case 1 if b:
            pass
        case _:
            pass
    match n:
        case 2:
            pass
        case 2:
            pass
        case _:
            pass
    match n:
        case [3]:
            pass
        case _:
            pass


@fn
def groups() -> None:
    try:
        pass
    except* ValueError:
        pass


@fn
def inner() -> None:
    async def later():
        pass


@fn
async def outer() -> None:
    pass


@fn
def bounds(n: u32) -> None:
    for _ in bounded(range(n), 1 << 64):
        pass
    while bounded(n > 0, True):
        pass
    for i, k in enumerate(n):
        n += k


@fn
def nested_returns(b: bool) -> u32:
    match b:
        case True:
            return 1
        case False:
            return 2
