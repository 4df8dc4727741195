"""The local APIC: end of interrupt, and the timer (Intel SDM volume 3, chapter 11, "APIC")."""

from enum import IntEnum

from kernel.lang import Ptr, fn, u8, u32
from rtl.registers.description import Access, Array, Field, Register, RegisterFile


class TimerMode(IntEnum):
    """LVT timer bits 18..17 (figure 11-8)."""

    ONE_SHOT = 0
    PERIODIC = 1
    TSC_DEADLINE = 2


class Divide(IntEnum):
    """Divide configuration bits 3, 1, 0 (figure 11-10), as they stand in the register."""

    BY_2 = 0b0000
    BY_4 = 0b0001
    BY_8 = 0b0010
    BY_16 = 0b0011
    BY_32 = 0b1000
    BY_64 = 0b1001
    BY_128 = 0b1010
    BY_1 = 0b1011


class Delivery(IntEnum):
    """Delivery mode of a local vector (11.5.1)."""

    FIXED = 0
    SMI = 2
    NMI = 4
    INIT = 5
    EXTERNAL = 7


class Registers(RegisterFile, size=0x400, access_bytes=(4,), gaps="zero"):
    """Table 11-1. Every register is 32 bits wide, on a 16-byte boundary."""

    apic_id = Register(0x20, 32, Access.RW, fields={"id": Field(24, 8)})
    version = Register(0x30, 32, Access.RO, fields={"version": Field(0, 8), "max_lvt": Field(16, 8)})
    task_priority = Register(0x80, 32, Access.RW)
    end_of_interrupt = Register(0xB0, 32, Access.WO, doc="writing 0 ends the interrupt in service")
    spurious = Register(
        0xF0, 32, Access.RW, reset=0xFF, fields={"vector": Field(0, 8), "enable": Field(8), "focus": Field(9)}
    )
    in_service = Register(0x100, 32, Access.RO, array=(Array(8, 0x10),), volatile=True)
    error_status = Register(0x280, 32, Access.RW, volatile=True)
    timer = Register(
        0x320,
        32,
        Access.RW,
        reset=0x1_0000,
        doc="LVT timer",
        fields={
            "vector": Field(0, 8),
            "pending": Field(12, access=Access.RO),
            "masked": Field(16),
            "mode": Field(17, 2, enum=TimerMode),
        },
    )
    lint0 = Register(0x350, 32, Access.RW, reset=0x1_0000, fields={"vector": Field(0, 8), "masked": Field(16)})
    lint1 = Register(
        0x360,
        32,
        Access.RW,
        reset=0x1_0000,
        fields={"vector": Field(0, 8), "delivery": Field(8, 3, enum=Delivery), "masked": Field(16)},
    )
    error = Register(0x370, 32, Access.RW, reset=0x1_0000, fields={"vector": Field(0, 8), "masked": Field(16)})
    initial_count = Register(0x380, 32, Access.RW)
    current_count = Register(0x390, 32, Access.RO, volatile=True)
    divide = Register(0x3E0, 32, Access.RW, fields={"by": Field(0, 4, enum=Divide)})


MSR_APIC_BASE = 0x1B  # IA32_APIC_BASE
APIC_BASE_ENABLE = 1 << 11
APIC_BASE_X2APIC = 1 << 10
TIMER_DIVIDE = Divide.BY_16
TIMER_DIVISOR = 16


@fn
def enable(apic: Ptr[Registers], spurious_vector: u8) -> None:
    """Software enable (11.4.7.2), everything accepted. LINT0, the 8259's pin, is masked; LINT1 is the NMI
    (MultiProcessor Specification 1.4, 3.6.1)."""
    apic.task_priority.write(0)
    apic.lint0.write(vector=0, masked=True)
    apic.lint1.write(vector=0, delivery=Delivery.NMI, masked=False)
    apic.timer.write(vector=0, masked=True, mode=TimerMode.ONE_SHOT)
    apic.spurious.write(vector=spurious_vector, enable=True)


@fn
def end_interrupt(apic: Ptr[Registers]) -> None:
    """11.8.5: the interrupt of highest priority is done."""
    apic.end_of_interrupt.write(0)


@fn
def start_timer(apic: Ptr[Registers], vector: u8, count: u32, periodic: bool) -> None:
    """Counts down from `count` at the bus clock over TIMER_DIVISOR, then interrupts; again and again if `periodic`."""
    apic.divide.write(by=TIMER_DIVIDE)
    if periodic:
        apic.timer.write(vector=vector, masked=False, mode=TimerMode.PERIODIC)
    else:
        apic.timer.write(vector=vector, masked=False, mode=TimerMode.ONE_SHOT)
    apic.initial_count.write(count)


@fn
def start_counting(apic: Ptr[Registers]) -> None:
    """Counts down from the highest value without an interrupt: to be measured."""
    apic.divide.write(by=TIMER_DIVIDE)
    apic.timer.write(vector=0, masked=True, mode=TimerMode.ONE_SHOT)
    apic.initial_count.write(0xFFFF_FFFF)


@fn
def stop_timer(apic: Ptr[Registers]) -> None:
    """A count of 0 stops it (11.5.4)."""
    apic.timer.write(vector=0, masked=True, mode=TimerMode.ONE_SHOT)
    apic.initial_count.write(0)
