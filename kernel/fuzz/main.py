"""The first program on the command line `fuzz`: random system calls, and a look at all kernel state after each.

    fuzz seed=N calls=N deep=N whole=N pause=N trace=N

An actor is a thread that makes a call and then ends, or stays to make another one. Who waits is left waiting, beside
the others, until somebody serves it, its time is over, or nobody else is left. After each call the kernel looks for its
invariants, every `deep`th time with page tables and pairs of objects. For slow machines: only every `whole`th time also
in all empty places of tables, and `pause` is how many ticks are given to who sleeps. A round is ROUND calls: then
everything is taken back, and memory and slots must be what they were. Calls from number `trace` on are printed. What is
wrong ends the run with status 1 and the calls that led there; the seed gives the same calls again (and, where time is
counted in instructions, the same run).
"""

from kernel.abi import (
    DEEP_WALK,
    NEVER_TIMES_OUT,
    QUICK_WALK,
    TAG_EXIT,
    WALK,
    Error,
    Facts,
    Invariant,
    Kind,
    Rights,
    SystemCall,
    ThreadState,
)
from kernel.fuzz import generate, numbers, roles, world
from kernel.hostile import console
from kernel.hostile.attacks import program_entry
from kernel.lang import *
from kernel.services.init import loader
from kernel.services.init.memory import largest_untyped
from kernel.user import calls, first_table, options
from kernel.user.first_table import first_life
from kernel.user.holdings import occupied, used
from kernel.user.message import Message

ROUND = 400  # calls
LOG = 8
NONE_BUSY = roles.ACTORS
BUILDER_SLOTS, BUILDER_LAST = 64, 99


@struct
class Call:
    """A call that was made: by whom, with what."""

    index: u64
    actor: u64
    before: Message


messages = variable(Array[Message, roles.ACTORS])
returned = variable(Array[bool, roles.ACTORS])  # the actor came back from the call
stay = variable(Array[bool, roles.ACTORS])  # it is to wait for another one
go = variable(Array[bool, roles.ACTORS])  # another one is there
staying = variable(Array[bool, roles.ACTORS])
numbers_of = variable(Array[u64, roles.ACTORS])  # which call it makes
log = variable(Array[Call, LOG])
builder = variable(loader.Builder)
results = variable(Array[u64, len(Error) + 1])  # calls by status; the last: never came back
granted = variable(Array[u64, len(SystemCall)])  # calls that did what was asked
asked = variable(Array[u64, len(SystemCall)])
index = variable(u64, 0)  # of the call
logged = variable(u64, 0)
first_seed = variable(u64, 1)
most = variable(u64, 1000)
deep = variable(u64, 8)
whole = variable(u64, 1)
pause = variable(u64, 5000)
trace = variable(u64, NEVER_TIMES_OUT)
walks = variable(u64, 0)
deep_walks = variable(u64, 0)
most_slots = variable(u64, 0)
most_waiting = variable(u64, 0)

ERRORS = constant(Array[Str, len(Error) + 1], [*(e.name.lower().replace("_", " ") for e in Error), "ended first"])
CALLS = constant(Array[Str, len(SystemCall)], [c.name.lower().replace("_", " ") for c in SystemCall])
INVARIANTS = constant(Array[Str, len(Invariant)], [i.name for i in Invariant])


@fn
def put_call(call: Ptr[Call]) -> None:
    """One line."""
    message = ptr(call.before)
    console.put("  ")
    console.put_decimal(call.index, 0)
    console.put(" actor ")
    console.put_decimal(call.actor, 0)
    console.put(" ")
    if message.number < len(SystemCall):
        console.put(CALLS[message.number])
    else:
        console.put_hex(message.number)
    console.put(" handle ")
    console.put_hex(message.handle)
    for i in range(8):
        console.put(" ")
        console.put_hex(message.words[i])
    console.put(" capability ")
    console.put_hex(message.capability)
    console.put(" option ")
    console.put_hex(message.option)
    console.put(" timeout ")
    console.put_decimal(message.timeout, 0)
    console.put("\n")


@fn
def fail(what: Str, value: u64) -> None:
    """Says what is wrong and which calls led there; ends the run."""
    console.put("fuzz: BROKEN: ")
    console.put(what)
    console.put(" ")
    console.put_hex(value)
    console.put(", after call ")
    console.put_decimal(index, 0)
    console.put(" of seed ")
    console.put_decimal(first_seed, 0)
    console.put("\n")
    for i in range(LOG):
        at = logged + u64(i)
        if at >= LOG:
            put_call(ptr(log[at % LOG]))
    _ = calls.machine_stop(first_life(first_table.MACHINE), False, 1)


@fn
def look(how: u64) -> None:
    """Has the kernel look for its invariants."""
    global walks, deep_walks, most_slots, most_waiting
    message = Message()
    message.words[0] = u64(Facts.INVARIANTS)
    message.words[1] = how
    if calls.machine_inspect(first_life(first_table.MACHINE), ptr(message)) != Error.NONE:
        fail("the kernel does not look", message.handle)
    if message.words[0] != 0:
        console.put("fuzz: invariant ")
        console.put(INVARIANTS[message.words[0]])
        console.put("\n")
        fail("the invariant does not hold at", message.words[1])
    walks += 1
    if how == DEEP_WALK:
        deep_walks += 1
    most_slots = max(most_slots, message.words[2])
    most_waiting = max(most_waiting, message.words[5])


# Actors


@fn
def act(number: u64) -> u64:
    """An actor: its calls. It waits for the next one without a capability, whatever has become of its own."""
    for _ in range(1 << 40):
        calls.invoke(ptr(messages[number]))
        write_volatile(ptr(returned[number]), True)
        if not read_volatile(ptr(stay[number])):
            return 0
        for _ in range(1 << 40):
            if read_volatile(ptr(go[number])):
                break
            calls.sleep(pause)
        write_volatile(ptr(go[number]), False)
    return 0


@fn
def free_actor() -> u64:
    """One that does nothing, or NONE_BUSY."""
    start = numbers.below(roles.ACTORS)
    for i in range(roles.ACTORS):
        number = (start + u64(i)) % roles.ACTORS
        if not world.world.actors[number].busy:
            return number
    return NONE_BUSY


@fn
def count(number: u64) -> None:
    """What came of an actor's call. One that ended before it took its next call makes that in its next life."""
    actor = ptr(world.world.actors[number])
    if not actor.busy or read_volatile(ptr(go[number])):
        return
    actor.busy = False
    status: u64 = len(Error)
    if read_volatile(ptr(returned[number])):
        status = messages[number].handle
        if status >= len(Error) or status == u64(Error.RESTART):
            fail("a status that is none", status)
            return
    results[status] += 1
    call = numbers_of[number]
    if status == 0 and call < len(SystemCall):
        granted[call] += 1


@fn
def ended(message: Ptr[Message]) -> bool:
    """A report has come: of an actor, whose call is counted, or of the idler, which gives True."""
    if message.number == world.IDLE_BADGE:
        return True
    number = message.number - 1
    if number < roles.ACTORS:
        staying[number] = False
        if message.words[0] != TAG_EXIT:
            world.world.actors[number].misconfigured = True
        count(number)
    return False


@fn
def find_ended() -> None:
    """Actors who came back and stay; and those whose end nobody was told of: another one took their fault endpoint, or
    stopped them."""
    for i in range(roles.ACTORS):
        actor = ptr(world.world.actors[i])
        if actor.busy or staying[i]:
            message = Message()
            _ = calls.thread_inspect(actor.thread, ptr(message))
            if message.words[0] == u64(ThreadState.STOPPED) or message.words[0] == u64(ThreadState.FAULTED):
                actor.misconfigured = True
                staying[i] = False
                count(u64(i))
            elif actor.busy and read_volatile(ptr(returned[i])):
                staying[i] = True
                count(u64(i))


@fn
def wait_for_quiet() -> None:
    """Until nobody can run."""
    message = Message()
    for _ in range(1 << 20):
        if calls.receive(world.world.control, ptr(message), NEVER_TIMES_OUT, 0) != Error.NONE:
            fail("nobody reports", message.handle)
        if ended(ptr(message)):
            find_ended()
            return
    fail("it is never quiet", 0)


@fn
def free_one() -> u64:
    """Lets time pass until an actor is free, or ends the wait of one."""
    for _ in range(3):
        calls.sleep(pause + numbers.below(pause))
        wait_for_quiet()
        number = free_actor()
        if number != NONE_BUSY:
            return number
    number = numbers.below(roles.ACTORS)
    if calls.thread_stop(world.world.actors[number].thread) != Error.NONE:
        fail("an actor cannot be stopped", number)
    staying[number] = False
    count(number)
    return number


@fn
def launch(number: u64) -> None:
    """Has an actor make its call: one that stayed, or a new life of it."""
    actor = ptr(world.world.actors[number])
    actor.busy = True
    if staying[number]:
        go[number] = True
        for _ in range(20):
            calls.sleep(pause)
            wait_for_quiet()
            if not read_volatile(ptr(go[number])):
                return
            if not staying[number]:
                break  # it was stopped meanwhile
        staying[number] = False
        go[number] = False
        world.configure(number)
        actor.busy = True
    elif actor.misconfigured or numbers.one_in(32):
        world.configure(number)
        actor.busy = True
    for _ in range(2):
        argument = roles.ACTOR + number
        error = calls.thread_start(actor.thread, program_entry(), world.stack_of(number), argument)
        if error == Error.NONE:
            wait_for_quiet()
            return
        world.configure(number)
        actor.busy = True
    fail("an actor does not start", number)


@fn
def step() -> None:
    """One call."""
    number = free_actor()
    if number == NONE_BUSY:
        number = free_one()
    generate.generate(ptr(messages[number]), world.world.actors[number].table)
    returned[number] = False
    stay[number] = not numbers.one_in(4)
    entry = ptr(log[index % LOG])
    entry.index = index
    entry.actor = number
    copy(entry.before, messages[number])
    global logged
    logged += 1
    if index >= trace:
        put_call(entry)
    call = messages[number].number
    numbers_of[number] = call
    if call < len(SystemCall):
        asked[call] += 1
    launch(number)
    if index % deep == 0:
        look(DEEP_WALK)
    elif index % whole == 0:
        look(WALK)
    else:
        look(QUICK_WALK)


# Rounds


@fn
def end_round(slots: u64) -> None:
    """Takes all back, and sees that it is all."""
    for i in range(roles.ACTORS):
        _ = calls.thread_stop(world.world.actors[i].thread)
        staying[i] = False
        go[i] = False
        count(u64(i))
    world.end()
    look(DEEP_WALK)
    if used(world.world.round) != 0:
        fail("memory is lost, bytes", used(world.world.round))
    if occupied(0, 1 << first_table.TABLE_BITS) != slots:
        fail("slots in this program's table", occupied(0, 1 << first_table.TABLE_BITS))


@fn
def put_results() -> None:
    """How many calls, by status."""
    console.put_decimal(index, 9)
    console.put(" calls:")
    for i in range(len(Error) + 1):
        if results[i] != 0:
            console.put(" ")
            console.put(ERRORS[i])
            console.put(" ")
            console.put_decimal(results[i], 0)
            console.put(",")
    console.put("\n")


@fn
def put_calls() -> None:
    """How often each call did what was asked."""
    console.put("done of asked:")
    for i in range(len(SystemCall)):
        console.put(" ")
        console.put(CALLS[i])
        console.put(" ")
        console.put_decimal(granted[i], 0)
        console.put("/")
        console.put_decimal(asked[i], 0)
    console.put("\n")


@fn
def set_up() -> bool:
    """The console, the control endpoint, the memory of the rounds, and page tables where actors map."""
    builder.own_space = first_life(first_table.SPACE)
    builder.memory = largest_untyped()
    builder.next_slot = BUILDER_SLOTS
    builder.last_slot = BUILDER_LAST
    if console.open(ptr(builder), first_life(first_table.CONSOLE)) != Error.NONE:
        return False
    state = ptr(world.world)
    error = calls.retype(builder.memory, 0, world.CONTROL_SLOT, Kind.ENDPOINT, 0, ptr(state.control))
    if error == Error.NONE:
        error = calls.retype(builder.memory, 0, world.ROUND_SLOT, Kind.UNTYPED, world.ROUND_BITS, ptr(state.round))
    frame: u64 = 0
    if error == Error.NONE:
        error = loader.make(ptr(builder), Kind.FRAME, 12, ptr(frame))
    if error == Error.NONE:
        error = loader.map_page(ptr(builder), builder.own_space, frame, generate.PAGES_AT, Rights.READ)
    return error == Error.NONE and calls.unmap(frame) == Error.NONE


@fn
def run() -> None:
    """All rounds."""
    global index, first_seed, most, deep, whole, pause, trace
    if not set_up():
        return
    options.read_line()
    first_seed = options.value_of("seed=", first_seed)
    most = options.value_of("calls=", most)
    deep = max(options.value_of("deep=", deep), 1)
    whole = max(options.value_of("whole=", whole), 1)
    pause = max(options.value_of("pause=", pause), 1)
    trace = options.value_of("trace=", trace)
    numbers.seed(first_seed)
    console.put("fuzz: seed ")
    console.put_decimal(first_seed, 0)
    console.put("\n")
    slots = occupied(0, 1 << first_table.TABLE_BITS)
    rounds: u64 = 0
    while bounded(index < most, 1 << 40):
        world.begin()
        if world.world.failed != Error.NONE:
            fail("a round does not begin", u64(world.world.failed))
        look(DEEP_WALK)
        for _ in range(ROUND):
            if index == most:
                break
            step()
            index += 1
            if index * 10 // most != (index - 1) * 10 // most:
                put_results()
        end_round(slots)
        rounds += 1
    put_results()
    put_calls()
    console.put("fuzz: seed ")
    console.put_decimal(first_seed, 0)
    console.put(", ")
    console.put_decimal(index, 0)
    console.put(" calls in ")
    console.put_decimal(rounds, 0)
    console.put(" rounds, ")
    console.put_decimal(walks, 0)
    console.put(" walks over at most ")
    console.put_decimal(most_slots, 0)
    console.put(" slots, ")
    console.put_decimal(deep_walks, 0)
    console.put(" of them deep: all invariants held, table and memory as before\n")
    _ = calls.machine_stop(first_life(first_table.MACHINE), False, 0)


@fn
def main(argument: u64) -> u64:
    """Every part: the first program gets the number of the machine, the others their role."""
    if argument == roles.PARTNER:
        return world.answer_all()
    if argument == roles.IDLER:
        return world.tell_idle()
    if argument >= roles.ACTOR and argument < roles.ACTOR + roles.ACTORS:
        return act(argument - roles.ACTOR)
    if argument < 1 << 12:
        run()
    return 1
