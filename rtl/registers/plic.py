"""Platform-level interrupt controller: RISC-V PLIC specification 1.0.0, sifive,plic-1.0.0.

Contexts go by hart: 2n is M-mode of hart n, 2n + 1 its S-mode.
"""

from rtl import memory_map
from rtl.registers.description import Access, Array, Field, Register, RegisterFile

SOURCES = memory_map.PLIC_SOURCES
WORDS = SOURCES // 32
CONTEXTS = 2
"""Contexts described here: those of one hart."""


class Registers(RegisterFile, size=memory_map.PLIC.size, access_bytes=(4,)):
    """Chapters 3 to 9 of the specification."""

    priority = Register(
        0x4,
        32,
        Access.RW,
        doc="priority of source n + 1; 0 never interrupts, 7 is highest",
        array=(Array(SOURCES, 4),),
        fields={"level": Field(0, 3)},
    )
    pending = Register(
        0x1000,
        32,
        Access.RO,
        doc="pending sources, 32 a word; source n is bit n % 32 of word n / 32",
        array=(Array(WORDS, 4),),
        volatile=True,
    )
    enable = Register(
        0x2000,
        32,
        Access.RW,
        doc="sources that interrupt a context, 32 a word",
        array=(Array(CONTEXTS, 0x80), Array(WORDS, 4)),
    )
    threshold = Register(
        0x20_0000,
        32,
        Access.RW,
        doc="a context is interrupted by priorities above this",
        array=(Array(CONTEXTS, 0x1000),),
        fields={"level": Field(0, 3)},
    )
    claim = Register(
        0x20_0004,
        32,
        Access.RW,
        doc="read: takes the pending source of highest priority (lowest number first; 0: none); write: completes it",
        array=(Array(CONTEXTS, 0x1000),),
        volatile=True,
    )
