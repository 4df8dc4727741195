"""The end of the machine, through SBI's System Reset extension (chapter 10)."""

from typing import Never

from kernel.arch.riscv64 import cpu, sbi
from kernel.lang import *


@fn
def power_off(code: u32) -> Never:
    """Ends the machine; a code other than 0 says that something failed (reset reason "system failure")."""
    _ = sbi.call(sbi.SRST, 0, 0, 1 if code != 0 else 0, 0)
    cpu.halt()


@fn
def reboot() -> Never:
    """Starts the machine again (cold reboot)."""
    _ = sbi.call(sbi.SRST, 0, 1, 0, 0)
    cpu.halt()
