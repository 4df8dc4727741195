"""The world of a round: actors with a table and memory of their own, a partner that always answers, an idler that runs
when nobody else can. All of it is made of one untyped, which the end of the round takes back.
"""

from kernel.abi import NEVER_TIMES_OUT, Error, Kind, Rights, SliceClass
from kernel.fuzz import roles
from kernel.hostile.attacks import program_entry
from kernel.lang import *
from kernel.user import calls, first_table
from kernel.user.first_table import first_life
from kernel.user.message import Message

ROUND_BITS = 19
MEMORY_BITS = 16  # an actor's own
FIRST_SLOT, LAST_SLOT = 200, 299  # of this program's table, for the objects of a round
CONTROL_SLOT, ROUND_SLOT = 100, 101
IDLE_BADGE = 99
QUANTUM = 10_000  # ticks
CLASSES = constant(Array[u8, roles.ACTORS], [int(SliceClass.INTERACTIVE)] * 3 + [int(SliceClass.REAL_TIME)])
LEVELS = constant(Array[u8, roles.ACTORS], [4, 4, 10, 2])
PARTNER_LEVEL = 6


@struct
class Actor:
    """Handles in this program's table, and what the actor is doing."""

    table: u64
    thread: u64
    slice: u64
    fault: u64
    busy: bool
    misconfigured: bool


@struct
class World:
    """Handles in this program's table."""

    round: u64
    control: u64
    actors: Array[Actor, roles.ACTORS]
    dummy: u64
    idler: u64
    partner: u64
    next_slot: u64
    failed: Error  # the first thing that could not be made


world = variable(World)
stacks = variable(Array[u8, roles.STACK * (roles.ACTORS + 2)], align=16)


@fn
def stack_of(number: u64) -> u64:
    """The top of a stack."""
    return u64(address_of(ptr(stacks))) + (number + 1) * roles.STACK


@fn
def need(error: Error) -> None:
    """What must work."""
    if error != Error.NONE and world.failed == Error.NONE:
        world.failed = error


@fn
def make(kind: Kind, bits: u64) -> u64:
    """A new object of the round; gives its handle."""
    made: u64 = 0
    need(calls.retype(world.round, 0, world.next_slot, kind, bits, ptr(made)))
    world.next_slot += 1
    return made


@fn
def give(source: u64, table: u64, slot: u64, rights: u8, badge: u64) -> None:
    """A capability for an actor."""
    made: u64 = 0
    need(calls.derive(source, table, slot, rights, badge, 0, ptr(made)))


@fn
def make_thread(slice_class: u64, level: u64, slice: Ptr[u64]) -> u64:
    """A thread, and a slice for it."""
    slice.value = make(Kind.SLICE, 0)
    need(calls.slice_configure(slice.value, slice_class, level, QUANTUM, first_life(first_table.SLICE)))
    return make(Kind.THREAD, 0)


@fn
def configure(number: u64) -> None:
    """Gives an actor back what it lives by, whatever the others have made of it."""
    actor = ptr(world.actors[number])
    _ = calls.thread_stop(actor.thread)
    need(calls.thread_configure(actor.thread, actor.table, first_life(first_table.SPACE), actor.fault, actor.slice))
    actor.misconfigured = False
    actor.busy = False


@fn
def begin() -> None:
    """Makes everything."""
    world.next_slot = FIRST_SLOT
    all: u8 = Rights.ALL
    served = make(Kind.ENDPOINT, 0)
    open = make(Kind.ENDPOINT, 0)
    bell = make(Kind.NOTIFICATION, 0)
    channel = make(Kind.CHANNEL, 0)
    space = make(Kind.SPACE, 0)
    world.dummy = make(Kind.THREAD, 0)
    for i in range(roles.ACTORS):
        actor = ptr(world.actors[i])
        actor.table = make(Kind.TABLE, roles.TABLE_BITS)
        actor.thread = make_thread(u64(CLASSES[i]), u64(LEVELS[i]), ptr(actor.slice))
        need(calls.derive(world.control, 0, world.next_slot, Rights.WRITE, u64(i) + 1, 0, ptr(actor.fault)))
        world.next_slot += 1
    for i in range(roles.ACTORS):
        actor = ptr(world.actors[i])
        next = ptr(world.actors[(i + 1) % roles.ACTORS])
        table = actor.table
        made: u64 = 0
        give(table, table, roles.TABLE, all, 0)
        give(next.table, table, roles.OTHER_TABLE, all, 0)
        need(calls.retype(world.round, table, roles.MEMORY, Kind.UNTYPED, MEMORY_BITS, ptr(made)))
        give(first_life(first_table.SPACE), table, roles.SPACE, Rights.WRITE | Rights.EXECUTE | Rights.GRANT, 0)
        give(space, table, roles.EMPTY_SPACE, all, 0)
        give(served, table, roles.SERVED, all ^ Rights.READ, u64(i) + 1)
        give(open, table, roles.OPEN, all, 0)
        give(open, table, roles.OPEN_BADGED, all, u64(i) + 1)
        give(bell, table, roles.BELL, all, 0)
        give(bell, table, roles.BELL_BADGED, all, u64(1) << u64(i))
        give(channel, table, roles.CHANNEL, all, 0)
        give(actor.thread, table, roles.THREAD, all, 0)
        give(next.thread, table, roles.OTHER_THREAD, all, 0)
        give(world.dummy, table, roles.DUMMY, all, 0)
        give(actor.slice, table, roles.SLICE, all, 0)
        give(first_life(first_table.AUDIT), table, roles.AUDIT, Rights.READ | Rights.GRANT, 0)
        give(first_life(first_table.MACHINE), table, roles.MACHINE, Rights.READ | Rights.GRANT, 0)
        rights: u8 = Rights.READ | Rights.WRITE | Rights.GRANT
        give(first_life(first_table.CONSOLE_INTERRUPT), table, roles.INTERRUPT, rights, 0)
        give(first_life(first_table.CONSOLE), table, roles.DEVICE, Rights.READ | Rights.GRANT, 0)
        configure(u64(i))
    begin_helpers(served, open)


@fn
def begin_helpers(served: u64, open: u64) -> None:
    """The partner and the idler."""
    slice: u64 = 0
    space = first_life(first_table.SPACE)
    table = make(Kind.TABLE, 5)
    give(served, table, roles.SERVED, Rights.READ, 0)
    give(open, table, roles.OPEN, Rights.ALL, 0)
    world.partner = make_thread(u64(SliceClass.INTERACTIVE), PARTNER_LEVEL, ptr(slice))
    need(calls.thread_configure(world.partner, table, space, 0, slice))
    need(calls.thread_start(world.partner, program_entry(), stack_of(roles.ACTORS), roles.PARTNER))
    table = make(Kind.TABLE, 1)
    give(world.control, table, 1, Rights.WRITE, IDLE_BADGE)
    world.idler = make_thread(u64(SliceClass.BACKGROUND), 0, ptr(slice))
    need(calls.thread_configure(world.idler, table, space, 0, slice))
    need(calls.thread_start(world.idler, program_entry(), stack_of(roles.ACTORS + 1), roles.IDLER))


@fn
def end() -> None:
    """Takes everything back: what was derived from the first program's own capabilities, and all that was made."""
    need(calls.interrupt_bind(first_life(first_table.CONSOLE_INTERRUPT), 0, 0))
    need(calls.revoke(world.control))
    need(calls.revoke(world.round))


@fn
def answer_all() -> u64:
    """The partner: answers every call, with each word one more; some calls get a capability too."""
    message = Message()
    error = calls.receive(first_life(roles.SERVED), ptr(message), NEVER_TIMES_OUT, ACCEPTED)
    for _ in range(1 << 60):
        if error == Error.NONE and message.capability != 0:
            _ = calls.delete(message.capability)
        for i in range(8):
            message.words[i] = u64(w64(message.words[i]) + 1)
        message.capability = first_life(roles.OPEN) if message.words[0] & 1 != 0 else 0
        message.option = calls.accept_option(ACCEPTED) | u64(Rights.WRITE)
        error = calls.reply_receive(first_life(roles.SERVED), ptr(message), NEVER_TIMES_OUT)
        if error == Error.FULL:  # whoever called takes no capability
            message.capability = 0
            error = calls.reply_receive(first_life(roles.SERVED), ptr(message), NEVER_TIMES_OUT)
    return 1


ACCEPTED = 10


@fn
def tell_idle() -> u64:
    """The idler: says whenever it runs that nobody else does."""
    message = Message()
    for _ in range(1 << 60):
        _ = calls.send(first_life(1), ptr(message), NEVER_TIMES_OUT)
    return 1
