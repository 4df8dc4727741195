"""The high precision event timer (IA-PC HPET 1.0a, section 2.3): its main counter is a clock of known frequency, by
which the kernel measures others when it starts; afterwards all of it is for a driver, who has an alarm in comparator 0.
"""

from kernel.lang import Ptr, clz, fn, trunc, u8, u32, u64
from rtl.registers.description import Access, Field, Register, RegisterFile


class Registers(RegisterFile, size=0x400, access_bytes=(4, 8), gaps="zero"):
    """Table 2, with the first comparator."""

    capabilities = Register(
        0x000,
        64,
        Access.RO,
        fields={
            "revision": Field(0, 8),
            "comparators": Field(8, 5, doc="number of comparators minus one"),
            "wide": Field(13, doc="the main counter has 64 bits"),
            "legacy_route": Field(15),
            "vendor": Field(16, 16),
            "period": Field(32, 32, doc="femtoseconds of one count; at most 0x05F5_E100"),
        },
    )
    configuration = Register(0x010, 64, Access.RW, fields={"enable": Field(0), "legacy_route": Field(1)})
    interrupt_status = Register(0x020, 64, Access.W1C, fields={"comparator_0": Field(0)}, volatile=True)
    counter = Register(0x0F0, 64, Access.RW, volatile=True)
    comparator_0_configuration = Register(
        0x100,
        64,
        Access.RW,
        fields={
            "level": Field(1, doc="the interrupt is level-triggered, and in interrupt_status until it is cleared"),
            "enable": Field(2, doc="lets the interrupt through"),
            "periodic": Field(3),
            "narrow": Field(8, doc="compares 32 bits"),
            "route": Field(9, 5, doc="input of the I/O APIC"),
            "message": Field(14, doc="the interrupt is a message instead"),
            "routes": Field(32, 32, Access.RO, doc="inputs that `route` may name, a bit each"),
        },
    )
    comparator_0 = Register(0x108, 64, Access.RW)


MIN_PERIOD = 100_000  # 10 GHz: what claims to be faster is broken, and would make the arithmetic overflow
MAX_PERIOD = 0x05F5_E100
FEMTOSECONDS = 10**15
ISA_INPUTS = 0xFFFF


@fn
def frequency(hpet: Ptr[Registers]) -> u64:
    """Counts a second; 0 where the period is not one that the specification allows (2.3.4)."""
    period = hpet.capabilities.read().period
    if period < MIN_PERIOD or period > MAX_PERIOD:
        return 0
    return u64(FEMTOSECONDS) // u64(period)


@fn
def start(hpet: Ptr[Registers]) -> None:
    """Lets the main counter run; the legacy interrupts stay off."""
    hpet.configuration.write(enable=True, legacy_route=False)


@fn
def route_alarm(hpet: Ptr[Registers], inputs: u32) -> u32:
    """Which of the first `inputs` of the I/O APIC comparator 0 interrupts at from now on, once it is enabled: the last
    one that it can, which is no ISA device's; 0 where there is none."""
    possible = hpet.comparator_0_configuration.read().routes & ~u32(ISA_INPUTS)
    if inputs < 32:
        possible &= (u32(1) << inputs) - 1
    if possible == 0:
        return 0
    route = 31 - clz(possible)
    hpet.comparator_0_configuration.write(level=True, route=trunc(route, u8))
    return route


@fn
def elapsed(hpet: Ptr[Registers], since: u64) -> u64:
    """Counts since `since`, for counters of 64 and of 32 bits."""
    now = hpet.counter.read()
    if hpet.capabilities.read().wide:
        return u64(now - since) if now >= since else 0
    return (now + (1 << 32) - since) & 0xFFFF_FFFF
