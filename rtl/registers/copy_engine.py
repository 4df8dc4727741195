"""Memory copy engine (ours): the smallest DMA manager, to prove from software that DMA is coherent."""

from rtl.registers.description import Access, Field, Register, RegisterFile


class Registers(RegisterFile, size=0x30, access_bytes=(4, 8), gaps="error"):
    """Set source, destination and length, write start, wait for done (or its interrupt), look at error, clear both."""

    source = Register(0x00, 64, Access.RW, doc="physical address of the first byte to read")
    destination = Register(
        0x08, 64, Access.RW, doc="physical address of the first byte to write; equal to the source modulo 8"
    )
    length = Register(0x10, 64, Access.RW, doc="bytes to copy")
    command = Register(
        0x18,
        32,
        Access.WO,
        volatile=True,
        doc="what to do",
        fields={"start": Field(0, doc="begin; ignored while busy")},
    )
    interrupt = Register(
        0x20, 32, Access.RW, doc="interrupt control", fields={"enable": Field(0, doc="raise the interrupt while done")}
    )
    status = Register(
        0x28,
        32,
        Access.W1C,
        volatile=True,
        doc="state of the copy",
        fields={
            "busy": Field(0, access=Access.RO, doc="a copy is going on"),
            "done": Field(1, doc="a copy has ended"),
            "error": Field(2, doc="it was refused: alignments differ, or the bus answered with an error"),
        },
    )
