"""The console: the PL011 that the device tree (or ACPI's SPCR) names. Output is polled, input comes by interrupt."""

from kernel import devicetree, input_ring
from kernel.arch.aarch64 import paging
from kernel.arch.aarch64.pl011 import Registers
from kernel.arch.aarch64.specifier import interrupt_of
from kernel.boot_info import BootInfo, ConsoleKind
from kernel.boot_tree import console_node, tree
from kernel.devicetree import NO_NODE, Range
from kernel.lang import *

NO_BYTE = input_ring.NO_BYTE
PATIENCE = 1 << 20
FIFO_BYTES = 32
LAST_RESORT = 0x0900_0000  # QEMU's virt machine: only to say why there is no other console

base = variable(usize, 0)
interrupt = variable(u32, 0)


@fn
def find(blob: View[u8], info: Ptr[BootInfo]) -> None:
    """The UART of /chosen/stdout-path, or the first one."""
    here = ptr(tree)
    node = console_node(blob)
    if node == NO_NODE or not devicetree.is_compatible(blob, here, node, "arm,pl011"):
        node = devicetree.find_compatible(blob, here, 0, "arm,pl011")
    found = Range(base=0, size=0)
    if node == NO_NODE:
        return
    if not devicetree.read_reg(blob, here, node, 0, ptr(found)):
        return
    info.console = ConsoleKind.PL011
    info.console_base = found.base
    info.console_stride = 4
    info.console_interrupt = interrupt_of(blob, node, 0)


@fn
def initialize(info: Ptr[BootInfo]) -> None:
    """On, as the firmware set its speed: 8 data bits, FIFOs, no interrupts yet."""
    global base, interrupt
    if info.console != ConsoleKind.PL011:
        return
    base = paging.map_device(info, info.console_base, Registers.size)
    interrupt = info.console_interrupt
    set_up()


@fn
def last_resort() -> None:
    """Before anything is known of the machine: the console that QEMU's has, to say what is wrong."""
    global base
    base = paging.map_early_device(LAST_RESORT)
    set_up()


@fn
def set_up() -> None:
    """The registers."""
    here = uart()
    here.imsc.write(receive=False)
    here.lcr_h.write(word_length=3, fifos=True)
    here.ifls.write(0)
    here.cr.write(enable=True, transmit_enable=True, receive_enable=True)


@fn
def uart() -> Ptr[Registers]:
    """Its registers."""
    return pointer_at(base, Registers)


@fn
def write_byte(byte: u8) -> None:
    """Sends a byte when the FIFO has room; a stuck one loses it. Without a console nothing is said."""
    if base == 0:
        return
    here = uart()
    for _ in range(PATIENCE):
        if not here.fr.read().transmit_full:
            here.dr.write(u32(byte))
            return


@fn
def enable_interrupt() -> None:
    """A received byte interrupts, whether the FIFO fills or the line falls silent."""
    uart().imsc.write(receive=True, receive_timeout=True)


@fn
def receive() -> None:
    """The UART's interrupt: takes what has been typed, which ends it."""
    here = uart()
    for _ in range(4 * FIFO_BYTES):
        if here.fr.read().receive_empty:
            return
        input_ring.put(trunc(here.dr.read(), u8))


@fn
def read_byte() -> u16:
    """The next byte typed, or NO_BYTE."""
    return input_ring.take()
