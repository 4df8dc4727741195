"""Descriptions of every register that hardware and software share.

`description` holds the vocabulary (RegisterFile, Register, Field), one module a device the descriptions themselves, and
`reference` prints them. Nothing but `decoder`, which builds gates from a description, needs Amaranth: drivers, tests
and documents import this package alone.
"""

from rtl.registers.description import Access, Field, Register, RegisterFile

__all__ = ["Access", "Field", "Register", "RegisterFile"]
