"""Interrupts: which vector is whose, the APICs set up from what ACPI says, and what an interrupt does."""

from kernel.arch.x86_64 import apic, io_apic, local_apic, paging, pic, timer
from kernel.arch.x86_64.acpi import LEGACY_INTERRUPTS
from kernel.arch.x86_64.apic import first_io_apic, local
from kernel.arch.x86_64.instructions import read_msr, write_msr
from kernel.arch.x86_64.local_apic import APIC_BASE_ENABLE, MSR_APIC_BASE
from kernel.arch.x86_64.platform import platform
from kernel.arch.x86_64.timer import TIMER_VECTOR
from kernel.boot_info import BootInfo, ControllerKind
from kernel.lang import *

PIC_VECTORS = 0x20  # Sixteen: spurious ones of the 8259s, which are masked.
DEVICE_VECTORS = 0x30
SPURIOUS_VECTOR = 0xFF

boot_apic_id = variable(u8, 0)
spurious = variable(u64, 0)


@fn
def initialize(info: Ptr[BootInfo]) -> None:
    """The 8259s silent, the local APIC on, every input of the first I/O APIC masked."""
    global boot_apic_id
    pic.disable(PIC_VECTORS)
    write_msr(MSR_APIC_BASE, read_msr(MSR_APIC_BASE) | APIC_BASE_ENABLE)
    info.controller = ControllerKind.APIC
    info.controller_base = platform.io_apics[0].base
    info.controller_base_2 = platform.local_apic
    local_at = paging.map_device(info, platform.local_apic, local_apic.Registers.size)
    io_apic_at = paging.map_device(info, platform.io_apics[0].base, io_apic.Registers.size)
    apic.set_registers(local_at, io_apic_at)
    local_apic.enable(local(), SPURIOUS_VECTOR)
    boot_apic_id = local().apic_id.read().id
    info.hart = u64(boot_apic_id)
    io_apic.mask_all(first_io_apic())


@fn
def enable_isa(interrupt: u8) -> None:
    """Lets an ISA interrupt through, where and how the MADT's overrides say (ACPI 5.2.12.5)."""
    assert interrupt < LEGACY_INTERRUPTS
    base = platform.io_apics[0].interrupt_base
    number = platform.interrupt_of[interrupt] - base
    vector = exact(u32(DEVICE_VECTORS) + number, u8)
    io_apic.route(first_io_apic(), number, vector, platform.interrupt_flags[interrupt], boot_apic_id)


@fn
def dispatch(vector: u8) -> None:
    """What an interrupt does. A spurious one is counted, and gets no end-of-interrupt (SDM volume 3, 11.9)."""
    global spurious
    if vector == SPURIOUS_VECTOR or vector < DEVICE_VECTORS:
        spurious += 1
        return
    if vector == TIMER_VECTOR:
        _ = timer.expired()
    local_apic.end_interrupt(local())
