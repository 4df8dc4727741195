"""In a folder that may hold raw addresses."""

from kernel.lang import *


@fn
def f() -> None:
    a = pointer_at(0x1000, 5)
