"""Time: the time-stamp counter is the clock, the local APIC's timer the alarm. Both are measured, not assumed.

The yardstick is the HPET where ACPI names one, else the 8254. Interrupts are off while it is read, and the shortest of
a few runs counts: whatever disturbs one makes it longer.
"""

from kernel.abi import TICKS_PER_SECOND
from kernel.arch.x86_64 import hpet, io_apic, local_apic, paging, pit
from kernel.arch.x86_64.apic import first_io_apic, local
from kernel.arch.x86_64.instructions import divide_high, multiply_high, read_timestamp
from kernel.arch.x86_64.platform import platform
from kernel.boot_info import BootInfo
from kernel.lang import *

TIMER_VECTOR = 0xF0
SAMPLE_HZ = 200  # A run takes 1/200 of a second.
RUNS = 3
PATIENCE = 1 << 26

NEVER = (1 << 64) - 1

timestamp_hz = variable(u64, 0)
ticks_factor = variable(u64, 0)  # TICKS_PER_SECOND / timestamp_hz, times 2^64
apic_hz = variable(u64, 0)  # of the local APIC's timer, divided
deadline = variable(u64, 0)
expirations = variable(u64, 0)
by_hpet = variable(bool, False)


@struct
class Measured:
    """Counts of one run: of the yardstick, the time-stamp counter and the local APIC's timer."""

    yardstick: u64
    timestamp: u64
    apic: u64


@fn
def now() -> u64:
    """The clock, in ticks of `timer_hz`."""
    return read_timestamp()


@fn
def measure_by_hpet(clock: Ptr[hpet.Registers], counts: u64, into: Ptr[Measured]) -> None:
    """One run of at least `counts` of the HPET."""
    start = clock.counter.read()
    timestamp = read_timestamp()
    first = local().current_count.read()
    passed: u64 = 0
    while bounded(passed < counts, PATIENCE):
        passed = hpet.elapsed(clock, start)
    into.yardstick = passed
    into.timestamp = read_timestamp() - timestamp
    into.apic = u64(first - local().current_count.read())


@fn
def measure_by_pit(into: Ptr[Measured]) -> None:
    """One run of the 8254."""
    counts: u16 = pit.FREQUENCY // SAMPLE_HZ
    first = local().current_count.read()
    timestamp = read_timestamp()
    pit.start(counts)
    pit.wait()
    into.yardstick = u64(counts)
    into.timestamp = read_timestamp() - timestamp
    into.apic = u64(first - local().current_count.read())


@fn
def scaled(counts: u64, per_second: u64, of: u64) -> u64:
    """counts * per_second / of, rounded down; without overflow while `of` is counted in a fraction of a second."""
    return counts // of * per_second + counts % of * per_second // of


@fn
def initialize(info: Ptr[BootInfo]) -> None:
    """Measures both counters."""
    global timestamp_hz, apic_hz, by_hpet, ticks_factor
    frequency: u64 = 0
    clock_at: usize = 0
    if platform.hpet != 0:
        clock_at = paging.map_device(info, platform.hpet, hpet.Registers.size)
        frequency = hpet.frequency(pointer_at(clock_at, hpet.Registers))
    by_hpet = frequency != 0
    if by_hpet:
        hpet.start(pointer_at(clock_at, hpet.Registers))
        info.clock_base = platform.hpet
        inputs = io_apic.interrupt_count(first_io_apic())
        info.clock_interrupt = hpet.route_alarm(pointer_at(clock_at, hpet.Registers), inputs)
    local_apic.start_counting(local())
    best = zero(Measured)
    run = zero(Measured)
    for _ in range(RUNS):
        if by_hpet:
            measure_by_hpet(pointer_at(clock_at, hpet.Registers), frequency // SAMPLE_HZ, ptr(run))
        else:
            frequency = pit.FREQUENCY
            measure_by_pit(ptr(run))
        if best.yardstick == 0 or run.timestamp < best.timestamp:
            copy(best, run)
    local_apic.stop_timer(local())
    timestamp_hz = scaled(best.timestamp, frequency, best.yardstick)
    apic_hz = scaled(best.apic, frequency, best.yardstick)
    assert timestamp_hz > TICKS_PER_SECOND and apic_hz != 0, "the time-stamp counter or the APIC's timer stands still"
    ticks_factor = divide_high(TICKS_PER_SECOND, timestamp_hz)
    info.timer_hz = timestamp_hz


@fn
def ticks_at(timestamp: u64) -> u64:
    """A time-stamp in the microkernel's ticks, of which TICKS_PER_SECOND make a second: one multiplication."""
    return multiply_high(timestamp, ticks_factor)


@fn
def timestamp_at(ticks: u64) -> u64:
    """The time-stamp, to a tick, at which so many have passed; NEVER where that is beyond all time."""
    seconds = ticks // TICKS_PER_SECOND
    if seconds >= NEVER // timestamp_hz - 1:
        return NEVER
    rest = ticks % TICKS_PER_SECOND
    return seconds * timestamp_hz + rest * timestamp_hz // TICKS_PER_SECOND + 1


@fn
def set_deadline(ticks: u64) -> None:
    """Interrupts when the clock reads `ticks`, or at once where it is past that."""
    global deadline
    deadline = ticks
    arm()


@fn
def arm() -> None:
    """Starts the local APIC's timer for the deadline, or for as much of the way there as it counts."""
    here = now()
    left = deadline - here if deadline > here else 0
    seconds = left // timestamp_hz
    counts: u64 = 0xFFFF_FFFF
    if seconds < 3600:
        counts = seconds * apic_hz + left % timestamp_hz * (apic_hz // 1000) // (timestamp_hz // 1000) + 1
    local_apic.start_timer(local(), TIMER_VECTOR, trunc(min(counts, 0xFFFF_FFFF), u32), False)


@fn
def expired() -> bool:
    """The timer interrupted: whether the deadline is there. Where it is not, the timer goes on."""
    global expirations
    if now() < deadline:
        arm()
        return False
    expirations += 1
    return True


@fn
def cancel() -> None:
    """No interrupt until the next deadline."""
    local_apic.stop_timer(local())
