"""Device interrupts: the PLIC that the device tree names (RISC-V PLIC specification 1.0.0)."""

from kernel import devicetree
from kernel.arch.riscv64 import console, paging, timer
from kernel.boot_info import BootInfo, ConsoleKind, ControllerKind
from kernel.boot_tree import tree
from kernel.core.interrupts import arrived
from kernel.devicetree import MAX_NODES, NO_NODE, Range
from kernel.lang import *
from rtl.registers import plic

EXTERNAL_BIT = 1 << 9
SUPERVISOR_EXTERNAL = 9
MOST_AT_ONCE = 64  # interrupts served by one trap
# The description has the contexts of one hart; those of the others follow in the same strides.
ENABLE_STRIDE = plic.Registers.enable.array[0].stride
CLAIM_STRIDE = plic.Registers.claim.array[0].stride
CONTEXTS = plic.CONTEXTS
SOURCES = plic.SOURCES

base = variable(usize, 0)
context = variable(usize, 0)
served = variable(u64, 0)


@fn
def find(blob: View[u8], info: Ptr[BootInfo]) -> None:
    """The PLIC, and which of its contexts is the boot hart's supervisor mode."""
    here = ptr(tree)
    node = devicetree.find_compatible(blob, here, 0, "sifive,plic-1.0.0")
    if node == NO_NODE:
        node = devicetree.find_compatible(blob, here, 0, "riscv,plic0")
    found = Range(base=0, size=0)
    if node == NO_NODE:
        return
    if not devicetree.read_reg(blob, here, node, 0, ptr(found)):
        return
    # interrupts-extended: (phandle of a hart's interrupt controller, interrupt) a context.
    mine = hart_controller(blob, info.hart)
    value = devicetree.property(blob, here, node, "interrupts-extended")
    for i in bounded(range(len(value) // 8), devicetree.MAX_TOKENS):
        if devicetree.cell(value, 2 * i) == mine and devicetree.cell(value, 2 * i + 1) == SUPERVISOR_EXTERNAL:
            info.controller = ControllerKind.PLIC
            info.controller_base = found.base
            info.controller_bytes = found.size
            info.controller_context = trunc(i, u32)
            return


@fn
def hart_controller(blob: View[u8], hart: u64) -> u32:
    """The phandle of the interrupt controller in the node of a hart; 0 where there is none."""
    here = ptr(tree)
    cpus = devicetree.find_child(blob, here, 0, 1, "cpus")
    if cpus == NO_NODE:
        return 0
    node = devicetree.find_child(blob, here, cpus, cpus, "cpu")
    while bounded(node != NO_NODE, MAX_NODES):
        reg = devicetree.property(blob, here, node, "reg")
        if len(reg) <= 8 and devicetree.cells(reg, 0, len(reg) // 4) == hart:
            inner = devicetree.find_child(blob, here, node, node, "interrupt-controller")
            return here.nodes[usize(inner)].phandle if inner != NO_NODE else 0
        node = devicetree.find_child(blob, here, cpus, node + 1, "cpu")
    return 0


@fn
def initialize(info: Ptr[BootInfo]) -> None:
    """Lets every priority through to this hart; no source is enabled yet."""
    global base, context
    if info.controller != ControllerKind.PLIC:
        return
    base = paging.map_device(info, info.controller_base, info.controller_bytes)
    context = usize(info.controller_context)
    for word in range(plic.WORDS):
        enables().enable[context % CONTEXTS][word].write(0)
    claims().threshold[context % CONTEXTS].write(level=0)
    timer.enable(EXTERNAL_BIT)


@fn
def enables() -> Ptr[plic.Registers]:
    """The registers, moved so that this hart's enables are described."""
    return pointer_at(base + context // CONTEXTS * CONTEXTS * ENABLE_STRIDE, plic.Registers)


@fn
def claims() -> Ptr[plic.Registers]:
    """The registers, moved so that this hart's claim and threshold are described."""
    return pointer_at(base + context // CONTEXTS * CONTEXTS * CLAIM_STRIDE, plic.Registers)


@fn
def enable(source: u32) -> None:
    """Lets a source interrupt this hart."""
    assert source > 0 and source < SOURCES, "the interrupt is none of the PLIC's"
    pointer_at(base, plic.Registers).priority[usize(source - 1)].write(level=1)
    word = usize(source // 32)
    here = enables()
    here.enable[context % CONTEXTS][word].write(here.enable[context % CONTEXTS][word].read() | u32(1) << source % 32)


@fn
def disable(source: u32) -> None:
    """Keeps a source from this hart."""
    if source == 0 or source >= SOURCES:
        return
    word = usize(source // 32)
    here = enables()
    here.enable[context % CONTEXTS][word].write(here.enable[context % CONTEXTS][word].read() & ~(u32(1) << source % 32))


@fn
def dispatch() -> None:
    """Serves what is pending."""
    global served
    for _ in range(MOST_AT_ONCE):
        source = claims().claim[context % CONTEXTS].read()
        if source == 0:
            return
        served += 1
        if source == console.interrupt and console.connected:
            console.receive()
            claims().claim[context % CONTEXTS].write(source)
        else:
            # Completed first: a completion of a source that is masked is ignored (PLIC specification 1.0, chapter 9).
            claims().claim[context % CONTEXTS].write(source)
            arrived(u64(source))


@fn
def connect_console(info: Ptr[BootInfo]) -> None:
    """Typed bytes come by interrupt from now on, where the console and the controller can."""
    if info.console == ConsoleKind.NS16550 and info.controller == ControllerKind.PLIC and info.console_interrupt != 0:
        enable(info.console_interrupt)
        console.enable_interrupt()
        console.connected = True


@fn
def disconnect_console() -> None:
    """The console's interrupt is a driver's from now on."""
    if console.connected:
        disable(console.interrupt)
        console.connected = False
