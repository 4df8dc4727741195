"""Boots that cannot go on: the reason on the console, and the end of the machine."""

from typing import Never

from kernel.arch import power
from kernel.devicetree import TreeError
from kernel.lang import *
from kernel.printing import put


@fn
def refuse(reason: Str) -> Never:
    """What the loader or the firmware says is of no use: says why, and ends."""
    put("\nboot stopped: ")
    put(reason)
    put("\n")
    power.power_off(1)


@fn
def bad_tree(error: TreeError) -> Never:
    """Says why this machine cannot be booted, and ends."""
    put("\nboot stopped: the device tree ")
    match error:
        case TreeError.NONE:
            put("is in order")
        case TreeError.BAD_MAGIC:
            put("does not begin with 0xd00dfeed: the loader must give its physical address")
        case TreeError.TOO_BIG:
            put("is longer than 2 MiB")
        case TreeError.TRUNCATED:
            put("is truncated: it reaches past its own end")
        case TreeError.BAD_VERSION:
            put("is of a version that is not compatible with 17")
        case TreeError.BAD_LAYOUT:
            put("has a structure block that is misaligned, or properties behind children")
        case TreeError.BAD_TOKEN:
            put("has an unknown token")
        case TreeError.BAD_NAME:
            put("has a name that does not end")
        case TreeError.TOO_DEEP:
            put("is nested deeper than 16 nodes")
        case TreeError.TOO_MANY_NODES:
            put("has more than 1024 nodes")
        case TreeError.UNBALANCED:
            put("does not have one root whose nodes all end")
        case TreeError.BAD_CELLS:
            put("has addresses of more than 3 or sizes of more than 2 cells")
        case TreeError.DUPLICATE_PHANDLE:
            put("gives one phandle to two nodes")
        case TreeError.CYCLIC_PHANDLES:
            put("has interrupt parents in a circle")
        case TreeError.NO_MEMORY:
            put("names no memory")
        case TreeError.TOO_MANY_REGIONS:
            put("names more pieces of memory than the kernel keeps")
    put("\n")
    power.power_off(1)
