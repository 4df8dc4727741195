"""ipcbench, as `run` starts it: loads both other sides into spaces of their own, measures, prints.

Each row is a real crossing: the cycle counter is read in front of the system call on one side, and behind the one that
has waited for it on the other. A page counts as shared when the receiver holds its capability.
"""

from kernel import archive
from kernel.abi import NEVER_TIMES_OUT, TICKS_PER_SECOND, Error, Kind, Rights, SliceClass, SystemCall
from kernel.arch.objects import bytes_of
from kernel.ipcbench import peer
from kernel.ipcbench.measure import HEAD, ITERATIONS, WARM, Row, add, sort, timed_call
from kernel.lang import *
from kernel.services import run
from kernel.services.elf import MACHINES
from kernel.services.init import loader
from kernel.services.init.loader import Builder, Child
from kernel.services.names import Name, name_words
from kernel.user import calls, text
from kernel.user.first_table import first_life
from kernel.user.layout import ARCHIVE_AT, STACK_TOP
from kernel.user.message import Message, Moments
from kernel.user.text import put, put_decimal

MACHINE = by_arch(host=MACHINES["riscv64"], **MACHINES)
QUANTUM = 100_000  # ticks
SERVER = constant(Name, {"words": list(name_words("clock_server"))})
PEER = constant(Name, {"words": list(name_words("ipcbench-peer"))})

builder = variable(Builder)
one = variable(Row)
two = variable(Row)
endpoint = variable(u64, 0)
asked = variable(u64, 0)
notification = variable(u64, 0)
channel = variable(u64, 0)
frame = variable(u64, 0)


@fn
def prepare(name: Ptr[Name], child: Ptr[Child], source: u64) -> Error:
    """Loads a side; the endpoint on which it receives goes into its slot 1."""
    entry = zero(archive.Entry)
    whole = view(bytes_of(ARCHIVE_AT, archive.MOST_BYTES))
    if not archive.find(whole, name, ptr(entry)):
        return Error.OUT_OF_RANGE
    file = whole[usize(entry.offset) : usize(entry.offset + entry.bytes)]
    error = loader.load(ptr(builder), file, MACHINE, 1, child)
    made: u64 = 0
    if error == Error.NONE:
        error = calls.slice_configure(
            child.slice, u64(SliceClass.INTERACTIVE), run.LEVEL + 1, QUANTUM, first_life(run.KIT_SLICE)
        )
    if error == Error.NONE:
        error = calls.derive(source, child.table, 1, Rights.READ, 0, 0, ptr(made))
    return error


@fn
def set_going(child: Ptr[Child]) -> Error:
    """Starts a side."""
    error = calls.thread_configure(child.threads[0], child.table, child.space, 0, child.slice)
    if error == Error.NONE:
        error = calls.thread_start(child.threads[0], child.entry, STACK_TOP, 0)
    return error


@fn
def make_objects() -> Error:
    """What both sides share, and the page that is."""
    error = loader.make(ptr(builder), Kind.ENDPOINT, 0, ptr(endpoint))
    if error == Error.NONE:
        error = loader.make(ptr(builder), Kind.ENDPOINT, 0, ptr(asked))
    if error == Error.NONE:
        error = loader.make(ptr(builder), Kind.NOTIFICATION, 0, ptr(notification))
    if error == Error.NONE:
        error = loader.make(ptr(builder), Kind.CHANNEL, 0, ptr(channel))
    if error == Error.NONE:
        error = loader.make(ptr(builder), Kind.FRAME, 12, ptr(frame))
    return error


@fn
def set_up() -> Error:
    """Both other sides, going."""
    builder.own_space = first_life(run.KIT_SPACE)
    builder.next_slot = run.FIRST_FREE_SLOT
    builder.last_slot = (1 << loader.TABLE_BITS) - 1
    builder.memory = first_life(run.KIT_MEMORY)
    error = loader.map_page(ptr(builder), builder.own_space, first_life(run.KIT_ARCHIVE), ARCHIVE_AT, Rights.READ)
    if error == Error.NONE:
        error = loader.map_window(ptr(builder))
    if error == Error.NONE:
        error = make_objects()
    child = Child()
    name = Name()
    copy(name, SERVER)
    if error == Error.NONE:
        error = prepare(ptr(name), ptr(child), endpoint)
    if error == Error.NONE:
        error = set_going(ptr(child))
    copy(name, PEER)
    if error == Error.NONE:
        error = prepare(ptr(name), ptr(child), asked)
    made: u64 = 0
    if error == Error.NONE:
        error = calls.derive(notification, child.table, peer.NOTIFICATION_SLOT, Rights.READ, 0, 0, ptr(made))
    if error == Error.NONE:
        error = calls.derive(channel, child.table, peer.CHANNEL_SLOT, Rights.READ, 0, 0, ptr(made))
    if error == Error.NONE:
        error = set_going(ptr(child))
    return error


@fn
def show(name: Str, row: Ptr[Row]) -> None:
    """One line: min, median, max."""
    put(name)
    sort(row)
    put_decimal(u64(row.samples[0]), 11)
    put_decimal(u64(row.samples[row.count // 2]), 11)
    put_decimal(u64(row.samples[row.count - 1]), 11)
    put("\n")
    text.flush()
    row.count = 0


@fn
def calls_and_replies(rounds: u64) -> Error:
    """A call of eight words, and its answer."""
    message = zero(Message)
    moments = zero(Moments)
    for round in bounded(range(WARM + rounds), WARM + ITERATIONS):
        message.number = u64(SystemCall.CALL)
        message.handle = endpoint
        message.capability = 0
        message.option = 0
        message.timeout = NEVER_TIMES_OUT
        timed_call(ptr(message), ptr(moments))
        if message.handle != 0:
            return Error(trunc(message.handle, u8))
        if round >= WARM:
            add(ptr(one), message.words[1] - moments.before)
            add(ptr(two), moments.after - message.words[2])
    show("  call, 8 words, one way          ", ptr(one))
    show("  reply-and-receive, one way      ", ptr(two))
    return Error.NONE


@fn
def crossing(mode: u64, moments: Ptr[Moments]) -> Error:
    """Sends what is measured, up to the answer that says when it came, which is in moments.after then."""
    message = zero(Message)
    if mode == peer.NOTIFY:
        message.number = u64(SystemCall.NOTIFY)
        message.handle = notification
        message.words[0] = 1
        timed_call(ptr(message), moments)
    elif mode == peer.PAGE:
        message.number = u64(SystemCall.CHANNEL_SEND)
        message.handle = channel
        message.capability = frame
        message.option = calls.grant_option(Rights.READ | Rights.WRITE, False)
        timed_call(ptr(message), moments)
        _ = calls.notify(notification, 1)
    if message.handle != 0:
        return Error(trunc(message.handle, u8))
    before = moments.before
    message.number = u64(SystemCall.CALL)
    message.handle = asked
    message.capability = 0
    message.option = 0
    message.timeout = NEVER_TIMES_OUT
    message.words[2] = mode
    if mode == peer.CAPABILITY:
        message.capability = notification
        message.option = calls.grant_option(Rights.WRITE, False)
    timed_call(ptr(message), moments)
    if mode != peer.CAPABILITY:
        moments.before = before
    moments.after = message.words[1]
    return Error(trunc(message.handle, u8))


@fn
def arrivals(name: Str, mode: u64, rounds: u64) -> Error:
    """A row about what the peer waits for."""
    moments = zero(Moments)
    for round in bounded(range(WARM + rounds), WARM + ITERATIONS):
        error = crossing(mode, ptr(moments))
        if error != Error.NONE:
            return error
        if moments.after < moments.before:
            return Error.OUT_OF_RANGE
        if round >= WARM:
            add(ptr(one), moments.after - moments.before)
    show(name, ptr(one))
    return Error.NONE


@fn
def turn_to(mode: u64) -> Error:
    """Says what comes next; the peer is between two things."""
    message = zero(Message)
    message.words[2] = mode
    return calls.call(asked, ptr(message))


@fn
def null_calls(rounds: u64) -> bool:
    """What entering and leaving costs; gives whether half of the calls took exactly as long as the fastest."""
    message = zero(Message)
    moments = zero(Moments)
    for round in bounded(range(WARM + rounds), WARM + ITERATIONS):
        message.number = u64(SystemCall.NULL)
        timed_call(ptr(message), ptr(moments))
        if round >= WARM:
            add(ptr(one), moments.after - moments.before)
    count = one.count
    show("  null system call                ", ptr(one))
    return one.samples[0] == one.samples[count // 2]


@fn
def measure(rounds: u64) -> Error:
    """All rows."""
    ticks = calls.clock()
    cycles = calls.read_cycles()
    error = calls_and_replies(rounds)
    if error == Error.NONE:
        error = arrivals("  call with a capability, one way ", peer.CAPABILITY, rounds)
    if error == Error.NONE:
        error = turn_to(peer.NOTIFY)
    if error == Error.NONE:
        error = arrivals("  notification to a waiting thread", peer.NOTIFY, rounds)
    if error == Error.NONE:
        # What the peer waits for is a notification now too; the answer to this one names the next.
        _ = calls.notify(notification, 1)
        error = turn_to(peer.PAGE)
    if error == Error.NONE:
        error = arrivals("  page share over a channel       ", peer.PAGE, rounds)
    if error != Error.NONE:
        return error
    exact_times = null_calls(rounds)
    ticks = calls.clock() - ticks
    put("  clock")
    put_decimal((calls.read_cycles() - cycles) * TICKS_PER_SECOND // 1000 // max(ticks, 1), 11)
    put(" kHz, from the cycles that passed while the timer counted")
    put_decimal(ticks, 11)
    put(" ticks\n")
    if not exact_times:
        put("  The fastest null call and the median one differ: an emulator, whose times are meaningless.\n")
    return Error.NONE


@fn
def main(argument: u64) -> u64:
    """The argument is the number of iterations; 0: all that there is room for."""
    rounds: u64 = ITERATIONS
    if argument != 0:
        rounds = min(argument, ITERATIONS)
    text.set_console(run.SESSION)
    error = set_up()
    if error == Error.NONE:
        put("IPC Benchmark Results (")
        if rounds >= 1000:
            put_decimal(rounds // 1000, 0)
            put(",")
            put_decimal(rounds // 100 % 10, 0)
            put_decimal(rounds // 10 % 10, 0)
            put_decimal(rounds % 10, 0)
        else:
            put_decimal(rounds, 0)
        put(" iterations):\n")
        put(HEAD)
        error = measure(rounds)
    if error != Error.NONE:
        put("ipcbench: a call failed with error ")
        put_decimal(u64(error), 0)
        put("\n")
    else:
        put("Target: <500ns for small messages, <2us for service calls\n")
    text.flush()
    return u64(error)
