"""Where the registers of this machine's APICs are, once `interrupts.initialize` has mapped them."""

from kernel.arch.x86_64 import io_apic, local_apic
from kernel.lang import *

io_apic_registers = variable(u64, 0)
local_registers = variable(u64, 0)


@fn
def local() -> Ptr[local_apic.Registers]:
    """This CPU's local APIC."""
    return pointer_at(usize(local_registers), local_apic.Registers)


@fn
def first_io_apic() -> Ptr[io_apic.Registers]:
    """The I/O APIC that has the ISA interrupts."""
    return pointer_at(usize(io_apic_registers), io_apic.Registers)


@fn
def set_registers(local_at: usize, io_apic_at: usize) -> None:
    """Says where they are."""
    global io_apic_registers, local_registers
    local_registers = u64(local_at)
    io_apic_registers = u64(io_apic_at)
