"""Interrupt specifiers of a GIC in a device tree (bindings/interrupt-controller/arm,gic): kind, number, flags."""

from kernel import devicetree
from kernel.boot_tree import tree
from kernel.lang import *

SHARED, PRIVATE = 0, 1
FIRST_SHARED, FIRST_PRIVATE = 32, 16


@fn
def interrupt_of(blob: View[u8], node: u16, index: usize) -> u32:
    """The controller's number of the node's interrupt `index`; 0 where there is none."""
    value = devicetree.property(blob, ptr(tree), node, "interrupts")
    if (index + 1) * 12 > len(value):
        return 0
    kind = devicetree.cell(value, 3 * index)
    number = devicetree.cell(value, 3 * index + 1)
    if kind == SHARED and number < 988:
        return number + FIRST_SHARED
    if kind == PRIVATE and number < 16:
        return number + FIRST_PRIVATE
    return 0
