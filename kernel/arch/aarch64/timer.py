"""The timer: the virtual one of the generic timer (DDI 0487 D12), whose interrupt the device tree names."""

from kernel.abi import TICKS_PER_SECOND
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


@assembly("aarch64", "umulh {result}, {left}, {right}")
def multiply_high(left: u64, right: u64) -> u64:
    """The upper half of the product."""
    return left * right >> 64


NEVER = (1 << 64) - 1
hz = variable(u64, 0)
ticks_factor = variable(u64, 0)  # TICKS_PER_SECOND / hz, times 2^64


@fn
def fraction(part: u64, whole: u64) -> u64:
    """part * 2^64 // whole, for a part that is less than the whole: long division, once."""
    rest = part
    result: u64 = 0
    for _ in range(64):
        rest = rest << 1
        result = result << 1
        if rest >= whole:
            rest -= whole
            result |= 1
    return result


@fn
def ticks_at(count: u64) -> u64:
    """A count in the microkernel's ticks, of which TICKS_PER_SECOND make a second: one multiplication."""
    return multiply_high(count, ticks_factor)


@fn
def count_at(ticks: u64) -> u64:
    """The count, to a tick, at which so many have passed; NEVER where that is beyond all time."""
    seconds = ticks // TICKS_PER_SECOND
    if seconds >= NEVER // hz - 1:
        return NEVER
    return seconds * hz + ticks % TICKS_PER_SECOND * hz // TICKS_PER_SECOND + 1


@fn
def initialize(info: Ptr[BootInfo]) -> None:
    """On, with no deadline."""
    global hz, ticks_factor
    assert info.timer_hz != 0, "the firmware gives no counter frequency (CNTFRQ_EL0)"
    assert info.timer_hz > TICKS_PER_SECOND and info.timer_hz < 1 << 40, "the counter is too slow or too fast"
    hz = info.timer_hz
    ticks_factor = fraction(TICKS_PER_SECOND, hz)
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
