"""The kernel's own memory: all of it, in one struct, hot fields first."""

from kernel.abi import LEVELS, AuditEvent, Error, Kind
from kernel.boot_info import BootInfo
from kernel.core.objects import Header, Queue, Slot, Space, Thread
from kernel.lang import *

TIMERS = 1024
AUDIT_ENTRIES = 256
INTERRUPTS = 96
SPACES = 4096
ASIDS = 256  # RISC-V and Arm; the smallest number among CPUs that this kernel runs on


@struct
class AuditEntry:
    """What happened: when, which thread asked, with which handle, to what kind, with which rights, and the outcome."""

    time: u64
    handle: u64
    subject: u32
    event: AuditEvent
    kind: Kind
    rights: u8
    error: Error


@struct
class InterruptRow:
    """Who is told of an interrupt: the notification capability, and the bits that are set in it."""

    binding: Slot
    bits: u64
    count: u64
    pending: bool  # told, not acknowledged: masked at the controller


@struct
class SpaceRow:
    """A number of an address space: who has it now, and how many had it (a mapping names both)."""

    space: Ptr[Space] | None
    lives: u16
    next_free: u16  # another number that nobody has, 0: none


@struct
class State:
    """See the fields."""

    current: Ptr[Thread] | None
    ready: u64  # bit n: queues[n] is not empty
    slice_end: u64  # when the running quantum ends
    translation: u64  # what the translation register holds
    error: Error  # why the last lookup gave None
    programmed: u64  # the deadline the timer is set to
    dying: Ptr[Header] | None
    dying_last: Ptr[Header] | None
    checked: Ptr[Queue] | None  # queues whose waiters are to be checked
    checked_last: Ptr[Queue] | None
    arrivals: u64
    thread_count: u64
    audit_count: u64
    timer_count: u32
    idle_time: u64
    facts: Ptr[BootInfo] | None
    queues: Array[Queue, LEVELS]
    timers: Array[Ptr[Thread] | None, TIMERS]
    origin: Slot
    audit: Array[AuditEntry, AUDIT_ENTRIES]
    interrupts: Array[InterruptRow, INTERRUPTS]
    spaces_used: u16  # numbers up to this one have been given out
    spaces_free: u16  # one that is free again; 0: none
    asid_users: Array[u64, ASIDS]  # whose entries the TLB may hold (translations.py)
    spaces: Array[SpaceRow, SPACES]
    channel_count: u64


kernel = variable(State, align=64)
