"""I/O ports for user-mode drivers: the console's eight, for the address space that has its device page mapped.

A port has no page that could be mapped. So the capability to a device at a port is one to the page with the port's
number, page 0, which holds nothing else (the boot's memory map never has it), and a driver maps it at PORT_WINDOW to
say that it will use the ports. The first IN or OUT of a program is a general protection fault; `allow` looks whether
the page is there, and opens the ports in the I/O permission bitmap (SDM volume 1, 19.5.2) until another address space
runs or a page is unmapped.
"""

from kernel.arch.x86_64 import io_apic, paging, routing
from kernel.arch.x86_64.apic import first_io_apic, local
from kernel.arch.x86_64.descriptors import set_console_ports
from kernel.arch.x86_64.instructions import read_cr3
from kernel.arch.x86_64.layout import PAGE_BYTES
from kernel.arch.x86_64.platform import platform
from kernel.lang import *
from kernel.user.layout import CONSOLE_AT

PORT_WINDOW = CONSOLE_AT
LEVEL_HIGH = 0x000D  # MPS INTI flags: a device that still wants something interrupts again once it is let through

is_open = variable(bool, False)


@fn
def page_at(address: u64) -> u64:
    """The entry that maps a user address in the current address space; 0 where there is none."""
    table = read_cr3() & ~u64(PAGE_BYTES - 1)
    for step in range(4):
        entry = paging.table_at(table)[address >> (39 - 9 * step) & 511]
        if not entry.present:
            return 0
        if step == 3:
            return u64(entry)
        table = entry.frame << 12
    return 0


@fn
def allow() -> bool:
    """A program's IN or OUT was refused: whether it may be made again, since the ports are open now."""
    global is_open
    entry = paging.Entry(page_at(PORT_WINDOW))
    if is_open or not entry.present or not entry.user or not entry.writable or entry.frame != 0:
        return False
    set_console_ports(True)
    is_open = True
    return True


@fn
def close() -> None:
    """Nobody may use ports."""
    global is_open
    if is_open:
        set_console_ports(False)
        is_open = False


@fn
def route_level(number: u32) -> None:
    """Lets an interrupt through, level-triggered: while it was masked, an edge would have been lost."""
    index = number - platform.io_apics[0].interrupt_base
    vector = exact(index + routing.DEVICE_VECTORS, u8)
    io_apic.route(first_io_apic(), index, vector, LEVEL_HIGH, local().apic_id.read().id)
