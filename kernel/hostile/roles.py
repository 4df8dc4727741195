"""What the parts of the hostile program know of each other: roles, slots of their tables, the expected ends.

All of them are one file; a thread's argument says which part it plays. The first program's argument is the ELF number
of the machine, which is below FIRST_ATTACK and no role.
"""

from enum import IntEnum

from kernel.lang import enum

SERVER = 1
CLIENT = 2
VICTIM = 3
DRIVER = 4
BOMB = 1 << 16  # of the fork bomb: plus the number of the thread
FIRST_ATTACK = 1 << 12

# An attacker's table. Slots that are not here are empty when it starts.
TABLE_BITS = 6
SERVICE = 1  # the honest server: may call it
MUTE = 2  # an endpoint of its own
MEMORY = 3  # untyped memory of its own
TABLE = 4
SPACE = 5
THREAD = 6
SLICE = 7
BELL = 8  # a notification
CLOCK, CLOCK_INTERRUPT, TICK = 9, 10, 11  # the driver's
LOOK = 12  # the table of the honest server, to look into it
FIRST_FREE = 16


@enum(8)
class Expected(IntEnum):
    """How an attack must end."""

    REFUSED = 0  # each step gives an error, and the attacker exits with status 0
    DIES = 1  # the CPU refuses it: a fault
    STOPPED = 2  # it goes on until it is stopped


@enum(8)
class Attack(IntEnum):
    """The attacks that are functions; jumps, accesses and instructions have numbers behind these."""

    FORGED = 0
    STALE = 1
    WILD = 2
    EXHAUST_THREADS = 3
    EXHAUST_TABLES = 4
    EXHAUST_FRAMES = 5
    EXHAUST_SLOTS = 6
    EXHAUST_OTHERS = 7
    NOBODY_ANSWERS = 8
    EXPIRED = 9
    WRITE_WHAT_RUNS = 10
    LIVE_BY_ANOTHERS_TABLE = 11
    KEEP_RESERVATION = 12
    FORK_BOMB = 13
    SPIN = 14
    MUTE_SERVER = 15
    STACK_OVERFLOW = 16
    WRITE_CODE = 17
    RUN_STACK = 18
