"""The 8254 timer's channel 2, where there is no HPET to measure against (Intel 8254 data sheet; 82801 ICH9 5.7).

Channel 2 is the one with a gate and an output that software reaches, at port 0x61: nothing interrupts.
"""

from kernel.arch.x86_64.instructions import read_port_8, write_port_8
from kernel.lang import bounded, fn, trunc, u8, u16

FREQUENCY = 1_193_182  # Hz: the color burst's 3.579545 MHz over three.

CHANNEL_2, COMMAND = 0x42, 0x43
CONTROL = 0x61  # NMI status and control (ICH9 13.7.1).
GATE, SPEAKER, OUTPUT = 1 << 0, 1 << 1, 1 << 5
# Control word: channel 2, low byte then high byte, mode 0 (interrupt on terminal count), binary.
ONE_SHOT = 0b10_11_000_0
PATIENCE = 1 << 28


@fn
def start(counts: u16) -> None:
    """Counts down once; ended() tells when."""
    write_port_8(CONTROL, read_port_8(CONTROL) & ~u8(GATE | SPEAKER))
    write_port_8(COMMAND, ONE_SHOT)
    write_port_8(CHANNEL_2, trunc(counts, u8))
    write_port_8(CHANNEL_2, trunc(counts >> 8, u8))
    write_port_8(CONTROL, read_port_8(CONTROL) & ~u8(SPEAKER) | GATE)


@fn
def ended() -> bool:
    """In mode 0 the output goes high at terminal count, and stays."""
    return read_port_8(CONTROL) & OUTPUT != 0


@fn
def wait() -> None:
    """Until the count has ended."""
    while bounded(not ended(), PATIENCE):
        pass
