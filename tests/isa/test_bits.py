"""Counts of zeros and ones at their limits."""

from tests.isa.program import T4, Checks
from tests.lockstep import encoding as e

VALUES = (0, 1 << 63, 1 << 32, 0xFFFF_FFFF_0000_0000, 1, 0x8000_0000, 3 << 40 | 8, (1 << 64) - 1)


def trailing(value: int, width: int) -> int:
    return (value & -value).bit_length() - 1 if value else width


def test_counts(everywhere) -> None:
    checks = Checks()
    for value in VALUES:
        low = value & 0xFFFF_FFFF
        expected = {
            "ctz": trailing(value, 64),
            "ctzw": trailing(low, 32),
            "clz": 64 - value.bit_length(),
            "clzw": 32 - low.bit_length(),
            "cpop": value.bit_count(),
            "cpopw": low.bit_count(),
        }
        for name, count in expected.items():
            checks.emit(e.li(10, value), e.unary(name, T4, 10))
            checks.check_equal(f"{name} {value:#x}", T4, count)
    everywhere(checks, qemu=False)  # QEMU 7.2 says that ctzw of 1 << 63 is 63
