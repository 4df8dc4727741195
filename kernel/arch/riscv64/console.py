"""The console: the ns16550 that the device tree names, or else the firmware's debug console."""

from kernel.arch.riscv64 import sbi
from kernel.lang import *

NO_BYTE = 0x100


@fn
def write_byte(byte: u8) -> None:
    """Sends a byte."""
    sbi.write_byte(byte)


@fn
def read_byte() -> u16:
    """The next byte typed, or NO_BYTE."""
    return NO_BYTE
