"""The Generic Interrupt Controller: ARM IHI 0048 (version 2) and IHI 0069 (version 3). What the kernel uses of it."""

from rtl.registers.description import Access, Array, Field, Register, RegisterFile

INTERRUPTS = 1020
WORDS = 32


class Distributor(RegisterFile, size=0x1_0000, access_bytes=(1, 4, 8)):
    """GICD (IHI 0048 4.3, IHI 0069 12.9)."""

    ctlr = Register(
        0x0,
        32,
        Access.RW,
        doc="control, with one security state",
        fields={"group_0": Field(0), "group_1": Field(1), "are": Field(4)},
    )
    typer = Register(0x4, 32, Access.RO, fields={"lines": Field(0, 5), "cpus": Field(5, 3)})
    igroupr = Register(0x80, 32, Access.RW, doc="group of each interrupt", array=(Array(WORDS, 4),))
    isenabler = Register(0x100, 32, Access.RW, doc="writing 1 enables", array=(Array(WORDS, 4),), volatile=True)
    icenabler = Register(0x180, 32, Access.RW, doc="writing 1 disables", array=(Array(WORDS, 4),), volatile=True)
    ipriorityr = Register(0x400, 8, Access.RW, doc="0 is highest", array=(Array(INTERRUPTS, 1),))
    itargetsr = Register(
        0x800, 8, Access.RW, doc="version 2: CPUs that get it, a bit each", array=(Array(INTERRUPTS, 1),)
    )
    irouter = Register(0x6000, 64, Access.RW, doc="version 3: the CPU that gets it", array=(Array(INTERRUPTS, 8),))


class CpuInterface(RegisterFile, size=0x1000, access_bytes=(4,)):
    """GICC, version 2 (IHI 0048 4.4)."""

    ctlr = Register(0x0, 32, Access.RW, fields={"enable": Field(0)})
    pmr = Register(0x4, 32, Access.RW, doc="interrupts of lower priority (a greater number) wait")
    iar = Register(0xC, 32, Access.RO, doc="takes the pending interrupt", volatile=True)
    eoir = Register(0x10, 32, Access.WO, doc="ends it")


class Redistributor(RegisterFile, size=0x2_0000, access_bytes=(1, 4, 8)):
    """GICR, version 3 (IHI 0069 12.10, 12.11): the frame of the CPU, then that of its own interrupts."""

    typer = Register(0x8, 64, Access.RO, fields={"last": Field(4), "affinity": Field(32, 32)})
    waker = Register(
        0x14,
        32,
        Access.RW,
        volatile=True,
        fields={"processor_sleep": Field(1), "children_asleep": Field(2)},
    )
    igroupr0 = Register(0x1_0080, 32, Access.RW)
    isenabler0 = Register(0x1_0100, 32, Access.RW, volatile=True)
    icenabler0 = Register(0x1_0180, 32, Access.RW, volatile=True)
    ipriorityr = Register(0x1_0400, 8, Access.RW, array=(Array(32, 1),))
