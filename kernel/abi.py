"""The interface between user programs and the kernel: numbers, rights, kinds, errors, registers. Described once.

The kernel, the user library, the C header and docs/kernel.md take it from here.

Every system call takes and gives the same thirteen registers:

| name | in | out |
|---|---|---|
| number | the call (`SystemCall`) | the badge of the message received, or a second result |
| handle | the capability that allows the call | the status (`Error`) |
| word0..word7 | the message (word0 is its tag), or arguments | the message received, or results |
| capability | handle of a capability to send along, 0 for none | handle of the capability received, 0 for none |
| option | `Option` | what was granted: kind << 8 or rights of the capability received |
| timeout | ticks to wait, 0: do not wait, NEVER: no limit | 0 |

Callee-saved registers of the platform's C ABI, the stack pointer and the link register survive; no other does.
"""

from enum import IntEnum

from kernel.lang import Bits, bitfield, enum, u64

PAGE = 4096
WORDS = 8
NEVER_TIMES_OUT = 2**64 - 1
TICKS_PER_SECOND = 10_000_000


class Rights:
    """What a capability allows, by object. Numbers are the published S-CAP ones."""

    NONE = 0
    READ = 1  # receive, wait, map readable, inspect
    WRITE = 2  # send, call, notify, map writable, retype, put into (tables)
    EXECUTE = 4  # map executable; start and stop (threads); have a thread live by (tables, spaces, slices)
    GRANT = 8  # may be handed to somebody else
    REVOKE = 16  # may revoke what was derived from it
    ALL = 31


@enum(8)
class Kind(IntEnum):
    """What a capability is to."""

    EMPTY = 0
    UNTYPED = 1
    FRAME = 2
    DEVICE = 3
    DMA = 4
    TABLE = 5
    THREAD = 6
    ENDPOINT = 7
    NOTIFICATION = 8
    SPACE = 9
    PAGE_TABLE = 10
    CHANNEL = 11
    INTERRUPT = 12
    SLICE = 13
    AUDIT = 14
    MACHINE = 15


@enum(8)
class Error(IntEnum):
    """Why a system call did not do what was asked; 0 when it did."""

    NONE = 0
    INVALID_HANDLE = 1
    WRONG_KIND = 2
    DENIED = 3
    EXPIRED = 4
    OCCUPIED = 5
    OUT_OF_RANGE = 6
    NO_MEMORY = 7
    TIMED_OUT = 8
    PEER_GONE = 9
    REVOKED = 10
    NO_CALLER = 11
    MAPPED = 12
    NOT_MAPPED = 13
    NO_PAGE_TABLE = 14
    BUSY = 15
    LIMIT = 16
    UNKNOWN_CALL = 17
    FULL = 18
    NOT_DERIVABLE = 19
    CANCELLED = 20
    RESTART = 21


ERROR_TEXT = {
    Error.NONE: "done",
    Error.INVALID_HANDLE: "the handle names no live capability of the caller's table",
    Error.WRONG_KIND: "the capability is to another kind of object",
    Error.DENIED: "the capability lacks a right that the call needs",
    Error.EXPIRED: "the capability's time is over",
    Error.OCCUPIED: "the destination slot is not empty",
    Error.OUT_OF_RANGE: "an argument is outside of what the object allows",
    Error.NO_MEMORY: "the untyped memory has too little room left",
    Error.TIMED_OUT: "nobody came in time",
    Error.PEER_GONE: "the peer died, or will never reply",
    Error.REVOKED: "the capability was revoked while the thread waited on it",
    Error.NO_CALLER: "nobody waits for a reply of this thread",
    Error.MAPPED: "the page is mapped already",
    Error.NOT_MAPPED: "the page is not mapped",
    Error.NO_PAGE_TABLE: "a page table is missing on the way to the address",
    Error.BUSY: "the object is in use",
    Error.LIMIT: "a fixed number of the kernel is used up",
    Error.UNKNOWN_CALL: "no system call has this number",
    Error.FULL: "the channel has no free place",
    Error.NOT_DERIVABLE: "capabilities to this kind of object can only be moved",
    Error.CANCELLED: "another thread ended the wait",
    Error.RESTART: "internal: more steps are to be done; user code never sees it",
}


@enum(8)
class SystemCall(IntEnum):
    """The numbers of the system calls."""

    NULL = 0
    CALL = 1
    REPLY_RECEIVE = 2
    SEND = 3
    RECEIVE = 4
    REPLY = 5
    NOTIFY = 6
    WAIT = 7
    YIELD = 8
    SLEEP = 9
    DERIVE = 10
    MOVE = 11
    DELETE = 12
    REVOKE = 13
    RETYPE = 14
    INSPECT = 15
    MAP = 16
    UNMAP = 17
    MAP_TABLE = 18
    THREAD_CONFIGURE = 19
    THREAD_START = 20
    THREAD_STOP = 21
    THREAD_INSPECT = 22
    SLICE_CONFIGURE = 23
    INTERRUPT_BIND = 24
    INTERRUPT_ACKNOWLEDGE = 25
    CHANNEL_SEND = 26
    CHANNEL_RECEIVE = 27
    AUDIT_READ = 28
    MACHINE_INSPECT = 29
    MACHINE_STOP = 30
    EXIT = 31
    CLOCK = 32
    CHANNEL_INSPECT = 33


@bitfield(u64)
class Option:
    """The option register.

    rights: what the receiver of the sent capability gets of its rights (GRANT itself only when named here).
    move: the capability leaves the sender's table instead of being derived.
    accept: slot index + 1 in the caller's table where a received capability goes; 0 refuses capabilities.
    """

    rights: Bits[8]
    move: bool
    reserved: Bits[23]
    accept: Bits[32]


@enum(8)
class SliceClass(IntEnum):
    """Scheduling classes, least urgent first."""

    BACKGROUND = 0
    INTERACTIVE = 1
    REAL_TIME = 2


# Levels of each class: BACKGROUND 0..15, INTERACTIVE 16..47, REAL_TIME 48..63; higher runs first.
CLASS_FIRST = {SliceClass.BACKGROUND: 0, SliceClass.INTERACTIVE: 16, SliceClass.REAL_TIME: 48}
LEVELS = 64


@enum(8)
class ThreadState(IntEnum):
    """What a thread is doing."""

    STOPPED = 0
    READY = 1
    SENDING = 2
    CALLING = 3  # its message was taken; waits for the reply
    RECEIVING = 4
    WAITING = 5
    SLEEPING = 6
    FAULTED = 7


@enum(8)
class AuditEvent(IntEnum):
    """What the audit ring records."""

    NONE = 0
    CREATED = 1
    DERIVED = 2
    GRANTED = 3
    MOVED = 4
    DELETED = 5
    REVOKED = 6
    DENIED = 7
    EXPIRED = 8
    FAULT = 9


@enum(8)
class Facts(IntEnum):
    """What MACHINE_INSPECT tells about."""

    COUNTS = 0
    INTERRUPT = 1
    CPU_MODEL = 2
    CPU_FEATURES = 3
    MACHINE = 4
    LOADER = 5
    COMMAND_LINE = 6
    LOG = 7
    INVARIANTS = 8


WALK, DEEP_WALK, QUICK_WALK = 0, 1, 2
"""How INVARIANTS looks."""


@enum(8)
class Invariant(IntEnum):
    """What must hold of the kernel's state between any two traps; kernel/core/invariants.py looks."""

    NONE = 0  # all of them hold
    TREE = 1  # links of the derivation tree agree, and it has every live slot once
    RIGHTS = 2  # rights, expiry and badge only shrink along the tree, and the object stays the same
    PLACE = 3  # a slot is what its container says, an empty one is in no tree
    REFERENCES = 4  # an object counts the slots that name it
    KIND = 5  # an object is what its capabilities say
    EXTENT = 6  # objects lie in the used part of their untyped
    OVERLAP = 7  # and not on one another
    DYING = 8  # what has no capability left is on the list of the dying
    QUEUE = 9  # a queue's links agree, it has what its object says, its threads name it
    STATE = 10  # a thread is in the queue that its state says, or in none
    REPLY = 11  # caller and server name each other, and the caller waits
    LEVEL = 12  # a thread is as urgent as itself and all who wait for it
    TIMER = 13  # the heap is one, and has whoever waits with a limit
    SPACE = 14  # identifiers and spaces belong to each other
    PAGE = 15  # what is mapped, a live capability says, and allows; never writable and executable
    CHANNEL = 16  # only the places between head and head + count hold anything


# Tags of the messages that the kernel itself sends to a thread's fault endpoint.
TAG_FAULT = 0xFA017
TAG_EXIT = 0xE817
PANIC_STATUS = 1 << 32
"""Exit status of a program that panicked; the line of its source is in the low bits."""

# Register names in the order number, handle, word0..word7, capability, option, timeout.
REGISTERS = {
    "riscv64": ("a7", "a0", "a1", "a2", "a3", "a4", "a5", "a6", "t0", "t1", "t2", "t3", "t4"),
    "x86_64": ("rax", "rdi", "rsi", "rdx", "r10", "r8", "r9", "r12", "r13", "r14", "r15", "rbx", "rbp"),
    "aarch64": ("x8", "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x9", "x10", "x11", "x12"),
}
