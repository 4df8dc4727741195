"""The two 8259s: moved away from the exceptions' vectors, then masked for good; the APICs do their work."""

from kernel.arch.x86_64.instructions import write_port_8
from kernel.lang import fn, u8

MASTER_COMMAND, MASTER_DATA, SLAVE_COMMAND, SLAVE_DATA = 0x20, 0x21, 0xA0, 0xA1
INITIALIZE = 0x11  # ICW1: edge triggered, cascaded, ICW4 follows (8259A data sheet).
CASCADE_INPUT = 2


@fn
def disable(spurious_base: u8) -> None:
    """`spurious_base`: 16 vectors for the spurious interrupts that a masked 8259 may still raise."""
    write_port_8(MASTER_COMMAND, INITIALIZE)
    write_port_8(SLAVE_COMMAND, INITIALIZE)
    write_port_8(MASTER_DATA, spurious_base)
    write_port_8(SLAVE_DATA, spurious_base + 8)
    write_port_8(MASTER_DATA, 1 << CASCADE_INPUT)
    write_port_8(SLAVE_DATA, CASCADE_INPUT)
    write_port_8(MASTER_DATA, 1)  # ICW4: 8086 mode.
    write_port_8(SLAVE_DATA, 1)
    write_port_8(MASTER_DATA, 0xFF)
    write_port_8(SLAVE_DATA, 0xFF)
