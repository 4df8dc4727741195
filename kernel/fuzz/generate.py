"""A random system call: mostly one that could work, with a number here and there that could not."""

from kernel.abi import NEVER_TIMES_OUT, PAGE, Error, Kind, SystemCall
from kernel.fuzz import roles
from kernel.fuzz.numbers import any_number, below, one_in
from kernel.hostile.attacks import program_entry
from kernel.lang import *
from kernel.user import calls
from kernel.user.message import Message

_WEIGHTS = {
    SystemCall.RETYPE: 12, SystemCall.DERIVE: 9, SystemCall.MOVE: 4, SystemCall.DELETE: 5, SystemCall.REVOKE: 2,
    SystemCall.MAP: 7, SystemCall.MAP_TABLE: 4, SystemCall.UNMAP: 2, SystemCall.CALL: 6, SystemCall.SEND: 4,
    SystemCall.RECEIVE: 5, SystemCall.REPLY_RECEIVE: 3, SystemCall.REPLY: 2, SystemCall.NOTIFY: 3, SystemCall.WAIT: 3,
    SystemCall.CHANNEL_SEND: 4, SystemCall.CHANNEL_RECEIVE: 4, SystemCall.THREAD_CONFIGURE: 3,
    SystemCall.THREAD_START: 2, SystemCall.THREAD_STOP: 2, SystemCall.SLICE_CONFIGURE: 2, SystemCall.INTERRUPT_BIND: 2,
    SystemCall.SLEEP: 2,
}  # fmt: skip
_CALLS = [int(c) for c in SystemCall for _ in range(_WEIGHTS.get(c, 1))]
CALLS = constant(Array[u8, len(_CALLS)], _CALLS)

_MADE = [*[Kind.FRAME, Kind.PAGE_TABLE] * 6, Kind.DMA, Kind.UNTYPED, Kind.TABLE, Kind.THREAD, Kind.ENDPOINT,
         Kind.NOTIFICATION, Kind.CHANNEL, Kind.SPACE, Kind.SLICE]  # fmt: skip
MADE = constant(Array[u8, len(_MADE)], [int(k) for k in _MADE])

_EDGES = [0, 1, 2, 3, 7, 8, 12, 31, 63, 64, 255, 4095, 4096, 0x40_0000, 1 << 20, 1 << 31, (1 << 32) - 1, 1 << 32,
          1 << 37, 1 << 38, (1 << 47) - 4096, 1 << 47, 1 << 63, 0xFFFF_FFC0_8020_0000, NEVER_TIMES_OUT]  # fmt: skip
EDGES = constant(Array[u64, len(_EDGES)], _EDGES)
PAGES_AT = 0x5000_0000
PROBES = 40

rights_found = variable(u64, 0)  # of what handle_in found last

# What a call's handle is to; EMPTY: anything.
_KINDS = {
    SystemCall.CALL: Kind.ENDPOINT, SystemCall.SEND: Kind.ENDPOINT, SystemCall.RECEIVE: Kind.ENDPOINT,
    SystemCall.REPLY_RECEIVE: Kind.ENDPOINT, SystemCall.NOTIFY: Kind.NOTIFICATION, SystemCall.WAIT: Kind.NOTIFICATION,
    SystemCall.RETYPE: Kind.UNTYPED, SystemCall.MAP: Kind.FRAME, SystemCall.UNMAP: Kind.FRAME,
    SystemCall.MAP_TABLE: Kind.PAGE_TABLE, SystemCall.THREAD_CONFIGURE: Kind.THREAD,
    SystemCall.THREAD_START: Kind.THREAD, SystemCall.THREAD_STOP: Kind.THREAD, SystemCall.THREAD_INSPECT: Kind.THREAD,
    SystemCall.SLICE_CONFIGURE: Kind.SLICE, SystemCall.INTERRUPT_BIND: Kind.INTERRUPT,
    SystemCall.INTERRUPT_ACKNOWLEDGE: Kind.INTERRUPT, SystemCall.CHANNEL_SEND: Kind.CHANNEL,
    SystemCall.CHANNEL_RECEIVE: Kind.CHANNEL, SystemCall.AUDIT_READ: Kind.AUDIT,
    SystemCall.CHANNEL_INSPECT: Kind.CHANNEL, SystemCall.MACHINE_INSPECT: Kind.MACHINE,
    SystemCall.MACHINE_STOP: Kind.MACHINE,
}  # fmt: skip
KINDS = constant(Array[u8, len(SystemCall)], [int(_KINDS.get(c, Kind.EMPTY)) for c in SystemCall])


@fn
def number() -> u64:
    """A handle's form, an edge, something small, or anything."""
    choice = below(8)
    if choice < 3:
        return (below(4) << 32) | below((1 << roles.TABLE_BITS) + 2)
    if choice < 6:
        return EDGES[below(len(EDGES))]
    return below(64) if choice == 6 else any_number()


@fn
def handle_in(table: u64, kind: Kind) -> u64:
    """A live handle of a table to a kind (EMPTY: to anything), or 0 when none is found; now and then one that is stale,
    forged or to something else."""
    if one_in(16):
        return number()
    global rights_found
    start = below(1 << roles.TABLE_BITS)
    found: u64 = 0
    for i in range(PROBES):
        message = Message()
        slot = (start + u64(i) * 5) % (1 << roles.TABLE_BITS)
        if calls.table_inspect(table, slot, ptr(message)) == Error.NONE:
            if kind == Kind.EMPTY or message.words[0] == u64(kind) or one_in(64):
                found = message.words[7]
                rights_found = message.words[1]
                break
    if found != 0 and one_in(24):  # of an earlier or a later life
        return u64(w64(found) + 0x1_0000_0000 - (w64(below(2)) << 33))
    return found


@fn
def empty_in(table: u64) -> u64:
    """A slot that is mostly empty."""
    for _ in range(6):
        message = Message()
        slot = below(1 << roles.TABLE_BITS)
        if calls.table_inspect(table, slot, ptr(message)) != Error.NONE:
            return slot
    return number()


@fn
def time_limit() -> u64:
    """Ticks to wait."""
    choice = below(10)
    if choice < 2:
        return 0
    if choice < 5:
        return below(500) + 1
    return below(20_000) if choice < 8 else NEVER_TIMES_OUT


@fn
def page_address() -> u64:
    """Where to map: often the same few pages."""
    choice = below(8)
    if choice < 5:
        return PAGES_AT + below(8) * PAGE
    if choice == 5:
        return PAGES_AT + (below(4) << 21)
    return below(16) << 30 if choice == 6 else number()


@fn
def destination(message: Ptr[Message], table: u64) -> None:
    """word0: table, word1: slot."""
    message.words[0] = handle_in(table, Kind.TABLE) if one_in(4) else 0
    message.words[1] = empty_in(table)


@fn
def passenger(message: Ptr[Message], table: u64) -> None:
    """A capability to send along, and a place for one that comes."""
    message.capability = handle_in(table, Kind.EMPTY)
    message.option = (31 if one_in(2) else below(32)) | (256 if one_in(4) else 0)
    if not one_in(4):
        message.option |= (empty_in(table) & 0xFFFF) + 1 << 32


@fn
def arguments(message: Ptr[Message], call: SystemCall, table: u64) -> None:
    """What could work."""
    words = ptr(message.words)
    match call:
        case SystemCall.CALL | SystemCall.SEND | SystemCall.RECEIVE | SystemCall.REPLY_RECEIVE | SystemCall.REPLY:
            passenger(message, table)
            if not one_in(4):
                message.capability = 0
        case SystemCall.CHANNEL_SEND:
            passenger(message, table)
        case SystemCall.CHANNEL_RECEIVE:
            words[0] = empty_in(table)
        case SystemCall.DERIVE:
            words[2] = rights_found & (below(32) | below(32)) if not one_in(6) else below(33)
            destination(message, table)
            words[3] = below(3) if one_in(4) else 0
            words[4] = calls.clock() + below(40_000) if one_in(4) else 0
        case SystemCall.MOVE:
            destination(message, table)
        case SystemCall.RETYPE:
            destination(message, table)
            words[2] = u64(MADE[below(len(MADE))]) if not one_in(8) else below(18)
            words[3] = below(16)
            if words[2] == u64(Kind.FRAME) or words[2] == u64(Kind.DMA):
                words[3] = 12 + below(2)
            elif words[2] == u64(Kind.TABLE):
                words[3] = 1 + below(5)
        case SystemCall.MAP:
            words[0] = handle_in(table, Kind.SPACE)
            words[1] = page_address()
            words[2] = below(8)
        case SystemCall.MAP_TABLE:
            words[0] = handle_in(table, Kind.SPACE)
            words[1] = page_address()
        case SystemCall.THREAD_CONFIGURE:
            words[0] = kept_or(handle_in(table, Kind.TABLE))
            words[1] = kept_or(handle_in(table, Kind.SPACE))
            words[2] = kept_or(handle_in(table, Kind.ENDPOINT))
            words[3] = kept_or(handle_in(table, Kind.SLICE))
        case SystemCall.THREAD_START:
            words[0] = program_entry() if one_in(2) else number()
            words[1] = 0  # nobody runs on a stack that is somebody else's: the first push is a fault
            words[2] = number()
        case SystemCall.SLICE_CONFIGURE:
            words[0] = below(3)
            words[1] = below(10)
            words[2] = 900 + below(100_000)
            words[3] = handle_in(table, Kind.SLICE)
        case SystemCall.INTERRUPT_BIND:
            words[0] = 0 if one_in(3) else handle_in(table, Kind.NOTIFICATION)
            words[1] = below(4)
        case SystemCall.INSPECT | SystemCall.CHANNEL_INSPECT | SystemCall.THREAD_INSPECT:
            words[0] = handle_in(table, Kind.TABLE) if one_in(3) else 0
            words[1] = below(64) if one_in(3) else 0
            words[2] = below(6) if one_in(2) else 0
        case SystemCall.MACHINE_INSPECT:
            words[0] = below(12)
            words[1] = below(300)
        case SystemCall.AUDIT_READ:
            words[0] = below(4000)
        case _:
            words[0] = below(4)


@fn
def kept_or(handle: u64) -> u64:
    """Often what is there stays."""
    if one_in(2):
        return NEVER_TIMES_OUT
    return 0 if one_in(4) else handle


@fn
def generate(message: Ptr[Message], table: u64) -> None:
    """A call for whoever has this table."""
    copy(message, zero(Message))
    message.timeout = time_limit()
    for i in range(8):
        message.words[i] = below(1 << 20)
    if one_in(12):  # registers that nobody thought about
        message.number = below(len(SystemCall)) if one_in(2) else number()
        message.handle = number()
        message.capability = number()
        message.option = number()
        for i in range(8):
            message.words[i] = number()
    else:
        for _ in range(4):
            message.number = u64(CALLS[below(len(CALLS))])
            message.handle = handle_in(table, Kind(KINDS[message.number]))
            if message.handle != 0:
                break
        arguments(message, SystemCall(trunc(message.number, u8)), table)
        if one_in(8):
            message.words[below(8)] = number()
    if message.number == u64(SystemCall.EXIT) and not one_in(4):
        message.number = u64(SystemCall.YIELD)
    if message.number == u64(SystemCall.THREAD_START):
        message.words[1] = 0
