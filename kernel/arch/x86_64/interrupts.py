"""Interrupts: the APICs set up from what ACPI says, and what an interrupt does."""

from kernel import clock
from kernel.arch.x86_64 import apic, console, io_apic, local_apic, paging, pic, routing, timer
from kernel.arch.x86_64.apic import first_io_apic, local
from kernel.arch.x86_64.instructions import read_msr, write_msr
from kernel.arch.x86_64.local_apic import APIC_BASE_ENABLE, MSR_APIC_BASE
from kernel.arch.x86_64.platform import platform
from kernel.arch.x86_64.timer import TIMER_VECTOR
from kernel.boot_info import BootInfo, ControllerKind
from kernel.lang import *

PIC_VECTORS = 0x20  # Sixteen: spurious ones of the 8259s, which are masked.
SPURIOUS_VECTOR = 0xFF

spurious = variable(u64, 0)
served = variable(u64, 0)


@fn
def initialize(info: Ptr[BootInfo]) -> None:
    """The 8259s silent, the local APIC on, every input of the first I/O APIC masked."""
    pic.disable(PIC_VECTORS)
    write_msr(MSR_APIC_BASE, read_msr(MSR_APIC_BASE) | APIC_BASE_ENABLE)
    info.controller = ControllerKind.APIC
    info.controller_base = platform.io_apics[0].base
    info.controller_base_2 = platform.local_apic
    local_at = paging.map_device(info, platform.local_apic, local_apic.Registers.size)
    io_apic_at = paging.map_device(info, platform.io_apics[0].base, io_apic.Registers.size)
    apic.set_registers(local_at, io_apic_at)
    local_apic.enable(local(), SPURIOUS_VECTOR)
    info.hart = u64(local().apic_id.read().id)
    io_apic.mask_all(first_io_apic())


@fn
def dispatch(vector: u8) -> None:
    """What an interrupt does. A spurious one is counted, and gets no end-of-interrupt (SDM volume 3, 11.9)."""
    global spurious, served
    if vector == SPURIOUS_VECTOR or vector < routing.DEVICE_VECTORS:
        spurious += 1
        return
    if vector == TIMER_VECTOR:
        if timer.expired():
            clock.interrupt()
    else:
        served += 1
        if vector == routing.vector_of(console.COM1_INTERRUPT):
            console.receive()
    local_apic.end_interrupt(local())
