"""The console's UART for the program that has the capability to it, whichever the machine has: 16550 or PL011.

The device is mapped at CONSOLE_AT. On x86_64 that opens its I/O ports (kernel/arch/x86_64/ports.py), and register
addresses below 64 KiB are ports.
"""

from kernel.arch.aarch64 import pl011
from kernel.arch.objects import pointer_maker
from kernel.lang import *
from kernel.user.layout import CONSOLE_AT
from rtl.registers import ns16550

COM1 = 0x3F8
AT_16550 = by_arch(riscv64=CONSOLE_AT, x86_64=COM1, host=CONSOLE_AT)
FIFO_BYTES = 16  # of both

ns16550_at = pointer_maker(ns16550.Registers)
pl011_at = pointer_maker(pl011.Registers)


@fn
def begin_16550() -> None:
    """FIFOs on, an interrupt for what arrives (16550D sections 8.4 and 8.6)."""
    uart = ns16550_at(AT_16550)
    uart.fcr.write(enable=True, trigger=ns16550.TriggerLevel.BYTES_8)
    uart.mcr.write(dtr=True, rts=True, out2=True)  # PCs: OUT2 lets the interrupt through
    uart.ier.write(received_data=True)


@fn
def has_room_16550() -> u32:
    """Bytes that can be sent now: all of the FIFO when it is empty (LSR bit 5)."""
    return FIFO_BYTES if ns16550_at(AT_16550).lsr.read().thr_empty else 0


@fn
def send_16550(byte: u8) -> None:
    """Sends a byte; there is room."""
    ns16550_at(AT_16550).thr.write(byte)


@fn
def has_byte_16550() -> bool:
    """Whether a byte has arrived (LSR bit 0)."""
    return ns16550_at(AT_16550).lsr.read().data_ready


@fn
def take_16550() -> u8:
    """The oldest byte that has arrived."""
    return ns16550_at(AT_16550).rbr.read()


@fn
def begin_pl011() -> None:
    """An interrupt for what arrives, also when it is less than the FIFO's level (DDI 0183 sections 3.3.9, 3.3.10)."""
    uart = pl011_at(CONSOLE_AT)
    uart.imsc.write(receive=True, receive_timeout=True)


@fn
def has_room_pl011() -> u32:
    """Bytes that can be sent now: at least one when the FIFO is not full (UARTFR bit 5)."""
    return 0 if pl011_at(CONSOLE_AT).fr.read().transmit_full else 1


@fn
def send_pl011(byte: u8) -> None:
    """Sends a byte; there is room."""
    pl011_at(CONSOLE_AT).dr.write(u32(byte))


@fn
def has_byte_pl011() -> bool:
    """Whether a byte has arrived (UARTFR bit 4)."""
    return not pl011_at(CONSOLE_AT).fr.read().receive_empty


@fn
def take_pl011() -> u8:
    """The oldest byte that has arrived."""
    return trunc(pl011_at(CONSOLE_AT).dr.read(), u8)


begin = by_arch(riscv64=begin_16550, x86_64=begin_16550, aarch64=begin_pl011, host=begin_16550)
has_room = by_arch(riscv64=has_room_16550, x86_64=has_room_16550, aarch64=has_room_pl011, host=has_room_16550)
send = by_arch(riscv64=send_16550, x86_64=send_16550, aarch64=send_pl011, host=send_16550)
has_byte = by_arch(riscv64=has_byte_16550, x86_64=has_byte_16550, aarch64=has_byte_pl011, host=has_byte_16550)
take = by_arch(riscv64=take_16550, x86_64=take_16550, aarch64=take_pl011, host=take_16550)
