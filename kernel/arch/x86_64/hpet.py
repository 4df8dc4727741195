"""The high precision event timer's main counter: a clock of known frequency (IA-PC HPET 1.0a, section 2.3)."""

from kernel.lang import Ptr, fn, u64
from rtl.registers.description import Access, Field, Register, RegisterFile


class Registers(RegisterFile, size=0x400, access_bytes=(4, 8), gaps="zero"):
    """Table 2; the comparators are not used."""

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
    counter = Register(0x0F0, 64, Access.RW, volatile=True)


MIN_PERIOD = 100_000  # 10 GHz: what claims to be faster is broken, and would make the arithmetic overflow
MAX_PERIOD = 0x05F5_E100
FEMTOSECONDS = 10**15


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
def elapsed(hpet: Ptr[Registers], since: u64) -> u64:
    """Counts since `since`, for counters of 64 and of 32 bits."""
    now = hpet.counter.read()
    if hpet.capabilities.read().wide:
        return u64(now - since) if now >= since else 0
    return (now + (1 << 32) - since) & 0xFFFF_FFFF
