"""Which vector an ISA interrupt has, and how it gets there."""

from kernel.arch.x86_64 import io_apic
from kernel.arch.x86_64.acpi import LEGACY_INTERRUPTS
from kernel.arch.x86_64.apic import first_io_apic, local
from kernel.arch.x86_64.platform import platform
from kernel.lang import *

DEVICE_VECTORS = 0x30


@fn
def input_of(interrupt: u8) -> u32:
    """The I/O APIC's input, where the MADT's overrides say (ACPI 5.2.12.5)."""
    assert interrupt < LEGACY_INTERRUPTS, "no ISA interrupt"
    return platform.interrupt_of[interrupt] - platform.io_apics[0].interrupt_base


@fn
def vector_of(interrupt: u8) -> u8:
    """The vector of an ISA interrupt."""
    return exact(input_of(interrupt) + DEVICE_VECTORS, u8)


@fn
def enable_isa(interrupt: u8) -> None:
    """Lets an ISA interrupt through to this CPU."""
    flags = platform.interrupt_flags[interrupt]
    io_apic.route(first_io_apic(), input_of(interrupt), vector_of(interrupt), flags, local().apic_id.read().id)
