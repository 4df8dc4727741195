"""S-INIT: starts the services of the description in order, and starts or stops one when S-ATLAS says so.

It holds the source of every capability that a service gets: an endpoint a service, the notifications, the devices. A
service that is started again finds the same endpoint, and its clients need not notice. S-INIT calls nobody, it only
answers: it waits for no service, and none can hold it up.

The kernel tells S-ATLAS when a service ends (its threads' fault endpoint is S-ATLAS's), and S-INIT when S-ATLAS does.
"""

from typing import Never

from kernel import archive
from kernel.abi import NEVER_TIMES_OUT, Error, Kind, Rights, SliceClass
from kernel.arch.objects import bytes_of
from kernel.lang import *
from kernel.services.description import (
    AT_BOOT,
    ATLAS_SLOT,
    FIRST_SLOT,
    MAX_GRANTS,
    NOTIFICATION_COUNT,
    SERVICE_COUNT,
    SERVICES,
    SYSTEM,
    GrantKind,
    GrantRow,
)
from kernel.services.init import jobs, loader
from kernel.services.init.jobs import JOB_FAULT_BADGE, Job
from kernel.services.init.loader import MOST_THREADS, Builder, Child
from kernel.services.init.memory import largest_untyped
from kernel.services.names import Name
from kernel.services.protocol import (
    ENDED_BIT,
    FAULT_BADGE,
    INSPECT_FREE,
    INSPECT_INIT,
    INSPECT_MEMORY,
    INSPECT_PROGRAM,
    INSPECT_TABLE,
    INSPECT_THREAD,
    OPERATOR_BADGE,
    THREAD_SHIFT,
    UNKNOWN,
    WANTED_SHIFT,
    InitCall,
)
from kernel.services.run import PROGRAM_BITS, Outcome
from kernel.user import calls, first_table
from kernel.user.first_table import first_life
from kernel.user.layout import ARCHIVE_AT, CONSOLE_AT, SECOND_STACK_TOP, STACK_TOP
from kernel.user.message import Message

ATLAS = SYSTEM.index("atlas")
CONSOLE_SERVICE = SYSTEM.index("console")
SHELL_INPUT = SYSTEM.notifications.index("shell-input")
ATLAS_BADGE = 1
INIT_FAULT_BADGE = FAULT_BADGE
QUANTUM = 100_000  # ticks: 10 ms

FIRST_ENDPOINT = 64
FIRST_NOTIFICATION = FIRST_ENDPOINT + 16
OWN_ENDPOINT = 96
SCRATCH = 97  # a capability on its way to somebody
JOB_MEMORY = 111
FIRST_MEMORY = 112
FIRST_OBJECT = 128
OBJECTS = 64
"""Slots for each service's objects; what follows is for those of the program that runs."""
FIRST_JOB_SLOT = FIRST_OBJECT + OBJECTS * SERVICE_COUNT
LAST_JOB_SLOT = (1 << first_table.TABLE_BITS) - 1
assert FIRST_JOB_SLOT + 256 <= LAST_JOB_SLOT


@struct
class Running:
    """What S-INIT knows of a service."""

    memory: u64  # its untyped
    endpoint: u64
    child: Child
    up: bool


running = variable(Array[Running, SERVICE_COUNT])
notifications = variable(Array[u64, NOTIFICATION_COUNT])
own_endpoint = variable(u64, 0)
free_memory = variable(u64, 0)
wanted = variable(u64, AT_BOOT)  # services that are not to stay down, a bit each: S-ATLAS forgets when it dies
job = variable(Job)
machine = variable(u16, 0)


@fn
def grant(child: Ptr[Child], slot: u64, source: u64, rights: u8, badge: u64) -> Error:
    """A capability into a service's table."""
    made: u64 = 0
    return calls.derive(source, child.table, slot, rights, badge, 0, ptr(made))


@fn
def give(index: usize, child: Ptr[Child], slot: u64, row: Ptr[GrantRow]) -> Error:
    """What a row of the description says."""
    match row.kind:
        case GrantKind.CLIENT:
            return grant(child, slot, running[usize(row.of)].endpoint, row.rights, row.badge)
        case GrantKind.OWN_CLIENT:
            return grant(child, slot, running[index].endpoint, row.rights, row.badge)
        case GrantKind.SERVE:
            return grant(child, slot, running[index].endpoint, row.rights, 0)
        case GrantKind.INIT:
            return grant(child, slot, own_endpoint, row.rights, row.badge)
        case GrantKind.NOTIFY | GrantKind.WAIT:
            return grant(child, slot, notifications[usize(row.of)], row.rights, 0)
        case GrantKind.CONSOLE:
            return grant(child, slot, first_life(first_table.CONSOLE), row.rights, 0)
        case GrantKind.CONSOLE_INTERRUPT:
            return grant(child, slot, first_life(first_table.CONSOLE_INTERRUPT), row.rights, 0)
        case GrantKind.MACHINE:
            return grant(child, slot, first_life(first_table.MACHINE), row.rights, 0)
        case GrantKind.AUDIT:
            return grant(child, slot, first_life(first_table.AUDIT), row.rights, 0)


@fn
def give_all(index: usize, builder: Ptr[Builder], child: Ptr[Child]) -> Error:
    """Everything that the description gives a service, and the console's registers into its space."""
    error = Error.NONE
    if index != ATLAS:
        error = grant(child, ATLAS_SLOT, running[ATLAS].endpoint, Rights.WRITE, u64(index) + 1)
    for i in bounded(range(SERVICES[index].grant_count), MAX_GRANTS):
        row = GrantRow(kind=GrantKind.CLIENT)
        copy(row, SERVICES[index].grants[i])
        if error == Error.NONE:
            error = give(index, child, FIRST_SLOT + u64(i), ptr(row))
        if error == Error.NONE and row.kind == GrantKind.CONSOLE:
            error = map_console(builder, child)
    return error


@fn
def map_console(builder: Ptr[Builder], child: Ptr[Child]) -> Error:
    """The console's registers where the console service expects them."""
    device: u64 = 0
    error = calls.derive(
        first_life(first_table.CONSOLE), 0, builder.next_slot, Rights.READ | Rights.WRITE, 0, 0, ptr(device)
    )
    if error == Error.NONE:
        builder.next_slot += 1
        error = loader.map_page(builder, child.space, device, CONSOLE_AT, Rights.READ | Rights.WRITE)
    return error


@fn
def set_going(index: usize, child: Ptr[Child]) -> Error:
    """Configures and starts a service's threads."""
    error = calls.slice_configure(
        child.slice, u64(SliceClass.INTERACTIVE), u64(SERVICES[index].level), QUANTUM, first_life(first_table.SLICE)
    )
    # Who hears when it ends: S-ATLAS, of itself S-INIT.
    fault: u64 = 0
    if error == Error.NONE:
        if index == ATLAS:
            error = calls.derive(own_endpoint, 0, SCRATCH, Rights.WRITE, INIT_FAULT_BADGE, 0, ptr(fault))
        else:
            badge = FAULT_BADGE | (u64(index) + 1)
            error = calls.derive(running[ATLAS].endpoint, 0, SCRATCH, Rights.WRITE, badge, 0, ptr(fault))
    for i in bounded(range(u64(SERVICES[index].threads)), MOST_THREADS):
        if error == Error.NONE:
            error = calls.thread_configure(child.threads[i], child.table, child.space, fault, child.slice)
        if error == Error.NONE:
            stack: u64 = STACK_TOP if i == 0 else SECOND_STACK_TOP
            argument = u64(i) | u64(index) << THREAD_SHIFT | wanted << WANTED_SHIFT
            error = calls.thread_start(child.threads[i], child.entry, stack, argument)
    if fault != 0:
        _ = calls.delete(fault)
    return error


@fn
def stop(index: usize) -> Error:
    """Ends a service: everything that was made for it goes back into its memory."""
    running[index].up = False
    device_slots_end(index)
    return calls.revoke(running[index].memory)


@fn
def device_slots_end(index: usize) -> None:
    """Deletes what is in the service's slots and not made of its memory: derived device capabilities."""
    for i in range(OBJECTS):
        message = Message()
        slot = FIRST_OBJECT + u64(index) * OBJECTS + u64(i)
        if calls.inspect(slot, ptr(message)) == Error.NONE and message.words[0] == u64(Kind.DEVICE):
            _ = calls.delete(message.words[7])


@fn
def start(index: usize) -> Error:
    """Starts a service, after ending what is left of it."""
    error = stop(index)
    entry = zero(archive.Entry)
    archived = view(bytes_of(ARCHIVE_AT, archive.MOST_BYTES))
    name = Name()
    copy(name, SERVICES[index].program)
    if error != Error.NONE or not archive.find(archived, ptr(name), ptr(entry)):
        return Error.OUT_OF_RANGE
    file = archived[usize(entry.offset) : usize(entry.offset + entry.bytes)]
    slot = FIRST_OBJECT + u64(index) * OBJECTS
    builder = Builder(
        memory=running[index].memory,
        own_space=first_life(first_table.SPACE),
        next_slot=slot,
        last_slot=slot + OBJECTS - 1,
    )
    child = ptr(running[index].child)
    error = loader.load(ptr(builder), file, machine, u64(SERVICES[index].threads), child)
    if error == Error.NONE:
        error = give_all(index, ptr(builder), child)
    if error == Error.NONE:
        error = set_going(index, child)
    running[index].up = error == Error.NONE
    return error


@fn
def inspect_service(message: Ptr[Message]) -> Error:
    """INSPECT: a capability that only looks."""
    if message.number & OPERATOR_BADGE == 0:
        return Error.DENIED
    if message.words[2] == INSPECT_MEMORY and message.words[1] == INSPECT_PROGRAM:
        return inspect_memory(job.memory, message)
    if message.words[2] == INSPECT_MEMORY and message.words[1] == INSPECT_FREE:
        return inspect_memory(free_memory, message)
    if message.words[1] == INSPECT_INIT and message.words[2] == INSPECT_THREAD and message.words[3] == 0:
        return show_to(message, first_life(first_table.THREAD))
    if message.words[1] == INSPECT_INIT and message.words[2] == INSPECT_TABLE:
        return show_to(message, first_life(first_table.TABLE))
    child = ptr(job.child)
    if message.words[1] != INSPECT_PROGRAM:
        if message.words[1] >= SERVICE_COUNT:
            return Error.OUT_OF_RANGE
        service = ptr(running[usize(message.words[1])])
        if message.words[2] == INSPECT_MEMORY:
            return inspect_memory(service.memory, message)
        if not service.up:
            return Error.OUT_OF_RANGE
        child = ptr(service.child)
    elif job.outcome != Outcome.RUNNING:
        return Error.OUT_OF_RANGE
    source: u64 = 0
    if message.words[2] == INSPECT_TABLE:
        source = child.table
    elif message.words[2] == INSPECT_THREAD:
        source = child.threads[message.words[3]] if message.words[3] < MOST_THREADS else 0
    return Error.OUT_OF_RANGE if source == 0 else show_to(message, source)


@fn
def show_to(message: Ptr[Message], source: u64) -> Error:
    """Lets who asks look at an object."""
    message.capability = source
    message.option = calls.grant_option(Rights.READ, False)
    return Error.NONE


@fn
def inspect_memory(memory: u64, message: Ptr[Message]) -> Error:
    """Bytes of an untyped, and how many of them are used."""
    figures = Message()
    error = calls.inspect(memory, ptr(figures))
    message.words[1] = u64(1) << figures.words[4]
    message.words[2] = figures.words[2]
    return error


@fn
def serve_operator(message: Ptr[Message], operation: u64) -> Error:
    """RUN, KILL_PROGRAM, OUTCOME."""
    if message.number & OPERATOR_BADGE == 0:
        return Error.DENIED
    if operation == u64(InitCall.RUN):
        name = Name()
        for i in range(3):
            name.words[i] = message.words[1 + i]
        return jobs.start(ptr(job), ptr(name), message.words[4], machine)
    if operation == u64(InitCall.KILL_PROGRAM):
        return jobs.kill(ptr(job))
    return jobs.tell(ptr(job), message)


@fn
def serve_atlas(index: usize, operation: u64, stays_down: bool) -> Error:
    """START, STOP, RELEASE."""
    global wanted
    if operation == u64(InitCall.START):
        wanted |= u64(1) << index
        return start(index)
    if stays_down or operation == u64(InitCall.RELEASE):
        wanted &= ~(u64(1) << index)
    if operation == u64(InitCall.RELEASE):
        return Error.NONE
    was_up = running[index].up
    error = stop(index)
    return error if was_up else Error.OUT_OF_RANGE


@fn
def serve(message: Ptr[Message]) -> None:
    """A request; the message becomes the answer."""
    operation = message.words[0]
    message.capability = 0
    message.option = 0
    error = Error.DENIED
    if message.number == INIT_FAULT_BADGE:
        _ = start(ATLAS)  # it always comes back: without it nobody would be
        return
    if message.number == JOB_FAULT_BADGE:
        jobs.ended(ptr(job), message)
        _ = calls.notify(notifications[SHELL_INPUT], ENDED_BIT)
        return
    if operation == u64(InitCall.INSPECT):
        error = inspect_service(message)
    elif operation >= u64(InitCall.RUN) and operation <= u64(InitCall.OUTCOME):
        error = serve_operator(message, operation)
    elif operation < u64(InitCall.START) or operation > u64(InitCall.RELEASE):
        message.words[0] = UNKNOWN
        return
    elif message.number == ATLAS_BADGE and message.words[1] < SERVICE_COUNT and message.words[1] != ATLAS:
        error = serve_atlas(usize(message.words[1]), operation, message.words[2] != 0)
    message.words[0] = u64(error)


@fn
def must(error: Error) -> None:
    """Without it there is no system."""
    assert error == Error.NONE, "S-INIT cannot set up the system"


@fn
def set_up() -> None:
    """Endpoints, notifications, memory for each service, the archive in sight."""
    global own_endpoint, free_memory
    untyped = largest_untyped()
    free_memory = untyped
    builder = Builder(
        memory=untyped, own_space=first_life(first_table.SPACE), next_slot=SCRATCH + 1, last_slot=JOB_MEMORY - 1
    )
    must(calls.retype(untyped, 0, OWN_ENDPOINT, Kind.ENDPOINT, 0, ptr(own_endpoint)))
    for i in range(SERVICE_COUNT):
        service = ptr(running[i])
        must(calls.retype(untyped, 0, FIRST_ENDPOINT + u64(i), Kind.ENDPOINT, 0, ptr(service.endpoint)))
        bits = u64(SERVICES[i].memory_bits)
        must(calls.retype(untyped, 0, FIRST_MEMORY + u64(i), Kind.UNTYPED, bits, ptr(service.memory)))
    for i in range(NOTIFICATION_COUNT):
        slot = FIRST_NOTIFICATION + u64(i)
        must(calls.retype(untyped, 0, slot, Kind.NOTIFICATION, 0, ptr(notifications[i])))
    must(
        loader.map_page(
            ptr(builder), first_life(first_table.SPACE), first_life(first_table.ARCHIVE), ARCHIVE_AT, Rights.READ
        )
    )
    must(loader.map_window(ptr(builder)))
    must(calls.retype(untyped, 0, JOB_MEMORY, Kind.UNTYPED, PROGRAM_BITS, ptr(job.memory)))
    job.session = running[CONSOLE_SERVICE].endpoint
    job.atlas = running[ATLAS].endpoint
    job.told = own_endpoint
    job.scratch = SCRATCH
    job.first_slot = FIRST_JOB_SLOT
    job.last_slot = LAST_JOB_SLOT
    job.outcome = Outcome.EXITED


@fn
def begin(elf_machine: u16) -> None:
    """Starts everything."""
    global machine
    machine = elf_machine
    set_up()
    for i in range(SERVICE_COUNT):
        if wanted >> u64(i) & 1 != 0:
            _ = start(i)


@fn
def run() -> Never:
    """Serves."""
    message = Message()
    error = calls.receive(own_endpoint, ptr(message), NEVER_TIMES_OUT, 0)
    while True:
        if error == Error.NONE:
            serve(ptr(message))
        else:  # whoever asked has no place for the capability
            message.words[0] = u64(error)
            message.capability = 0
            message.option = 0
        error = calls.reply_receive(own_endpoint, ptr(message), NEVER_TIMES_OUT)


@fn
def main(argument: u64) -> u64:
    """The first program."""
    begin(trunc(argument, u16))
    run()
