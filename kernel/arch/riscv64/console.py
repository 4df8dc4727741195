"""The console: the ns16550 that the device tree names, or else the firmware's debug console.

Output is polled, input comes by interrupt into `kernel.input_ring`. What the firmware's console has typed is asked for.
"""

from kernel import devicetree, input_ring
from kernel.arch.riscv64 import paging, sbi
from kernel.boot_info import BootInfo, ConsoleKind
from kernel.boot_tree import console_node, tree
from kernel.devicetree import NO_NODE, Range
from kernel.lang import *
from rtl.registers import ns16550

NO_BYTE = input_ring.NO_BYTE
PATIENCE = 1 << 20  # reads of LSR: a character takes 87 us at 115,200 baud
FIFO_BYTES = 16

kind = variable(ConsoleKind, ConsoleKind.SBI)
base = variable(usize, 0)
interrupt = variable(u32, 0)
connected = variable(bool, False)  # the kernel takes its interrupt


@fn
def find(blob: View[u8], info: Ptr[BootInfo]) -> None:
    """The UART of /chosen/stdout-path, or the first one; registers must be bytes, one after the other."""
    here = ptr(tree)
    node = console_node(blob)
    if node == NO_NODE or not devicetree.is_compatible(blob, here, node, "ns16550a"):
        node = devicetree.find_compatible(blob, here, 0, "ns16550a")
    found = Range(base=0, size=0)
    info.console = ConsoleKind.SBI
    if node == NO_NODE or devicetree.property_word(blob, here, node, "reg-shift", 0) != 0:
        return
    if devicetree.property_word(blob, here, node, "reg-io-width", 1) != 1:
        return
    if not devicetree.read_reg(blob, here, node, 0, ptr(found)):
        return
    info.console = ConsoleKind.NS16550
    info.console_base = found.base
    info.console_stride = 1
    info.console_interrupt = devicetree.property_word(blob, here, node, "interrupts", 0)


@fn
def initialize(info: Ptr[BootInfo]) -> None:
    """Goes over to the console of `info`: 8 data bits, FIFOs on; the baud rate is what the firmware set."""
    global kind, base, interrupt
    if info.console != ConsoleKind.NS16550:
        return
    base = paging.map_device(info, info.console_base, ns16550.Registers.size)
    interrupt = info.console_interrupt
    here = uart()
    here.lcr.write(word_length=ns16550.WordLength.EIGHT)
    here.ier.write(received_data=False)
    here.fcr.write(enable=True, trigger=ns16550.TriggerLevel.BYTES_1)
    kind = ConsoleKind.NS16550


@fn
def uart() -> Ptr[ns16550.Registers]:
    """Its registers."""
    return pointer_at(base, ns16550.Registers)


@fn
def write_byte(byte: u8) -> None:
    """Sends a byte when the transmitter has room (16550D section 8.4, LSR bit 5); a stuck one loses it."""
    if kind != ConsoleKind.NS16550:
        sbi.write_byte(byte)
        return
    here = uart()
    for _ in range(PATIENCE):
        if here.lsr.read().thr_empty:
            here.thr.write(byte)
            return


@fn
def enable_interrupt() -> None:
    """A received byte interrupts."""
    uart().ier.write(received_data=True)


@fn
def receive() -> None:
    """The UART's interrupt: takes what has been typed."""
    here = uart()
    for _ in range(4 * FIFO_BYTES):
        if not here.lsr.read().data_ready:
            return
        input_ring.put(here.rbr.read())


@fn
def read_byte() -> u16:
    """The next byte typed, or NO_BYTE."""
    if kind == ConsoleKind.NS16550:
        return input_ring.take()
    return sbi.read_byte()
