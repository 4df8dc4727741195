"""The timer: stimecmp where the hart has it (Sstc), else the firmware's TIME extension (SBI 2.0 chapter 6)."""

from kernel.arch.riscv64 import cpu, probe, sbi
from kernel.boot_info import BootInfo
from kernel.lang import *

has_stimecmp = variable(bool, False)


@assembly("riscv64", "csrw 0x14d, {deadline}")
def write_stimecmp(deadline: u64) -> None:
    """stimecmp: the interrupt is pending while time >= stimecmp (Sstc 1.0)."""


@assembly("riscv64", "csrs sie, {mask}")
def enable(mask: u64) -> None:
    """Sets bits of sie."""


TIMER_BIT = 1 << 5


@fn
def initialize(info: Ptr[BootInfo]) -> None:
    """Finds out which timer there is by trying: firmware may not let us use stimecmp (menvcfg.STCE)."""
    global has_stimecmp
    assert info.timer_hz != 0, "the device tree gives no timebase-frequency"
    probe.begin()
    write_stimecmp(NEVER)
    has_stimecmp = not probe.failed()
    set_deadline(NEVER)
    enable(TIMER_BIT)


NEVER = (1 << 64) - 1


@fn
def now() -> u64:
    """Ticks since reset."""
    return cpu.read_time()


@fn
def set_deadline(ticks: u64) -> None:
    """The next timer interrupt comes at this time; the pending one is gone."""
    if has_stimecmp:
        write_stimecmp(ticks)
    else:
        _ = sbi.call(sbi.TIME, 0, ticks, 0, 0)
