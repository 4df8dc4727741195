"""The I/O APIC: routes device interrupts to vectors of the local APIC (Intel 82093AA data sheet, section 3)."""

from kernel.acpi_tables import POLARITY_LOW, POLARITY_MASK, TRIGGER_LEVEL, TRIGGER_MASK
from kernel.lang import Bits, Ptr, bitfield, bounded, exact, fn, u8, u16, u32
from rtl.registers.description import Access, Field, Register, RegisterFile


class Registers(RegisterFile, size=0x20, access_bytes=(4,), gaps="zero"):
    """3.1: an index register, and a window on the register that it selects."""

    select = Register(0x00, 32, Access.RW, fields={"index": Field(0, 8)})
    window = Register(0x10, 32, Access.RW, volatile=True)


ID, VERSION, REDIRECTION = 0x00, 0x01, 0x10  # 3.2: indexes; each redirection entry has two, low word first.
MAX_INTERRUPTS = 240


@bitfield(u32)
class RedirectionLow:
    """3.2.4, bits 31..0 of a redirection entry."""

    vector: Bits[8]
    delivery_mode: Bits[3]
    logical: bool
    delivery_pending: bool
    active_low: bool
    remote_irr: bool
    level: bool
    masked: bool


@fn
def read(io_apic: Ptr[Registers], index: u8) -> u32:
    """One of the registers behind the window."""
    io_apic.select.write(index=index)
    return io_apic.window.read()


@fn
def write(io_apic: Ptr[Registers], index: u8, value: u32) -> None:
    """Writes one of the registers behind the window."""
    io_apic.select.write(index=index)
    io_apic.window.write(value)


@fn
def interrupt_count(io_apic: Ptr[Registers]) -> u32:
    """Inputs of this I/O APIC: bits 23..16 of the version register, plus one."""
    return min(((read(io_apic, VERSION) >> 16) & 0xFF) + 1, MAX_INTERRUPTS // 2)


@fn
def mask_all(io_apic: Ptr[Registers]) -> None:
    """Nothing comes through until it is asked for."""
    for i in bounded(range(interrupt_count(io_apic)), MAX_INTERRUPTS):
        write(io_apic, exact_index(i), u32(RedirectionLow(masked=True)))


@fn
def exact_index(interrupt: u32) -> u8:
    """The index of the low word of a redirection entry."""
    return exact(interrupt * 2 + REDIRECTION, u8)


@fn
def route(io_apic: Ptr[Registers], interrupt: u32, vector: u8, flags: u16, apic_id: u8) -> None:
    """Unmasks an input: fixed delivery of `vector` to one local APIC; `flags` as in the MADT (ACPI table 5.26)."""
    index = exact_index(interrupt)
    low = RedirectionLow(
        vector=vector,
        active_low=flags & POLARITY_MASK == POLARITY_LOW,
        level=flags & TRIGGER_MASK == TRIGGER_LEVEL,
        masked=True,
    )
    write(io_apic, index, u32(low))  # Masked while the halves do not belong together.
    write(io_apic, index + 1, u32(apic_id) << 24)
    low.masked = False
    write(io_apic, index, u32(low))


@fn
def mask(io_apic: Ptr[Registers], interrupt: u32) -> None:
    """Masks one input, and leaves how it is routed."""
    index = exact_index(interrupt)
    low = RedirectionLow(read(io_apic, index))
    low.masked = True
    write(io_apic, index, u32(low))


@fn
def unmask(io_apic: Ptr[Registers], interrupt: u32) -> None:
    """Undoes mask()."""
    index = exact_index(interrupt)
    low = RedirectionLow(read(io_apic, index))
    low.masked = False
    write(io_apic, index, u32(low))
