"""What kernel objects look like in memory. Sizes matter: a slot is one cache line, hot fields share lines.

An object's address in a slot is that of its struct. Objects that more than one slot can name start with a `Header`
(threads hold it further back: their save area must come first, where trap entry finds it).
"""

from enum import IntEnum

from kernel.abi import Kind, SliceClass, ThreadState
from kernel.lang import *

LINE = 64
MAX_TABLE_BITS = 12
FRAME_WORDS = 40  # registers and trap causes: as much as the architecture with the most needs


@enum(8)
class Place(IntEnum):
    """What contains a slot, and so what must follow when it is emptied."""

    TABLE = 0  # what zeroed memory says
    ORIGIN = 1
    THREAD_TABLE = 2
    THREAD_SPACE = 3
    THREAD_FAULT = 4
    THREAD_SLICE = 5
    CHANNEL = 6
    INTERRUPT = 7
    TOMB = 8


@struct
class Slot:
    """A capability, or an empty place for one. See docs/kernel.md for the fields."""

    object: usize
    badge: u64
    expiry: u64
    generation: u32
    kind: Kind
    rights: u8
    place: Place
    size: u8
    first: Ptr["Slot"] | None
    last: Ptr["Slot"] | None
    next: Ptr["Slot"] | None
    previous: Ptr["Slot"] | None


assert Slot.size == LINE  # type: ignore[comparison-overlap]


@bitfield(u64)
class Extent:
    """The badge of an untyped: 64-byte units from its start that are used, and that are used or known to be zero."""

    used: Bits[32]
    cleaned: Bits[32]


@struct
class Header:
    """First in every object that several slots may name."""

    tomb: Slot
    references: u32
    kind: Kind
    dying: bool
    counted: w16  # while invariants.py walks; else 0
    next_dying: Ptr["Header"] | None


@struct
class Queue:
    """Threads in order of arrival, linked through themselves."""

    head: Ptr["Thread"] | None
    tail: Ptr["Thread"] | None
    cursor: Ptr["Thread"] | None  # whose capability is looked at next (waiters.py)
    next_checked: Ptr["Queue"] | None
    listed: bool  # it is to be checked
    again: bool  # once more


@struct
class Table:
    """A capability table; the slots follow in memory."""

    header: Header
    count: u32
    swept: u32  # dissolving: slots below are empty
    reserved: Array[u64, 5]


@struct
class Endpoint:
    """Where messages are exchanged. Its queue holds senders or receivers, never both."""

    header: Header
    queue: Queue
    receivers: bool  # what the queue holds, when it is not empty
    # Of inheritance.py: the highest level of who queues to send, and how many of them there are at each; bit n: any
    lent: u8
    urgent: u64
    senders: Array[u32, 64]
    servers: Ptr["Thread"] | None  # the threads that serve here
    cursor: Ptr["Thread"] | None  # which of them is looked at next
    next_looked: Ptr["Endpoint"] | None
    looked: bool  # they are to be looked at
    again: bool  # once more
    doubt: u8  # the highest level that has gone from the queue since they were looked at
    reserved: Array[u64, 4]


@struct
class Notification:
    """A word of bits, and who waits for one of them."""

    header: Header
    bits: u64
    queue: Queue


@struct
class Slice:
    """The right to run: class, level, quantum in ticks."""

    header: Header
    quantum: u64
    level: u8
    slice_class: SliceClass
    reserved: Array[u64, 4]


@struct
class Space:
    """An address space. Its root page table is the page in front."""

    header: Header
    translation: u64  # what the CPU's translation register takes
    root: usize
    number: u64
    children: Array[Ptr["Space"] | None, 2]  # see spaces.py


@struct
class Frame:
    """The save area of a thread, as far as it is the same everywhere: the registers of a system call come first.

    kernel/arch's TrapFrame is the same memory with all fields named.
    """

    number: u64
    handle: u64
    words: Array[u64, 8]
    capability: u64
    option: u64
    timeout: u64
    rest: Array[u64, FRAME_WORDS - 13]


@struct
class Timer:
    """A time limit of the thread that it lies in: see timers.py."""

    deadline: u64
    arrival: u64  # ties are decided by it; the highest bit: not of a wait, but of what its thread serves by
    above: Ptr["Timer"] | None
    below: Array[Ptr["Timer"] | None, 2]


@struct
class Thread:
    """A thread: registers, what it waits for, how urgent it is, and the capabilities it lives by."""

    frame: Frame
    # line 5
    header: Header
    state: ThreadState
    level: u8  # at which it is queued and runs: its own, or lent by a caller
    base_level: u8
    timed: bool  # its wait has a time limit
    limited: bool  # the capability by which it serves has an end, a time limit
    queue: Ptr[Queue] | None
    queue_next: Ptr["Thread"] | None
    queue_previous: Ptr["Thread"] | None
    caller: Ptr["Thread"] | None  # whose call it has received and not answered
    server: Ptr["Thread"] | None  # who has received its call
    waiting_slot: Ptr[Slot] | None  # the capability by which it waits, and that slot's generation then
    waiting_generation: u32
    calling: bool  # SENDING as the first half of a call
    expires: bool  # the time limit is the capability's expiry
    doubted: bool  # on the list of those whose level may come from nobody any more (inheritance.py)
    unsettled: bool  # on the list of those whose level is to be found out
    quantum: u64
    translation: u64
    fault_cause: u64
    fault_address: u64
    identifier: u64  # for people: order of creation
    serving: Ptr[Endpoint] | None  # where it received last; the slot by which, and its handle
    serving_slot: Ptr[Slot] | None
    serving_handle: u64
    serving_next: Ptr["Thread"] | None  # others that serve there
    serving_previous: Ptr["Thread"] | None
    next_doubted: Ptr["Thread"] | None
    next_unsettled: Ptr["Thread"] | None
    wait: Timer
    service: Timer
    # line by line
    table: Slot
    space: Slot
    fault: Slot
    slice: Slot


CHANNEL_PLACES = 8


@struct
class ChannelEntry:
    """One place of a channel: a capability and a word."""

    slot: Slot
    word: u64


@struct
class Channel:
    """A ring of capabilities on their way from one table to another."""

    header: Header
    head: u32
    count: u32
    identifier: u64  # for people: order of creation
    shared: u64  # capabilities that were derived into it, so far
    moved: u64  # those that left the sender's table
    entries: Array[ChannelEntry, CHANNEL_PLACES]


Line = Array[u64, 8]
