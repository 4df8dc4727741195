"""The 16550 UART: National Semiconductor PC16550D data sheet, section 8 ("Registers"); device tree ns16550a."""

import enum

from rtl.registers.description import Access, Field, Register, RegisterFile


class WordLength(enum.IntEnum):
    """LCR bits 1..0: data bits of a character."""

    FIVE = 0
    SIX = 1
    SEVEN = 2
    EIGHT = 3


class InterruptId(enum.IntEnum):
    """IIR bits 3..1 (table IV), by rising priority: 0, 1, 2, 6 and 2 together, 3."""

    MODEM_STATUS = 0
    THR_EMPTY = 1
    RECEIVED_DATA = 2
    LINE_STATUS = 3
    RECEIVE_TIMEOUT = 6


class TriggerLevel(enum.IntEnum):
    """FCR bits 7..6: bytes in the receive FIFO that raise RECEIVED_DATA."""

    BYTES_1 = 0
    BYTES_4 = 1
    BYTES_8 = 2
    BYTES_14 = 3


class Registers(RegisterFile, size=8, access_bytes=(1, 2, 4, 8), gaps="error"):
    """The eight byte-wide ports. A wider access is an access to its first byte only (as on QEMU)."""

    rbr = Register(
        0, 8, Access.RC, doc="receiver buffer: takes the oldest byte", bank=("lcr", "dlab", 0), volatile=True
    )
    thr = Register(0, 8, Access.WO, doc="transmitter holding: sends a byte", bank=("lcr", "dlab", 0), volatile=True)
    dll = Register(0, 8, Access.RW, reset=0x0C, doc="divisor latch, low byte", bank=("lcr", "dlab", 1))
    ier = Register(
        1,
        8,
        Access.RW,
        doc="interrupt enable",
        bank=("lcr", "dlab", 0),
        fields={
            "received_data": Field(0, doc="received data available, and receive timeout"),
            "thr_empty": Field(1, doc="transmitter holding register empty"),
            "line_status": Field(2, doc="receiver line status"),
            "modem_status": Field(3, doc="modem status"),
        },
    )
    dlm = Register(1, 8, Access.RW, doc="divisor latch, high byte", bank=("lcr", "dlab", 1))
    iir = Register(
        2,
        8,
        Access.RO,
        reset=0x01,
        doc="interrupt identification; reading it clears THR_EMPTY if that is what it says",
        volatile=True,
        fields={
            "none_pending": Field(0, doc="0: an interrupt is pending"),
            "id": Field(1, 3, enum=InterruptId, doc="the pending interrupt of highest priority"),
            "fifos_enabled": Field(6, 2, doc="3 while the FIFOs are on"),
        },
    )
    fcr = Register(
        2,
        8,
        Access.WO,
        doc="FIFO control",
        volatile=True,
        fields={
            "enable": Field(0, doc="FIFOs on; a change clears both"),
            "clear_receive": Field(1, doc="empties the receive FIFO; reads as 0"),
            "clear_transmit": Field(2, doc="empties the transmit FIFO; reads as 0"),
            "dma_mode": Field(3, doc="no effect"),
            "trigger": Field(6, 2, enum=TriggerLevel, doc="receive trigger level"),
        },
    )
    lcr = Register(
        3,
        8,
        Access.RW,
        doc="line control",
        fields={
            "word_length": Field(0, 2, enum=WordLength),
            "stop_bits": Field(2, doc="1: two stop bits"),
            "parity_enable": Field(3),
            "even_parity": Field(4),
            "stick_parity": Field(5),
            "send_break": Field(6),
            "dlab": Field(7, doc="divisor latch access: offsets 0 and 1 are DLL and DLM"),
        },
    )
    mcr = Register(
        4,
        8,
        Access.RW,
        reset=0x08,
        doc="modem control",
        fields={
            "dtr": Field(0),
            "rts": Field(1),
            "out1": Field(2),
            "out2": Field(3),
            "loop": Field(4, doc="what is sent is received; the modem outputs become the modem inputs"),
        },
    )
    lsr = Register(
        5,
        8,
        Access.RO,
        reset=0x60,
        doc="line status; reading it clears the error bits and break",
        volatile=True,
        fields={
            "data_ready": Field(0, doc="a received byte waits"),
            "overrun": Field(1, access=Access.RC, doc="a byte was lost: the receiver was full"),
            "parity_error": Field(2, access=Access.RC),
            "framing_error": Field(3, access=Access.RC),
            "break_received": Field(4, access=Access.RC),
            "thr_empty": Field(5, doc="the transmitter takes a byte (the transmit FIFO is empty)"),
            "transmitter_empty": Field(6, doc="everything has left, the shift register too"),
            "fifo_error": Field(7, doc="an error is in the receive FIFO"),
        },
    )
    msr = Register(
        6,
        8,
        Access.RO,
        reset=0xB0,
        doc="modem status; reading it clears the delta bits",
        volatile=True,
        fields={
            "delta_cts": Field(0, access=Access.RC),
            "delta_dsr": Field(1, access=Access.RC),
            "trailing_ri": Field(2, access=Access.RC),
            "delta_dcd": Field(3, access=Access.RC),
            "cts": Field(4),
            "dsr": Field(5),
            "ri": Field(6),
            "dcd": Field(7),
        },
    )
    scr = Register(7, 8, Access.RW, doc="scratch")
