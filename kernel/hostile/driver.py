"""A driver to be killed in the middle of its work: sets the alarm of the machine's clock, and waits for its interrupt.

Between the two the device works by itself, and will interrupt whether its driver lives or not.
"""

from kernel.abi import TICKS_PER_SECOND, Error
from kernel.arch.aarch64 import pl031
from kernel.arch.objects import pointer_maker
from kernel.arch.x86_64 import hpet
from kernel.hostile import roles
from kernel.lang import *
from kernel.user import calls
from kernel.user.first_table import first_life
from rtl.registers import goldfish_rtc

CLOCK_AT = 0x1010_0000
"""Where the first program maps its registers."""
SOON = 50_000  # ticks until the alarm, where the clock is fine enough
NANOSECONDS = 1_000_000_000 // TICKS_PER_SECOND
LIMIT = 30 * TICKS_PER_SECOND
BIT = 1

goldfish_at = pointer_maker(goldfish_rtc.Registers)
pl031_at = pointer_maker(pl031.Registers)
hpet_at = pointer_maker(hpet.Registers)


@fn
def quiet_goldfish() -> None:
    """No alarm, no interrupt: whatever an earlier life of this driver began."""
    clock = goldfish_at(CLOCK_AT)
    clock.irq_enabled.write(enabled=False)
    clock.clear_alarm.write(1)
    clock.clear_interrupt.write(1)


@fn
def begin_goldfish() -> None:
    """An alarm, soon."""
    clock = goldfish_at(CLOCK_AT)
    low = u64(clock.time_low.read())
    at = (u64(clock.time_high.read()) << 32 | low) + SOON * NANOSECONDS
    clock.irq_enabled.write(enabled=True)
    clock.alarm_high.write(trunc(at >> 32, u32))
    clock.alarm_low.write(trunc(at, u32))


@fn
def quiet_pl031() -> None:
    """The same."""
    clock = pl031_at(CLOCK_AT)
    clock.imsc.write(alarm=False)
    clock.icr.write(alarm=True)


@fn
def begin_pl031() -> None:
    """An alarm at the second after the next."""
    clock = pl031_at(CLOCK_AT)
    clock.mr.write(u32(w32(clock.dr.read()) + 2))
    clock.imsc.write(alarm=True)


@fn
def quiet_hpet() -> None:
    """The same. Where its interrupt goes was chosen when the machine started."""
    clock = hpet_at(CLOCK_AT)
    clock.comparator_0_configuration.write(level=True, route=clock.comparator_0_configuration.read().route)
    clock.interrupt_status.write(comparator_0=True)


@fn
def begin_hpet() -> None:
    """An alarm, soon."""
    clock = hpet_at(CLOCK_AT)
    later = hpet.frequency(clock) // TICKS_PER_SECOND * SOON
    clock.comparator_0.write(clock.counter.read() + later)
    route = clock.comparator_0_configuration.read().route
    clock.comparator_0_configuration.write(level=True, enable=True, route=route)


quiet = by_arch(riscv64=quiet_goldfish, aarch64=quiet_pl031, x86_64=quiet_hpet, host=quiet_goldfish)
begin = by_arch(riscv64=begin_goldfish, aarch64=begin_pl031, x86_64=begin_hpet, host=begin_goldfish)


@fn
def drive() -> u64:
    """Its life: 0 when the interrupt came."""
    bits: u64 = 0
    interrupt = first_life(roles.CLOCK_INTERRUPT)
    quiet()
    # What an earlier life had bound stays bound, and may be masked: this ends it, and begins anew.
    _ = calls.interrupt_bind(interrupt, 0, 0)
    _ = calls.wait(first_life(roles.TICK), 0, ptr(bits))
    if calls.interrupt_bind(interrupt, first_life(roles.TICK), BIT) != Error.NONE:
        return 1
    begin()
    _ = calls.notify(first_life(roles.BELL), 1)
    if calls.wait(first_life(roles.TICK), LIMIT, ptr(bits)) != Error.NONE or bits != BIT:
        return 2
    quiet()
    return 0 if calls.interrupt_acknowledge(interrupt) == Error.NONE else 3
