"""The console: COM1, a 16550 on I/O ports (PC16550D data sheet, section 8; described in rtl/registers/ns16550.py)."""

from kernel import input_ring
from kernel.arch.x86_64 import routing
from kernel.arch.x86_64.instructions import read_port_8, write_port_8
from kernel.boot_info import BootInfo, ConsoleKind
from kernel.lang import *
from kernel.lang.registers import value_type
from rtl.registers.ns16550 import Registers, TriggerLevel, WordLength

NO_BYTE = input_ring.NO_BYTE
COM1 = 0x3F8
COM1_INTERRUPT = 4  # ISA
CLOCK_HZ = 1_843_200
BAUD = 115_200
DIVISOR = CLOCK_HZ // 16 // BAUD
TRANSMIT_PATIENCE = 1 << 20
FIFO_BYTES = 16

LineStatus = value_type(Registers.lsr)
THR, RBR, IER = COM1 + Registers.thr.offset, COM1 + Registers.rbr.offset, COM1 + Registers.ier.offset
LSR, LCR, MCR, FCR = (COM1 + getattr(Registers, name).offset for name in ("lsr", "lcr", "mcr", "fcr"))
DLL, DLM, SCR = COM1 + Registers.dll.offset, COM1 + Registers.dlm.offset, COM1 + Registers.scr.offset
EIGHT_BITS = Registers.lcr.pack(word_length=WordLength.EIGHT)
DIVISOR_ACCESS = Registers.lcr.pack(dlab=1)
FIFOS_ON = Registers.fcr.pack(enable=1, clear_receive=1, clear_transmit=1, trigger=TriggerLevel.BYTES_1)
LINES_ON = Registers.mcr.pack(dtr=1, rts=1, out2=1)  # OUT2 is the gate of the PC's interrupt line.
RECEIVE_INTERRUPT = Registers.ier.pack(received_data=1)

present = variable(bool, False)


@fn
def initialize(info: Ptr[BootInfo]) -> None:
    """Finds out whether there is a UART (its scratch register keeps what is written), and sets 115200 8N1."""
    global present
    write_port_8(SCR, 0x5A)
    first = read_port_8(SCR)
    write_port_8(SCR, 0xA5)
    present = first == 0x5A and read_port_8(SCR) == 0xA5
    if not present:
        return
    write_port_8(IER, 0)
    write_port_8(LCR, DIVISOR_ACCESS)
    write_port_8(DLL, DIVISOR & 0xFF)
    write_port_8(DLM, DIVISOR >> 8)
    write_port_8(LCR, EIGHT_BITS)
    write_port_8(FCR, FIFOS_ON)
    write_port_8(MCR, LINES_ON)
    info.console = ConsoleKind.NS16550
    info.console_base = COM1
    info.console_stride = 1
    info.console_interrupt = COM1_INTERRUPT


@fn
def write_byte(byte: u8) -> None:
    """Sends a byte; gives up on a transmitter that never has room."""
    if not present:
        return
    for _ in range(TRANSMIT_PATIENCE):
        if LineStatus(read_port_8(LSR)).thr_empty:
            write_port_8(THR, byte)
            return


@fn
def read_byte() -> u16:
    """The next byte typed, or NO_BYTE."""
    return input_ring.take()


@fn
def receive() -> None:
    """The UART's interrupt: takes what has been typed."""
    for _ in range(4 * FIFO_BYTES):
        if not LineStatus(read_port_8(LSR)).data_ready:
            return
        input_ring.put(read_port_8(RBR))


@fn
def enable_interrupt() -> None:
    """Received bytes interrupt from now on."""
    if present:
        routing.enable_isa(COM1_INTERRUPT)
        write_port_8(IER, RECEIVE_INTERRUPT)
