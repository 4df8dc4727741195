"""Test finisher, sifive,test1: one store ends or resets the machine."""

import enum

from rtl.registers.description import Access, Field, Register, RegisterFile


class Command(enum.IntEnum):
    """Low half of FINISH; other values do nothing."""

    FAIL = 0x3333
    PASS = 0x5555
    RESET = 0x7777


class Registers(RegisterFile, size=0x1000, access_bytes=(2, 4)):
    """One register; the rest of the page reads as zero."""

    finish = Register(
        0,
        32,
        Access.WO,
        doc="ends or resets the machine",
        volatile=True,
        fields={
            "command": Field(0, 16, enum=Command),
            "code": Field(16, 16, doc="exit status of FAIL"),
        },
    )
