"""PCI configuration header, type 0 (PCI Local Bus 3.0, chapter 6.1; PCI Express Base 7.5.1)."""

from rtl.registers.description import Access, Field, Register, RegisterFile

BARS = 6
HEADER_TYPE_MULTIFUNCTION = 0x80


def _bar(n: int) -> Register:
    return Register(0x10 + 4 * n, 32, Access.RW, doc=f"base address {n}; writable above the size", volatile=True)


def _identity(offset: int, width: int, doc: str) -> Register:
    return Register(offset, width, Access.RO, doc=doc, volatile=True)


class Registers(RegisterFile, size=0x100, access_bytes=(1, 2, 4, 8)):
    """The first 64 bytes of a function's configuration space; capabilities follow."""

    vendor_id = _identity(0x00, 16, "who made it; 0xffff: there is no function here")
    device_id = _identity(0x02, 16, "what it is")
    command = Register(
        0x04,
        16,
        Access.RW,
        doc="what the function may do (6.2.2)",
        fields={
            "io_space": Field(0, doc="answers I/O accesses"),
            "memory_space": Field(1, doc="answers memory accesses"),
            "bus_master": Field(2, doc="may start transactions, interrupts by message too"),
            "serr_enable": Field(8),
            "interrupt_disable": Field(10, doc="keeps INTx low"),
        },
    )
    status = Register(
        0x06,
        16,
        Access.RO,
        doc="what it can do and what happened (6.2.3)",
        volatile=True,
        fields={
            "interrupt_status": Field(3, doc="INTx would be asserted but for interrupt_disable"),
            "capabilities_list": Field(4, doc="capabilities_pointer is valid"),
        },
    )
    revision_id = _identity(0x08, 8, "revision")
    programming_interface = _identity(0x09, 8, "class code, lowest byte")
    subclass = _identity(0x0A, 8, "class code, middle byte")
    base_class = _identity(0x0B, 8, "class code, highest byte")
    cache_line_size = Register(0x0C, 8, Access.RW, doc="no effect")
    latency_timer = Register(0x0D, 8, Access.RO, doc="no effect")
    header_type = _identity(0x0E, 8, "0: this layout; bit 7: more functions")
    bar_0 = _bar(0)
    bar_1 = _bar(1)
    bar_2 = _bar(2)
    bar_3 = _bar(3)
    bar_4 = _bar(4)
    bar_5 = _bar(5)
    subsystem_vendor_id = _identity(0x2C, 16, "who made the board")
    subsystem_id = _identity(0x2E, 16, "which board")
    capabilities_pointer = _identity(0x34, 8, "offset of the first capability, 0: none")
    interrupt_line = Register(0x3C, 8, Access.RW, doc="for software's use")
    interrupt_pin = _identity(0x3D, 8, "1: INTA .. 4: INTD, 0: none")
