"""Calls to the firmware: RISC-V SBI 2.0. An error is negative, its table is in chapter 3."""

from kernel.lang import *

BASE = 0x10
TIME = 0x5449_4D45
SRST = 0x5352_5354
DBCN = 0x4442_434E
LEGACY_PUTCHAR = 1
LEGACY_GETCHAR = 2
OPENSBI = 1


@struct
class Result:
    """sbiret: an error (0 for success) and a value."""

    error: i64
    value: u64


@assembly(
    "riscv64",
    "mv a0, {a}\n mv a1, {b}\n mv a2, {c}\n mv a6, {function}\n mv a7, {extension}\n"
    "ecall\n sd a0, 0({into})\n sd a1, 8({into})",
    clobbers=["memory", "a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7"],
)
def _ecall(into: Ptr[Result], extension: u64, function: u64, a: u64, b: u64, c: u64) -> None:
    """The binary encoding of chapter 3."""


@fn
def call(extension: u64, function: u64, a: u64, b: u64, c: u64) -> i64:
    """A call whose value does not matter; gives the error."""
    result = Result(error=0, value=0)
    _ecall(ptr(result), extension, function, a, b, c)
    return result.error


@fn
def value(extension: u64, function: u64, a: u64) -> u64:
    """A call's value; 0 where the call failed."""
    result = Result(error=0, value=0)
    _ecall(ptr(result), extension, function, a, 0, 0)
    return result.value if result.error == 0 else 0


@fn
def has_extension(extension: u64) -> bool:
    """sbi_probe_extension (4.4)."""
    return value(BASE, 3, extension) != 0


@fn
def write_byte(byte: u8) -> None:
    """Through the debug console (12.3) where there is one, else the legacy extension (5.3)."""
    if call(DBCN, 2, u64(byte), 0, 0) != 0:
        _ = call(LEGACY_PUTCHAR, 0, u64(byte), 0, 0)


@fn
def read_byte() -> u16:
    """A byte typed on the firmware's console, or 0x100: the legacy extension (5.4), which gives -1 for none."""
    result = Result(error=0, value=0)
    _ecall(ptr(result), LEGACY_GETCHAR, 0, 0, 0, 0)
    return trunc(exact(result.error, u64), u16) if result.error >= 0 and result.error < 256 else 0x100
