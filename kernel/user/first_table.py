"""The first program's table: which slot holds what, when it starts. Numbers are slot indices."""

from kernel.lang import *

FIRST_LIFE = 1 << 32
"""With a slot's index: the handle of what was first put there."""

TABLE = 1  # this table
SPACE = 2  # its address space
THREAD = 3  # itself
SLICE = 4  # its time slice, as high as there is: the authority to make others
ARCHIVE = 5  # the programs of the image, read-only memory
CONSOLE = 6  # the console's registers
CONSOLE_INTERRUPT = 7
MACHINE = 8  # reboot, shutdown, facts
AUDIT = 9  # the audit ring
CLOCK = 10  # the registers of a clock with an alarm, where the machine has one
CLOCK_INTERRUPT = 11
FIRST_UNTYPED, LAST_UNTYPED = 16, 47  # free memory
LAST = LAST_UNTYPED
TABLE_BITS = 10


@fn
def first_life(slot: u64) -> u64:
    """The handle of a slot that was filled once: what a program starts with."""
    return FIRST_LIFE | slot
