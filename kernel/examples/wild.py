"""Reads the address that it is given: nothing is mapped in most places, and it dies."""

from kernel.arch.objects import pointer_maker
from kernel.lang import *
from kernel.services.run import SESSION
from kernel.user import text
from kernel.user.text import put, put_hex

word_at = pointer_maker(Array[u64, 1])


@fn
def main(argument: u64) -> u64:
    """Says where it looks, and looks."""
    text.set_console(SESSION)
    put("looking at ")
    put_hex(argument, 0)
    put("\n")
    text.flush()
    return word_at(usize(argument))[0]
