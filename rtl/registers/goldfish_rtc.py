"""Real-time clock, google,goldfish-rtc (Android emulator's "GOLDFISH VIRTUAL HARDWARE", section "RTC")."""

from rtl.registers.description import Access, Field, Register, RegisterFile


class Registers(RegisterFile, size=0x24, access_bytes=(4, 8)):
    """Nanoseconds since 1970-01-01 UTC, with one alarm. A 64-bit access is its two halves, the lower first."""

    time_low = Register(
        0x00, 32, Access.RW, doc="read: low half, and holds the high half for time_high; write: sets it", volatile=True
    )
    time_high = Register(
        0x04, 32, Access.RW, doc="read: high half as held by time_low; write: sets the high half", volatile=True
    )
    alarm_low = Register(
        0x08, 32, Access.RW, doc="write: sets the alarm to alarm_high:value and arms it", volatile=True
    )
    alarm_high = Register(0x0C, 32, Access.RW, doc="high half of the alarm; write it first")
    irq_enabled = Register(0x10, 32, Access.RW, doc="interrupt enable", fields={"enabled": Field(0)})
    clear_alarm = Register(0x14, 32, Access.WO, doc="any write disarms the alarm", volatile=True)
    alarm_status = Register(
        0x18, 32, Access.RO, doc="alarm state", volatile=True, fields={"armed": Field(0, doc="the alarm is set")}
    )
    clear_interrupt = Register(0x1C, 32, Access.WO, doc="any write clears the interrupt", volatile=True)
