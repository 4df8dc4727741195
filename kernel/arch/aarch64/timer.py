"""The timer: the virtual one of the generic timer (DDI 0487 D12), whose interrupt the device tree names."""

from kernel.arch.aarch64 import cpu
from kernel.boot_info import BootInfo
from kernel.lang import *

ENABLE = 1


@assembly("aarch64", "msr cntv_cval_el0, {ticks}\nisb", clobbers=["memory"])
def write_compare(ticks: u64) -> None:
    """CNTV_CVAL_EL0: the condition is met while the counter is at or past it."""


@assembly("aarch64", "msr cntv_ctl_el0, {value}\nisb", clobbers=["memory"])
def write_control(value: u64) -> None:
    """CNTV_CTL_EL0: bit 0 enables, bit 1 masks the interrupt."""


NEVER = (1 << 64) - 1


@fn
def initialize(info: Ptr[BootInfo]) -> None:
    """On, with no deadline."""
    assert info.timer_hz != 0, "the firmware gives no counter frequency (CNTFRQ_EL0)"
    write_compare(NEVER)
    write_control(ENABLE)


@fn
def now() -> u64:
    """Ticks since reset."""
    return cpu.read_time()


@fn
def set_deadline(ticks: u64) -> None:
    """The next timer interrupt comes at this time; the pending one is gone."""
    write_compare(ticks)
