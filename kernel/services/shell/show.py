"""What commands print: rows from live state, each asked for as it is printed."""

from kernel import abi
from kernel.abi import TICKS_PER_SECOND, AuditEvent, Error, Facts, Kind
from kernel.lang import *
from kernel.services.atlas.registry import EventType, Policy, State, Status
from kernel.services.description import LOOK_SLOT, SERVICE_COUNT, SERVICES, SYSTEM
from kernel.services.init.loader import TABLE_BITS
from kernel.services.names import Name, name_words
from kernel.services.protocol import (
    INSPECT_FREE,
    INSPECT_INIT,
    INSPECT_MEMORY,
    INSPECT_PROGRAM,
    INSPECT_TABLE,
    INSPECT_THREAD,
    AtlasCall,
    InitCall,
)
from kernel.user import calls
from kernel.user.message import Message
from kernel.user.text import put, put_byte, put_decimal, put_hex, put_name, put_padded, put_rights, put_seconds

INIT = SYSTEM.handle("shell", "init")
ATLAS = SYSTEM.handle("shell", "atlas")
MACHINE = SYSTEM.handle("shell", "machine")
AUDIT = SYSTEM.handle("shell", "audit")
CHILD_SLOTS = 1 << TABLE_BITS
MOST_AUDIT = 24
HOLDERS = SERVICE_COUNT + 1
"""Rows about who holds what: each service, and the program that `run` started."""
PROGRAM_NAME = constant(Name, {"words": list(name_words("(run)"))})
INIT_NAME = constant(Name, {"words": list(name_words("s-init"))})

KIND_NAMES = constant(Array[Str, len(Kind)], [kind.name.lower() for kind in Kind])
AUDIT_NAMES = constant(Array[Str, len(AuditEvent)], [event.name.lower() for event in AuditEvent])
ERROR_NAMES = constant(Array[Str, len(Error)], [abi.ERROR_TEXT[error] for error in Error])
SERVICE_STATES = constant(Array[Str, len(State)], [state.name.lower() for state in State])
STATUS_NAMES = constant(Array[Str, len(Status)], [status.name.lower() for status in Status])
POLICY_NAMES = constant(Array[Str, len(Policy)], ["never", "on-failure", "always"])
EVENT_NAMES = constant(Array[Str, len(EventType)], [event.name.lower().replace("_", "-") for event in EventType])


@fn
def put_error(error: u64) -> None:
    """An error's text."""
    if error < len(Error):
        put(ERROR_NAMES[error])
    else:
        put("unknown error ")
        put_decimal(error, 0)
    put("\n")


@fn
def put_time(ticks: u64) -> None:
    """Seconds since the machine started, the point always at the same place."""
    limit: u64 = 10 * TICKS_PER_SECOND
    for _ in range(4):
        if ticks < limit:
            put_byte(32)
        limit *= 10
    put_seconds(ticks, TICKS_PER_SECOND)


@fn
def service_name(index: usize, name: Ptr[Name]) -> None:
    """The name of a service of the description."""
    copy(name, SERVICES[index].name)


@fn
def look(number: u64, what: u64, which: usize, handle: Ptr[u64]) -> u64:
    """Has S-INIT hand over a capability to look at a service, of threads at this one; the caller deletes it. Gives an
    Error."""
    message = Message()
    message.words[0] = u64(InitCall.INSPECT)
    message.words[1] = number
    message.words[2] = what
    message.words[3] = u64(which)
    message.option = calls.accept_option(LOOK_SLOT)
    error = calls.call(INIT, ptr(message))
    handle.value = message.capability
    return message.words[0] if error == Error.NONE else u64(error)


@fn
def is_there(number: u64) -> bool:
    """Whether the program of `run` runs; services always have a row."""
    if number != INSPECT_PROGRAM:
        return True
    thread: u64 = 0
    if look(number, INSPECT_THREAD, 0, ptr(thread)) != 0:
        return False
    _ = calls.delete(thread)
    return True


@fn
def holder(index: usize, name: Ptr[Name]) -> u64:
    """Row `index` of those about who holds something: services, then the program that runs, behind them S-INIT. Gives
    its number."""
    if index < SERVICE_COUNT:
        service_name(index, name)
        return u64(index)
    if index == HOLDERS:
        copy(name, INIT_NAME)
        return INSPECT_INIT
    copy(name, PROGRAM_NAME)
    return INSPECT_PROGRAM


@fn
def caps_of(index: usize) -> None:
    """The capabilities of one service, or of the program."""
    table: u64 = 0
    name = Name()
    number = holder(index, ptr(name))
    if not is_there(number):
        return
    error = look(number, INSPECT_TABLE, 0, ptr(table))
    if error != 0:
        put_name(ptr(name), 13)
        put("is not running\n")
        return
    for i in range(CHILD_SLOTS):
        message = Message()
        if calls.table_inspect(table, u64(i), ptr(message)) != Error.NONE:
            continue
        put_name(ptr(name), 13)
        put_decimal(u64(i), 4)
        put_capability(ptr(message))
    _ = calls.delete(table)


@fn
def put_capability(seen: Ptr[Message]) -> None:
    """What a slot holds, to the end of the line."""
    put_byte(32)
    put_padded(KIND_NAMES[seen.words[0]], 13)
    put_rights(seen.words[1])
    put("  ")
    put_hex(seen.words[2], 12)
    put_decimal(seen.words[5], 6)
    if seen.words[3] != 0:
        put("  until ")
        put_seconds(seen.words[3], TICKS_PER_SECOND)
    put("\n")


@fn
def caps_head() -> None:
    """The head of the rows."""
    put("service      slot kind         rights        badge depth\n")


@fn
def caps() -> None:
    """`caps`."""
    caps_head()
    for i in range(HOLDERS):
        caps_of(i)


@fn
def mem_row(number: u64) -> None:
    """A service's memory: bytes, and how many are used."""
    message = Message()
    message.words[0] = u64(InitCall.INSPECT)
    message.words[1] = number
    message.words[2] = INSPECT_MEMORY
    error = u64(calls.call(INIT, ptr(message)))
    if error == 0:
        error = message.words[0]
    if error != 0:
        put_error(error)
    else:
        put_decimal(message.words[1], 10)
        put_decimal(message.words[2], 10)
        put("\n")


@fn
def mem() -> None:
    """`mem`: of services, of the program that `run` starts, and all that S-INIT gives out."""
    put("service           bytes      used\n")
    for i in range(SERVICE_COUNT):
        name = Name()
        service_name(i, ptr(name))
        put_name(ptr(name), 13)
        mem_row(u64(i))
    program = Name()
    copy(program, PROGRAM_NAME)
    put_name(ptr(program), 13)
    mem_row(INSPECT_PROGRAM)
    put_padded("(all)", 13)
    mem_row(INSPECT_FREE)


@fn
def ask_atlas(operation: AtlasCall, argument: u64, message: Ptr[Message]) -> bool:
    """A request by number; False at the end of what there is."""
    message.words[0] = u64(operation)
    message.words[1] = argument
    message.capability = 0
    message.option = 0
    return calls.call(ATLAS, message) == Error.NONE and message.words[0] == 0


@fn
def name_of(message: Ptr[Message], name: Ptr[Name]) -> None:
    """The name in words 1..3."""
    for i in range(3):
        name.words[i] = message.words[1 + i]


@fn
def services() -> None:
    """`services`."""
    put("service      state    health    policy        id restarts       since\n")
    for i in range(32):
        message = Message()
        name = Name()
        if not ask_atlas(AtlasCall.LIST, u64(i), ptr(message)):
            break
        name_of(ptr(message), ptr(name))
        put_name(ptr(name), 13)
        state = message.words[4] & 0xFF
        put_padded(SERVICE_STATES[state], 9)
        if state == u64(State.RUNNING):
            put_padded(STATUS_NAMES[message.words[4] >> 8 & 0xFF], 10)
        else:
            put_padded("-", 10)
        put_padded(POLICY_NAMES[message.words[4] >> 16 & 0xFF], 11)
        put_decimal(message.words[5], 5)
        put_decimal(message.words[6], 9)
        put("   ")
        put_time(message.words[7])
        put("\n")


@fn
def audit() -> None:
    """`audit`: the newest entries of the kernel's ring."""
    message = Message()
    message.words[0] = u64(Facts.COUNTS)
    if calls.machine_inspect(MACHINE, ptr(message)) != Error.NONE:
        return
    last = message.words[5]
    put("     time    number event    thread kind         rights       handle\n")
    for i in bounded(range(min(last, MOST_AUDIT)), MOST_AUDIT):
        message.words[0] = last - min(last, MOST_AUDIT) + i
        if calls.audit_read(AUDIT, ptr(message)) == Error.NONE:
            audit_row(ptr(message))


@fn
def audit_row(message: Ptr[Message]) -> None:
    """One entry."""
    put_time(message.words[1])
    put_decimal(message.words[0], 10)
    put_byte(32)
    put_padded(AUDIT_NAMES[message.words[4]], 9)
    put_decimal(message.words[3], 6)
    put_byte(32)
    put_padded(KIND_NAMES[message.words[5]], 13)
    put_rights(message.words[6])
    put_hex(message.words[2], 15)
    if message.words[7] != 0:
        put_byte(32)
        put_error(message.words[7])
    else:
        put("\n")
