"""What the parts of the fuzzer know of each other: roles, and the slots that an actor's table starts with.

All of them are threads in one address space; a thread's argument says which part it plays.
"""

ACTORS = 4
ACTOR = 1 << 20  # plus its number
PARTNER = 1 << 21
IDLER = 1 << 22
STACK = 8 << 10

TABLE_BITS = 6
TABLE = 1
OTHER_TABLE = 2  # the next actor's
MEMORY = 3
SPACE = 4  # where all of them run
EMPTY_SPACE = 5
SERVED = 6  # the partner's endpoint, to call
OPEN = 7  # endpoints where only actors meet
OPEN_BADGED = 8
BELL = 9
BELL_BADGED = 10
CHANNEL = 11
THREAD = 12
OTHER_THREAD = 13
DUMMY = 14  # a thread that is never configured but by actors
SLICE = 15
AUDIT = 16
MACHINE = 17  # to look only
INTERRUPT = 18
DEVICE = 19
FIRST_FREE = 24
