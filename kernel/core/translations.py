"""Which address space the CPU uses, and the identifiers (ASIDs) by which its TLB tells spaces apart.

There may be as many spaces as memory has room for, more than identifiers: spaces share them. The TLB may hold entries
of one of them at a time, its user; when another one is used, what is left of the first is flushed. So many spaces cost
time, not others their spaces.
"""

from kernel.core import machine
from kernel.core.state import ASIDS, kernel
from kernel.lang import *


@fn(inline=True)
def use(translation: u64) -> None:
    """Goes over to the address space with this value of the translation register."""
    kernel.translation = machine.set_translation(translation)
    if machine.TAGGED:
        asid = machine.asid_of(translation)
        if kernel.asid_users[asid % ASIDS] != translation:
            kernel.asid_users[asid % ASIDS] = translation
            machine.flush_space(asid)


@fn
def asid_of_space(number: u64) -> u16:
    """The identifier that a space has for the TLB; 0 is the kernel's own tables'."""
    return trunc(number % (ASIDS - 1), u16) + 1
