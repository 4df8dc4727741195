"""The PL031 real-time clock: ARM DDI 0224, chapter 3."""

from rtl.registers.description import Access, Field, Register, RegisterFile


class Registers(RegisterFile, size=0x1000, access_bytes=(4,)):
    """Seconds, with one alarm."""

    dr = Register(0x00, 32, Access.RO, doc="seconds now", volatile=True)
    mr = Register(0x04, 32, Access.RW, doc="the alarm: interrupts when dr is the same")
    imsc = Register(0x10, 32, Access.RW, doc="interrupt mask: 1 lets it through", fields={"alarm": Field(0)})
    icr = Register(0x1C, 32, Access.WO, doc="writing 1 clears the interrupt", fields={"alarm": Field(0)}, volatile=True)
