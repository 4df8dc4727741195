"""The SBI's numbers (RISC-V SBI Specification 2.0), for the firmware and for who calls it."""

from enum import IntEnum

from kernel.lang import *

VERSION = 2 << 24 | 0
"""get_spec_version: 2.0 (section 4.1)."""

IMPLEMENTATION = int.from_bytes(b"Splx", "big")
"""get_impl_id: no number is assigned to us; far from those that are (section 4.9)."""

IMPLEMENTATION_VERSION = 0x0001_0000


class Error:
    """Standard errors (table 1), as the u64 that a0 holds."""

    SUCCESS = 0
    FAILED, NOT_SUPPORTED, INVALID_PARAM, DENIED, INVALID_ADDRESS, ALREADY_AVAILABLE = (
        (1 << 64) - n for n in range(1, 7)
    )


class Extension:
    """EIDs (a7)."""

    SET_TIMER, PUTCHAR, GETCHAR, CLEAR_IPI, SHUTDOWN = 0, 1, 2, 3, 8  # legacy (chapter 5)
    BASE = 0x10
    TIME, IPI, RFENCE, HSM, SRST, DBCN = (
        int.from_bytes(name, "big") for name in (b"TIME", b"sPI", b"RFNC", b"HSM", b"SRST", b"DBCN")
    )


NAMES = {"BASE": "Base", "TIME": "TIME", "IPI": "IPI", "RFENCE": "RFENCE", "HSM": "HSM", "SRST": "SRST", "DBCN": "DBCN"}


class Base:
    """Chapter 4."""

    SPEC_VERSION, IMPLEMENTATION, IMPLEMENTATION_VERSION, PROBE, MVENDORID, MARCHID, MIMPID = range(7)


class Fence:
    """Chapter 8; 3 and above need the hypervisor extension."""

    INSTRUCTIONS, TRANSLATIONS, TRANSLATIONS_OF_SPACE = range(3)


class Hsm:
    """Chapter 9."""

    START, STOP, STATUS, SUSPEND = range(4)
    RETENTIVE, NON_RETENTIVE = 0, 0x8000_0000


@enum(u8)
class HartState(IntEnum):
    """HSM states (table 9)."""

    STARTED = 0
    STOPPED = 1
    START_PENDING = 2
    STOP_PENDING = 3
    SUSPENDED = 4
    SUSPEND_PENDING = 5
    RESUME_PENDING = 6


class Reset:
    """Chapter 10: types and reasons."""

    SHUTDOWN, COLD_REBOOT, WARM_REBOOT = range(3)
    NO_REASON, SYSTEM_FAILURE = range(2)


class Console:
    """Chapter 12."""

    WRITE, READ, WRITE_BYTE = range(3)


@struct
class Answer:
    """struct sbiret: a0 and a1."""

    error: u64
    value: u64
