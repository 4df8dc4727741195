"""The kernel's own memory: all of it, in one struct, hot fields first."""

from kernel.abi import LEVELS, AuditEvent, Error, Kind
from kernel.boot_info import BootInfo
from kernel.core.objects import Endpoint, Header, Queue, Slot, Space, Thread, Timer
from kernel.lang import *

AUDIT_ENTRIES = 256
INTERRUPTS = 96
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
    looked: Ptr[Endpoint] | None  # lists of inheritance.py
    looked_last: Ptr[Endpoint] | None
    doubted: Ptr[Thread] | None
    doubted_last: Ptr[Thread] | None
    unsettled: Ptr[Thread] | None
    unsettled_last: Ptr[Thread] | None
    arrivals: u64
    thread_count: u64
    audit_count: u64
    timer_count: u64  # time limits now
    timers: Ptr[Timer] | None  # the one that ends first
    idle_time: u64
    facts: Ptr[BootInfo] | None
    queues: Array[Queue, LEVELS]
    origin: Slot
    audit: Array[AuditEntry, AUDIT_ENTRIES]
    interrupts: Array[InterruptRow, INTERRUPTS]
    spaces: Ptr[Space] | None  # the tree of them (spaces.py)
    spaces_made: u64  # so far: the last one's number, as long as there were no more than there are numbers
    spaces_count: u64  # now
    asid_users: Array[u64, ASIDS]  # whose entries the TLB may hold (translations.py)
    channel_count: u64


kernel = variable(State, align=64)
