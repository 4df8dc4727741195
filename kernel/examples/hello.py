"""Greets, by the only capability that it has."""

from kernel.lang import *
from kernel.services.run import SESSION
from kernel.user import text
from kernel.user.text import put, put_decimal


@fn
def main(argument: u64) -> u64:
    """Says its argument, and ends with it."""
    text.set_console(SESSION)
    put("hello from user mode; my argument is ")
    put_decimal(argument, 0)
    put("\n")
    text.flush()
    return argument
