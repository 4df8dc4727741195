"""The PL011 UART: ARM DDI 0183, chapter 3."""

from rtl.registers.description import Access, Field, Register, RegisterFile


class Registers(RegisterFile, size=0x1000, access_bytes=(2, 4)):
    """What a console needs of it."""

    dr = Register(0x00, 32, Access.RW, doc="data; reading takes the oldest byte", volatile=True)
    fr = Register(
        0x18,
        32,
        Access.RO,
        doc="flags",
        volatile=True,
        fields={
            "busy": Field(3),
            "receive_empty": Field(4),
            "transmit_full": Field(5),
            "receive_full": Field(6),
            "transmit_empty": Field(7),
        },
    )
    lcr_h = Register(
        0x2C,
        32,
        Access.RW,
        doc="line control",
        fields={"fifos": Field(4), "word_length": Field(5, 2, doc="3: 8 bits")},
    )
    cr = Register(
        0x30,
        32,
        Access.RW,
        reset=0x300,
        doc="control",
        fields={"enable": Field(0), "transmit_enable": Field(8), "receive_enable": Field(9)},
    )
    ifls = Register(0x34, 32, Access.RW, reset=0x12, doc="FIFO levels that interrupt: 0 is an eighth")
    imsc = Register(
        0x38,
        32,
        Access.RW,
        doc="interrupts let through",
        fields={"receive": Field(4), "transmit": Field(5), "receive_timeout": Field(6)},
    )
    icr = Register(0x44, 32, Access.WO, doc="clears interrupts")
