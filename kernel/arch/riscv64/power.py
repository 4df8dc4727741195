"""The end of the machine: SBI's System Reset extension (chapter 10), or the test finisher of the device tree.

OpenSBI before 1.3 says "passed" to the finisher whatever the reason is; so a failure is told to the finisher itself.
"""

from typing import Never

from kernel import devicetree
from kernel.arch.riscv64 import cpu, paging, sbi
from kernel.boot_info import BootInfo
from kernel.boot_tree import tree
from kernel.devicetree import NO_NODE, Range
from kernel.lang import *
from rtl.registers import sifive_test

SHUTDOWN, COLD_REBOOT = 0, 1
NO_REASON, SYSTEM_FAILURE = 0, 1

finisher = variable(usize, 0)


@fn
def initialize(blob: View[u8], info: Ptr[BootInfo]) -> None:
    """Finds the finisher."""
    global finisher
    node = devicetree.find_compatible(blob, ptr(tree), 0, "sifive,test1")
    found = Range(base=0, size=0)
    if node != NO_NODE:
        if devicetree.read_reg(blob, ptr(tree), node, 0, ptr(found)):
            finisher = paging.map_device(info, found.base, found.size)


@fn
def device() -> Ptr[sifive_test.Registers]:
    """The finisher's; only where there is one."""
    return pointer_at(finisher, sifive_test.Registers)


@fn
def power_off(code: u16) -> Never:
    """Ends the machine; a code other than 0 says that something failed, and is the simulator's exit status."""
    if code != 0 and finisher != 0:
        device().finish.write(command=sifive_test.Command.FAIL, code=code)
    _ = sbi.call(sbi.SRST, 0, SHUTDOWN, SYSTEM_FAILURE if code != 0 else NO_REASON, 0)
    if finisher != 0:
        device().finish.write(command=sifive_test.Command.PASS)
    cpu.halt()


@fn
def reboot() -> Never:
    """Starts the machine again."""
    _ = sbi.call(sbi.SRST, 0, COLD_REBOOT, NO_REASON, 0)
    if finisher != 0:
        device().finish.write(command=sifive_test.Command.RESET)
    cpu.halt()
