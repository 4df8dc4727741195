"""The end of the machine, through PSCI (DEN 0022): by the instruction that the device tree or ACPI's FADT names."""

from typing import Never

from kernel import devicetree
from kernel.arch.aarch64 import cpu
from kernel.boot_tree import tree
from kernel.devicetree import NO_NODE
from kernel.lang import *

SYSTEM_OFF = 0x8400_0008
SYSTEM_RESET = 0x8400_0009

_CHANGED = ["memory", *(f"x{n}" for n in range(18))]

uses_smc = variable(bool, False)


@assembly("aarch64", "mov x0, {function}\nhvc #0", clobbers=_CHANGED)
def hypervisor_call(function: u64) -> None:
    """SMC Calling Convention (DEN 0028), through EL2."""


@assembly("aarch64", "mov x0, {function}\n.inst 0xd4000003", clobbers=_CHANGED)
def secure_call(function: u64) -> None:
    """SMC Calling Convention (DEN 0028), through EL3: `smc #0`, which the assembler gives to EL3's CPUs only."""


@fn
def find(blob: View[u8]) -> None:
    """The method of the tree's /psci node."""
    global uses_smc
    node = devicetree.find_child(blob, ptr(tree), 0, 1, "psci")
    if node != NO_NODE:
        value = devicetree.property(blob, ptr(tree), node, "method")
        uses_smc = devicetree.text_is(value, 0, len(value), "smc")


@fn
def call(function: u64) -> Never:
    """A PSCI call that does not come back."""
    if uses_smc:
        secure_call(function)
    else:
        hypervisor_call(function)
    cpu.halt()


@fn
def power_off(code: u16) -> Never:
    """Ends the machine. PSCI has no way to say that something failed: the console does."""
    call(SYSTEM_OFF)


@fn
def reboot() -> Never:
    """Starts the machine again."""
    call(SYSTEM_RESET)
