"""Core-local interruptor, sifive,clint0 (SiFive FU540-C000 manual, chapter 9; RISC-V ACLINT 1.0 MSWI and MTIMER)."""

from rtl.registers.description import Access, Array, Field, Register, RegisterFile

HARTS = 4095
"""Harts that the map has room for."""


class Registers(RegisterFile, size=0xC000, access_bytes=(4, 8)):
    """Software interrupts below 0x4000 (32-bit accesses only), the timer above."""

    msip = Register(
        0x0000,
        32,
        Access.RW,
        doc="software interrupt of a hart",
        array=(Array(HARTS, 4),),
        fields={"pending": Field(0, doc="raises mip.MSIP")},
    )
    mtimecmp = Register(
        0x4000,
        64,
        Access.RW,
        doc="timer interrupt of a hart while mtime >= mtimecmp (mip.MTIP)",
        array=(Array(HARTS, 8),),
    )
    mtime = Register(0xBFF8, 64, Access.RW, doc="the timer, counts at the timebase frequency", volatile=True)
