"""Addresses in every program's space."""

LINKED_AT = 0x1_0000
"""Where programs are linked."""
STACK_TOP = 0x3F_0000_0000
SECOND_STACK_TOP = STACK_TOP - 0x10_0000
CONSOLE_AT = 0x1000_0000
"""In the program that has the console: its registers. x86_64's kernel knows this address too: `ports.PORT_WINDOW`."""
WINDOW = 0x20_0000_0000
"""In a program that loads others: where a page of another space is while it is filled."""
ARCHIVE_AT = 0x28_0000_0000
"""In a first program: the programs of the image."""
