"""Counts for ever: ^C ends it."""

from kernel.lang import *
from kernel.services.run import SESSION
from kernel.user import text
from kernel.user.text import put

rounds = variable(w64, 0)


@fn
def main(argument: u64) -> u64:
    """Never gives the CPU away by itself."""
    global rounds
    text.set_console(SESSION)
    put("spinning; ^C ends it\n")
    text.flush()
    _ = argument
    while bounded(True, 0xFFFF_FFFF_FFFF_FFFF):
        rounds = rounds + 1
    return 1
