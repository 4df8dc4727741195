"""Interrupts: the APICs set up from what ACPI says, and what an interrupt does."""

from kernel.arch.x86_64 import apic, console, io_apic, local_apic, paging, pic, routing, timer
from kernel.arch.x86_64.apic import first_io_apic, local
from kernel.arch.x86_64.instructions import read_msr, write_msr
from kernel.arch.x86_64.local_apic import APIC_BASE_ENABLE, MSR_APIC_BASE
from kernel.arch.x86_64.platform import platform
from kernel.arch.x86_64.timer import TIMER_VECTOR
from kernel.boot_info import BootInfo, ControllerKind
from kernel.core.interrupts import arrived
from kernel.lang import *

PIC_VECTORS = 0x20  # Sixteen: spurious ones of the 8259s, which are masked.
SPURIOUS_VECTOR = 0xFF

spurious = variable(u64, 0)
served = variable(u64, 0)
console_connected = variable(bool, False)


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
def dispatch(vector: u8) -> bool:
    """Serves an interrupt of a device; true for the timer's, when its deadline has come.

    A spurious one is counted, and gets no end-of-interrupt (SDM volume 3, 11.9). The end comes before what a deadline
    leads to, since that may be another thread.
    """
    global spurious, served
    if vector == SPURIOUS_VECTOR or vector < routing.DEVICE_VECTORS:
        spurious += 1
        return False
    if vector == TIMER_VECTOR:
        local_apic.end_interrupt(local())
        return timer.expired()
    served += 1
    if console_connected and vector == routing.vector_of(console.COM1_INTERRUPT):
        console.receive()
    else:
        arrived(u64(vector - routing.DEVICE_VECTORS) + u64(platform.io_apics[0].interrupt_base))
    local_apic.end_interrupt(local())
    return False


@fn
def connect_console() -> None:
    """Typed bytes come by interrupt from now on."""
    global console_connected
    if console.present:
        console_connected = True
        console.enable_interrupt()


@fn
def disconnect_console() -> None:
    """The console's interrupt is a driver's from now on."""
    global console_connected
    if console_connected:
        io_apic.mask(first_io_apic(), routing.input_of(console.COM1_INTERRUPT))
        console_connected = False
