"""Where things are in a service's address space, besides the program at its linked addresses."""

from kernel.user.program import LINKED_AT

STACK_TOP = 0x3F_0000_0000
SECOND_STACK_TOP = STACK_TOP - 0x10_0000
CONSOLE_AT = 0x30_0000_0000
WINDOW = 0x20_0000_0000
"""In S-INIT: where a page of another space is while it is filled."""
ARCHIVE_AT = 0x28_0000_0000
"""In S-INIT: the programs of the image."""

assert LINKED_AT < WINDOW
