"""What becomes of who waits for whom: `run peers` has threads die, lose their capabilities and overtake one another,
and prints who did what, in the order of the clock.

This thread directs. The others run below it (the urgent one above), so that each of them has come as far as it can when
this one goes on.
"""

from enum import IntEnum

from kernel import abi
from kernel.abi import NEVER_TIMES_OUT, TICKS_PER_SECOND, Error, Kind, Rights, SliceClass, ThreadState
from kernel.arch.objects import pointer_maker
from kernel.hostile.attacks import program_entry
from kernel.lang import *
from kernel.services import run
from kernel.services.init import loader
from kernel.services.init.loader import Builder
from kernel.user import calls, text
from kernel.user.first_table import first_life
from kernel.user.message import Message
from kernel.user.text import put

ACTORS = 5
SERVER, CLIENT, URGENT, SPINNER, SECOND = range(ACTORS)
_NAMES = ("server", "client", "urgent", "spinner", "second")
NAMES = constant(Array[Str, ACTORS], _NAMES)
LOW, MIDDLE, HIGH = 1, 3, run.LEVEL + 1
QUANTUM = 100_000  # ticks
ROLE = 1 << 40  # above: which actor
STACK = 4096
MARKS = 8
POLL = 50_000  # ticks: also on slow machines longer than a way through the kernel
POLLS = 2000
LONG = 2_000_000  # rounds: the spinner gives up
OBJECT_BITS = 13
MEMORY_SLOT, FIRST_SLOT, LAST_SLOT = run.FIRST_FREE_SLOT, run.FIRST_FREE_SLOT + 1, 63


@enum(8)
class Do(IntEnum):
    """What an actor is to do."""

    CALL = 0
    RECEIVE = 1
    WAIT = 2
    SERVE = 3  # `times` requests: work, then perhaps a call of its own, then the answer
    DIE = 4  # with a call that it has received
    SPIN = 5


@enum(8)
class Event(IntEnum):
    """What an actor did."""

    NONE = 0
    CALLS = 1
    WAITS = 2
    RECEIVES = 3
    ANSWERS = 4
    DIES = 5
    BEGINS = 6
    ENDS = 7
    TOLD = 8


@struct
class Actor:
    """An actor: its thread, what it is to do, with what."""

    thread: u64
    handle: u64
    second: u64
    times: u64
    busy: bool  # works until it may answer
    what: Do


@struct
class Mark:
    """An event, when, what the kernel said, and whether the actor ran above its own level."""

    time: u64
    event: Event
    error: Error
    lifted: bool


EVENTS = constant(Array[Str, len(Event)], [event.name.lower() for event in Event])
ERRORS = constant(Array[Str, len(Error)], [abi.ERROR_TEXT[error] for error in Error])
word_at = pointer_maker(u64)

actors = variable(Array[Actor, ACTORS])
marks = variable(Array[Array[Mark, MARKS], ACTORS])
marked = variable(Array[usize, ACTORS])
stacks = variable(Array[Array[u8, STACK], ACTORS], align=16)
builder = variable(Builder)
memory = variable(u64, 0)  # of a scene's objects
slices = variable(Array[u64, HIGH + 1])
may_answer = variable(bool, False)
may_end = variable(bool, False)


# The actors


@fn
def mark(number: u64, event: Event, error: Error) -> None:
    """Writes down what happens."""
    message = Message()
    _ = calls.thread_inspect(actors[number].thread, ptr(message))
    at = ptr(marks[number][marked[number] % MARKS])
    at.event = event
    at.error = error
    at.lifted = message.words[1] > message.words[2]
    at.time = calls.clock()
    write_volatile(ptr(marked[number]), marked[number] + 1)


@fn
def work_until(flag: Ptr[bool], rounds: u64) -> None:
    """Keeps the CPU busy."""
    for _ in bounded(range(rounds), 1 << 40):
        if read_volatile(flag):
            break


@fn
def serve(number: u64, actor: Ptr[Actor]) -> None:
    """Answers some requests."""
    message = Message()
    error = calls.receive(actor.handle, ptr(message), NEVER_TIMES_OUT, 0)
    for _ in bounded(range(actor.times), 8):
        mark(number, Event.RECEIVES, error)
        if error != Error.NONE:
            break
        if actor.busy:
            work_until(ptr(may_answer), 1 << 40)
        if actor.second != 0:
            other = Message()
            error = calls.call(actor.second, ptr(other))
        mark(number, Event.ANSWERS, error)
        error = calls.reply_receive(actor.handle, ptr(message), NEVER_TIMES_OUT)


@fn
def act(number: u64) -> u64:
    """An actor's life."""
    actor = ptr(actors[number])
    message = Message()
    bits: u64 = 0
    match actor.what:
        case Do.CALL:
            mark(number, Event.CALLS, Error.NONE)
            if number == URGENT:
                write_volatile(ptr(may_answer), True)
            mark(number, Event.TOLD, calls.call(actor.handle, ptr(message)))
            if number == URGENT:
                write_volatile(ptr(may_end), True)
        case Do.RECEIVE:
            mark(number, Event.WAITS, Error.NONE)
            mark(number, Event.TOLD, calls.receive(actor.handle, ptr(message), NEVER_TIMES_OUT, 0))
        case Do.WAIT:
            mark(number, Event.WAITS, Error.NONE)
            mark(number, Event.TOLD, calls.wait(actor.handle, NEVER_TIMES_OUT, ptr(bits)))
        case Do.SERVE:
            serve(number, actor)
        case Do.DIE:
            mark(number, Event.RECEIVES, calls.receive(actor.handle, ptr(message), NEVER_TIMES_OUT, 0))
            mark(number, Event.DIES, Error.NONE)
            write_volatile(word_at(0), 0)
        case Do.SPIN:
            mark(number, Event.BEGINS, Error.NONE)
            work_until(ptr(may_end), LONG)
            mark(number, Event.ENDS, Error.NONE)
    return 0


# The director


@fn
def start(number: u64, level: u64, what: Do, handle: u64) -> None:
    """Has an actor do something; it goes on from here by itself."""
    actor = ptr(actors[number])
    actor.what = what
    actor.handle = handle
    _ = calls.thread_stop(actor.thread)
    table = first_life(run.KIT_TABLE)
    error = calls.thread_configure(actor.thread, table, first_life(run.KIT_SPACE), 0, slices[level])
    if error == Error.NONE:
        top = u64(address_of(ptr(stacks[number]))) + STACK
        error = calls.thread_start(actor.thread, program_entry(), top, ROLE + number)
    if error != Error.NONE:
        put("an actor does not start: ")
        put(ERRORS[usize(u8(error))])
        put("\n")


@fn
def until_marked(number: u64, count: usize) -> None:
    """Lets the others go on until an actor has done so much."""
    for _ in range(POLLS):
        if read_volatile(ptr(marked[number])) >= count:
            return
        calls.sleep(POLL)


@fn
def until_state(number: u64, state: ThreadState) -> None:
    """Lets the others go on until an actor waits."""
    message = Message()
    for _ in range(POLLS):
        if calls.thread_inspect(actors[number].thread, ptr(message)) == Error.NONE and message.words[0] == u64(state):
            return
        calls.sleep(POLL)


@fn
def make(kind: Kind) -> u64:
    """An object of this scene."""
    made: u64 = 0
    if loader.make(ptr(builder), kind, 0, ptr(made)) != Error.NONE:
        put("no memory\n")
    return made


@fn
def derived(source: u64, expiry: u64) -> u64:
    """A capability that can be taken back."""
    made: u64 = 0
    if calls.derive(source, 0, builder.next_slot, Rights.ALL, 0, expiry, ptr(made)) == Error.NONE:
        builder.next_slot += 1
    return made


@fn
def show(name: Str) -> None:
    """The events of a scene, in order; then all is taken back for the next one."""
    global may_answer, may_end
    put(name)
    put(":")
    shown = zero(Array[usize, ACTORS])
    first = True
    for _ in range(ACTORS * MARKS):
        best: u64 = ACTORS
        for n in range(ACTORS):
            if shown[n] < marked[n]:
                if best == ACTORS or marks[n][shown[n]].time < marks[best][shown[best]].time:
                    best = u64(n)
        if best == ACTORS:
            break
        event = ptr(marks[best][shown[best]])
        shown[best] += 1
        put(" " if first else "; ")
        first = False
        put(NAMES[best])
        put(" ")
        put(EVENTS[usize(u8(event.event))])
        if event.lifted:
            put(" (lifted)")
        if event.event == Event.TOLD or event.error != Error.NONE:
            put(" '")
            put(ERRORS[usize(u8(event.error))])
            put("'")
    put("\n")
    text.flush()
    for n in range(ACTORS):
        _ = calls.thread_stop(actors[n].thread)
        marked[n] = 0
        actors[n].busy = False
        actors[n].times = 1
        actors[n].second = 0
    may_answer = False
    may_end = False
    _ = calls.revoke(memory)
    builder.next_slot = FIRST_SLOT


@fn
def dying_servers() -> None:
    """The call that a server has received ends with it; who queues waits for its next life, or the endpoint's end."""
    endpoint = make(Kind.ENDPOINT)
    start(SERVER, LOW, Do.DIE, endpoint)
    start(CLIENT, LOW, Do.CALL, endpoint)
    until_marked(CLIENT, 2)
    show("a server dies with a call")

    endpoint = make(Kind.ENDPOINT)
    start(SERVER, LOW, Do.DIE, endpoint)
    start(CLIENT, LOW, Do.CALL, endpoint)
    until_marked(CLIENT, 2)
    start(CLIENT, LOW, Do.CALL, endpoint)
    until_state(CLIENT, ThreadState.SENDING)
    start(SERVER, LOW, Do.SERVE, endpoint)
    until_marked(CLIENT, 4)
    show("a server dies, its next life serves who queues")

    endpoint = make(Kind.ENDPOINT)
    start(CLIENT, LOW, Do.CALL, endpoint)
    start(SECOND, LOW, Do.CALL, endpoint)
    until_state(SECOND, ThreadState.SENDING)
    _ = calls.revoke(memory)
    until_marked(SECOND, 2)
    show("an endpoint ends")

    endpoint = make(Kind.ENDPOINT)
    actors[SERVER].busy = True
    actors[SERVER].times = 2
    start(SERVER, LOW, Do.SERVE, endpoint)
    start(CLIENT, LOW, Do.CALL, endpoint)
    until_marked(SERVER, 1)
    _ = calls.thread_stop(actors[CLIENT].thread)
    write_volatile(ptr(may_answer), True)
    start(SECOND, LOW, Do.CALL, endpoint)
    until_marked(SECOND, 2)
    show("a client dies, its server goes on")


@fn
def lost_capabilities() -> None:
    """Who waits by a capability that ends is told; who waits at the same object by another one is not."""
    endpoint = make(Kind.ENDPOINT)
    one = derived(endpoint, 0)
    start(CLIENT, LOW, Do.CALL, one)
    start(SECOND, LOW, Do.CALL, endpoint)
    until_state(SECOND, ThreadState.SENDING)
    _ = calls.delete(one)
    until_marked(CLIENT, 2)
    start(SERVER, LOW, Do.SERVE, endpoint)
    until_marked(SECOND, 2)
    show("a queued caller's capability is deleted")

    endpoint = make(Kind.ENDPOINT)
    one = derived(endpoint, 0)
    start(CLIENT, LOW, Do.RECEIVE, derived(one, 0))
    until_state(CLIENT, ThreadState.RECEIVING)
    _ = calls.revoke(one)
    until_marked(CLIENT, 2)
    show("a receiver's capability is revoked")

    notification = make(Kind.NOTIFICATION)
    start(CLIENT, LOW, Do.WAIT, derived(notification, 0))
    until_state(CLIENT, ThreadState.WAITING)
    _ = calls.revoke(notification)
    until_marked(CLIENT, 2)
    show("a waiter's capability is revoked")

    endpoint = make(Kind.ENDPOINT)
    start(CLIENT, LOW, Do.CALL, derived(endpoint, calls.clock() + TICKS_PER_SECOND // 10))
    until_marked(CLIENT, 2)
    show("a queued caller's capability expires")


@fn
def call_urgently(endpoint: u64) -> None:
    """Somebody urgent calls while another thread keeps the CPU from all below it."""
    start(SPINNER, MIDDLE, Do.SPIN, 0)
    until_marked(SPINNER, 1)
    start(URGENT, HIGH, Do.CALL, endpoint)
    until_marked(CLIENT, 2)
    until_marked(SPINNER, 2)


@fn
def overtaking() -> None:
    """A server that somebody urgent queues for runs before what is less urgent than that, although it is below it."""
    endpoint = make(Kind.ENDPOINT)
    actors[SERVER].busy = True
    actors[SERVER].times = 2
    start(SERVER, LOW, Do.SERVE, endpoint)
    start(CLIENT, LOW, Do.CALL, endpoint)
    until_marked(SERVER, 1)
    call_urgently(endpoint)
    show("an urgent caller queues")

    endpoint = make(Kind.ENDPOINT)
    behind = make(Kind.ENDPOINT)
    actors[SERVER].times = 2
    actors[SERVER].second = behind
    actors[SECOND].busy = True
    actors[SECOND].times = 2
    start(SECOND, LOW, Do.SERVE, behind)
    start(SERVER, LOW, Do.SERVE, endpoint)
    start(CLIENT, LOW, Do.CALL, endpoint)
    until_marked(SECOND, 1)
    call_urgently(endpoint)
    show("an urgent caller queues for one that waits for another")


@fn
def set_up() -> Error:
    """Threads, slices, and memory for the scenes' objects."""
    builder.memory = first_life(run.KIT_MEMORY)
    builder.next_slot = 64 - ACTORS - 4
    builder.last_slot = LAST_SLOT
    error = calls.retype(builder.memory, 0, MEMORY_SLOT, Kind.UNTYPED, OBJECT_BITS, ptr(memory))
    for n in range(ACTORS):
        actors[n].times = 1
        if error == Error.NONE:
            error = loader.make(ptr(builder), Kind.THREAD, 0, ptr(actors[n].thread))
    for i in range(3):
        level = u64(LEVELS[i])
        if error == Error.NONE:
            error = loader.make(ptr(builder), Kind.SLICE, 0, ptr(slices[level]))
        if error == Error.NONE:
            authority = first_life(run.KIT_SLICE)
            error = calls.slice_configure(slices[level], u64(SliceClass.INTERACTIVE), level, QUANTUM, authority)
    builder.memory = memory
    builder.next_slot = FIRST_SLOT
    builder.last_slot = 40
    return error


LEVELS = constant(Array[u8, 3], [LOW, MIDDLE, HIGH])


@fn
def main(argument: u64) -> u64:
    """The director, and each actor."""
    if argument >= ROLE and argument < ROLE + ACTORS:
        return act(argument - ROLE)
    text.set_console(run.SESSION)
    error = set_up()
    if error == Error.NONE:
        dying_servers()
        lost_capabilities()
        overtaking()
    text.flush()
    return u64(error)
