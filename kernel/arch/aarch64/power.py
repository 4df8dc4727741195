"""The end of the machine, through PSCI (DEN 0022): by the instruction that the device tree or ACPI's FADT names."""

from enum import IntEnum
from typing import Never

from kernel import devicetree
from kernel.arch.aarch64 import cpu
from kernel.boot_tree import tree
from kernel.devicetree import NO_NODE
from kernel.lang import *

SYSTEM_OFF = 0x8400_0008
SYSTEM_RESET = 0x8400_0009
APPLICATION_EXIT = 0x2_0026  # ADP_Stopped_ApplicationExit

_CHANGED = ["memory", *(f"x{n}" for n in range(18))]


@enum(u8)
class Method(IntEnum):
    """How PSCI is called; NONE: nobody said."""

    NONE = 0
    HVC = 1
    SMC = 2


@struct
class ExitBlock:
    """What semihosting's SYS_EXIT is given (Arm's Semihosting for AArch32 and AArch64, 7.9)."""

    reason: u64
    status: u64


method = variable(Method, Method.NONE)
exit_block = variable(ExitBlock)
asks_host = variable(bool, False)


@assembly("aarch64", "mov x0, {function}\nhvc #0", clobbers=_CHANGED)
def hypervisor_call(function: u64) -> None:
    """SMC Calling Convention (DEN 0028), through EL2."""


@assembly("aarch64", "mov x0, {function}\n.inst 0xd4000003", clobbers=_CHANGED)
def secure_call(function: u64) -> None:
    """SMC Calling Convention (DEN 0028), through EL3: `smc #0`, which the assembler gives to EL3's CPUs only."""


@assembly("aarch64", "mov x0, #0x18\nmov x1, {block}\nhlt #0xf000", clobbers=["memory", "x0", "x1"])
def exit_of_host(block: u64) -> None:
    """Semihosting's SYS_EXIT, which ends a simulated machine; on others the instruction is undefined."""


@fn
def find(blob: View[u8]) -> None:
    """The method of the tree's /psci node."""
    global method
    node = devicetree.find_child(blob, ptr(tree), 0, 1, "psci")
    if node != NO_NODE:
        value = devicetree.property(blob, ptr(tree), node, "method")
        if devicetree.text_is(value, 0, len(value), "smc"):
            method = Method.SMC
        elif devicetree.text_is(value, 0, len(value), "hvc"):
            method = Method.HVC


@fn
def use_acpi(psci: bool, hvc: bool) -> None:
    """The method that the FADT says."""
    global method
    if psci:
        method = Method.HVC if hvc else Method.SMC


@fn
def call(function: u64) -> Never:
    """A PSCI call that does not come back; where there is none, the CPU stops."""
    if method == Method.SMC:
        secure_call(function)
    elif method == Method.HVC:
        hypervisor_call(function)
    cpu.halt()


@fn
def power_off(code: u16) -> Never:
    """Ends the machine. PSCI cannot say that something failed; a simulator can be asked to."""
    global asks_host
    if code != 0 and not asks_host:
        asks_host = True
        exit_block.reason = APPLICATION_EXIT
        exit_block.status = u64(code)
        exit_of_host(u64(address_of(ptr(exit_block))))
    call(SYSTEM_OFF)


@fn
def reboot() -> Never:
    """Starts the machine again."""
    call(SYSTEM_RESET)
