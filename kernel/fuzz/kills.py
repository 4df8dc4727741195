"""The first program on the command line `kills`: S-INIT, which also kills its services, in turn, at random moments.

    kills seed=N kills=N

A killed service's thread is stopped wherever it is and goes on at address 0: a fault like any other. The kernel tells
S-ATLAS (of S-ATLAS: S-INIT), which brings the service back by its policy. Meanwhile a customer writes numbered lines on
the console, each until it is answered, looks services up by name, and uses what it gets; when the console is to die, it
writes without a pause, so that it dies in the middle of that. After each kill the kernel looks for its invariants. At
the end the memory and the slots of each service, and of S-INIT, must be what they were before the first kill, and the
customer must be served without an error. Then everything is taken back and the run ends, with status 0 if all was so.
"""

from kernel.abi import DEEP_WALK, TICKS_PER_SECOND, Error, Facts, Kind, Rights, SliceClass
from kernel.fuzz import numbers
from kernel.fuzz.roles import STACK
from kernel.hostile import console
from kernel.hostile.attacks import program_entry
from kernel.lang import *
from kernel.services.atlas.registry import MAX_RESTARTS, RESTART_WINDOW, AtlasError
from kernel.services.description import SERVICE_COUNT, SYSTEM
from kernel.services.init import loader
from kernel.services.init import main as init
from kernel.services.names import name_words
from kernel.services.protocol import GUEST_BADGE, AtlasCall, ConsoleCall, InitCall
from kernel.services.run import PROGRAMS
from kernel.user import calls, first_table, options
from kernel.user.first_table import first_life
from kernel.user.holdings import occupied, used
from kernel.user.message import Message

ATLAS, CONSOLE = SYSTEM.index("atlas"), SYSTEM.index("console")
CUSTOMER = 1 << 21
CUSTOMER_BADGE = GUEST_BADGE | 1 + [program.name for program in PROGRAMS].index("ask")
CUSTOMER_TABLE_BITS = 3
TO_CONSOLE, TO_ATLAS, FOUND, HURRY = 1, 2, 3, 4  # the customer's slots
FIRST_SLOT, LAST_SLOT = 48, 63  # of this program's table
SETTLE = 70 * TICKS_PER_SECOND  # longer than the minute of S-ATLAS' limit
LATE = TICKS_PER_SECOND // 10  # at most, from S-ATLAS' decision to the start
COME_BACK = 100 * TICKS_PER_SECOND
IN_A_ROW = 7  # kills of a service before the next one's turn: more than it may be restarted in a minute
PAUSE = TICKS_PER_SECOND // 2  # of the customer, between two lines
PATIENCE = 5 * TICKS_PER_SECOND
WATCHED = SERVICE_COUNT + 3  # figures: the services' memory, free memory, slots, memory of the customer
_KILLED = [number for number, service in enumerate(SYSTEM.services) if service.at_boot]
KILLED = constant(Array[usize, len(_KILLED)], _KILLED)
NAMES = constant(Array[Str, SERVICE_COUNT], [service.name for service in SYSTEM.services])
CONSOLE_NAME = constant(Array[u64, 3], list(name_words("console")))


@struct
class Customer:
    """What the customer has seen; it shares memory with this program."""

    lines: u64  # that were answered
    lookups: u64
    errors: u64
    wrong: u64
    hurry: bool


builder = variable(loader.Builder)
customer = variable(Customer)
customer_thread = variable(u64, 0)
customer_memory = variable(u64, 0)
bell = variable(u64, 0)
stack = variable(Array[u8, STACK], align=16)
lives = variable(Array[u64, SERVICE_COUNT])
killed = variable(Array[u64, SERVICE_COUNT])
starts = variable(Array[Array[u64, MAX_RESTARTS], SERVICE_COUNT])  # when each was started last
before = variable(Array[u64, WATCHED])
in_the_middle = variable(u64, 0)
slowest = variable(u64, 0)  # ticks from a kill to the new life
too_soon = variable(u64, 0)
walks = variable(u64, 0)
complaint = variable(Array[u64, 4])  # which, values, kill


# The customer


@fn
def digits(value: u64) -> u64:
    """Eight decimal digits, as text in a word."""
    text: u64 = 0
    rest = value
    for _ in range(8):
        text = text << 8 | (48 + rest % 10)
        rest = rest // 10
    return text


@fn
def tell(error: Error) -> bool:
    """Counts an error that a client must expect when the other side dies; False for one that it must not get."""
    customer.errors += 1
    if error != Error.TIMED_OUT and error != Error.PEER_GONE and error != Error.REVOKED:
        customer.wrong += 1
    return False


@fn
def write_line(endpoint: u64, number: u64) -> bool:
    """Has the console print a numbered line; whether it was answered."""
    message = Message()
    message.words[0] = u64(ConsoleCall.WRITE)
    message.words[1] = 24
    message.words[2] = LINE_TEXT
    message.words[3] = digits(number)
    message.words[4] = LINE_END
    error = calls.call_within(endpoint, ptr(message), PATIENCE)
    if error != Error.NONE:
        return tell(error)
    if message.words[0] != 24:
        customer.wrong += 1
    return True


LINE_TEXT = int.from_bytes(b"\nline   ", "little")
LINE_END = int.from_bytes(b" whole.\n", "little")


@fn
def look_up() -> None:
    """Asks S-ATLAS for the console, and uses the capability."""
    message = Message()
    message.words[0] = u64(AtlasCall.DISCOVER)
    for i in range(3):
        message.words[1 + i] = CONSOLE_NAME[i]
    message.option = calls.accept_option(FOUND)
    error = calls.call_within(first_life(TO_ATLAS), ptr(message), PATIENCE)
    if error != Error.NONE:
        _ = tell(error)
        return
    if message.words[0] == u64(AtlasError.NONE):
        customer.lookups += 1
        if message.capability != 0:
            _ = write_line(message.capability, customer.lines)
    if message.capability != 0:
        _ = calls.delete(message.capability)


@fn
def be_customer() -> u64:
    """Writes and looks up, for ever."""
    bits: u64 = 0
    for _ in range(1 << 60):
        if write_line(first_life(TO_CONSOLE), customer.lines):
            customer.lines += 1
        if not read_volatile(ptr(customer.hurry)):
            look_up()
            _ = calls.wait(first_life(HURRY), PAUSE, ptr(bits))
    return 1


# What is looked at


@fn
def complain(what: u64, value: u64, wanted: u64) -> None:
    """Keeps the first thing that is wrong."""
    if complaint[0] == 0:
        complaint[0] = what
        complaint[1] = value
        complaint[2] = wanted
        complaint[3] = all_kills()


COMPLAINTS = constant(
    Array[Str, 10],
    [
        "", "a broken invariant", "a service that did not come back", "a restart too soon", "memory or slots lost",
        "a customer that was told nonsense", "a customer without answers", "an error at the end", "no set-up",
        "a thread that could not be killed",
    ],
)  # fmt: skip


@fn
def all_kills() -> u64:
    """So far."""
    sum: u64 = 0
    for i in range(SERVICE_COUNT):
        sum += killed[i]
    return sum


@fn
def look() -> None:
    """The kernel's invariants, with page tables."""
    global walks
    message = Message()
    message.words[0] = u64(Facts.INVARIANTS)
    message.words[1] = DEEP_WALK
    if calls.machine_inspect(first_life(first_table.MACHINE), ptr(message)) != Error.NONE or message.words[0] != 0:
        complain(1, message.words[0], message.words[1])
    walks += 1


@fn
def figure(number: usize) -> u64:
    """One of WATCHED."""
    if number < SERVICE_COUNT:
        return used(init.running[number].memory)
    if number == SERVICE_COUNT:
        return used(init.free_memory)
    return occupied(0, 1 << first_table.TABLE_BITS) if number == SERVICE_COUNT + 1 else used(customer_memory)


# S-INIT's work


@fn
def started(index: usize) -> None:
    """A service has a new life; of those that S-ATLAS starts, not more than five in any minute of one of its lives."""
    now = calls.clock()
    oldest = starts[index][lives[index] % MAX_RESTARTS]
    if index == ATLAS:  # it knows nothing of what was before
        for i in range(SERVICE_COUNT):
            for j in range(MAX_RESTARTS):
                starts[i][j] = 0
    elif oldest != 0 and now - oldest + LATE < RESTART_WINDOW:
        complain(3, u64(index), now - oldest)
    starts[index][lives[index] % MAX_RESTARTS] = now
    lives[index] += 1


@fn
def serve_until(deadline: u64, message: Ptr[Message], wanted: usize, life: u64) -> None:
    """S-INIT's loop, until a time, or until a service has had so many lives."""
    for _ in range(1 << 40):
        now = calls.clock()
        if now >= deadline or (wanted < SERVICE_COUNT and lives[wanted] >= life):
            return
        error = calls.reply_receive(init.own_endpoint, message, deadline - now)
        if error == Error.NONE:
            badge = message.number
            operation = message.words[0]
            index = message.words[1]
            init.serve(message)
            if badge == init.INIT_FAULT_BADGE:
                started(ATLAS)
            elif badge == init.ATLAS_BADGE and operation == u64(InitCall.START) and message.words[0] == 0:
                started(usize(index))
        else:
            message.capability = 0
            message.option = 0


@fn
def serve_for(ticks: u64, message: Ptr[Message]) -> None:
    """S-INIT's loop for a while."""
    serve_until(calls.clock() + ticks, message, SERVICE_COUNT, 0)


# Kills


@fn
def kill(index: usize) -> None:
    """One of a service's threads goes on at address 0."""
    child = ptr(init.running[index].child)
    thread = child.threads[0]
    if child.threads[1] != 0 and numbers.one_in(2):
        thread = child.threads[1]
    state = Message()
    _ = calls.thread_inspect(child.threads[0], ptr(state))
    if state.words[6] != 0:
        global in_the_middle
        in_the_middle += 1
    error = calls.thread_stop(thread)
    if error == Error.NONE:
        error = calls.thread_start(thread, 0, 0, 0)
    if error != Error.NONE:
        complain(9, u64(index), u64(error))
    killed[index] += 1


@fn
def try_kill(index: usize, message: Ptr[Message]) -> None:
    """A kill at a random moment, and the new life that must follow."""
    global slowest
    serve_for(numbers.below(2 * TICKS_PER_SECOND), message)
    if index == CONSOLE:
        write_volatile(ptr(customer.hurry), True)
        _ = calls.notify(bell, 1)
        serve_for(numbers.below(20_000), message)
    kill(index)
    write_volatile(ptr(customer.hurry), False)
    look()
    life = lives[index] + 1
    began = calls.clock()
    serve_until(began + COME_BACK, message, index, life)
    if lives[index] < life:
        complain(2, u64(index), 0)
    slowest = max(slowest, calls.clock() - began)
    look()


@fn
def set_up_customer() -> Error:
    """The customer's thread, table and capabilities."""
    made: u64 = 0
    table: u64 = 0
    slice: u64 = 0
    builder.own_space = first_life(first_table.SPACE)
    builder.memory = init.free_memory
    builder.next_slot = FIRST_SLOT
    builder.last_slot = LAST_SLOT
    error = loader.make(ptr(builder), Kind.UNTYPED, 12, ptr(customer_memory))
    builder.memory = customer_memory
    if error == Error.NONE:
        error = loader.make(ptr(builder), Kind.TABLE, CUSTOMER_TABLE_BITS, ptr(table))
    if error == Error.NONE:
        error = loader.make(ptr(builder), Kind.SLICE, 0, ptr(slice))
    if error == Error.NONE:
        error = loader.make(ptr(builder), Kind.THREAD, 0, ptr(customer_thread))
    if error == Error.NONE:
        error = loader.make(ptr(builder), Kind.NOTIFICATION, 0, ptr(bell))
    if error == Error.NONE:
        error = calls.derive(bell, table, HURRY, Rights.READ, 0, 0, ptr(made))
    console_end = init.running[CONSOLE].endpoint
    atlas_end = init.running[ATLAS].endpoint
    if error == Error.NONE:
        error = calls.derive(console_end, table, TO_CONSOLE, Rights.WRITE, CUSTOMER_BADGE, 0, ptr(made))
    if error == Error.NONE:
        error = calls.derive(atlas_end, table, TO_ATLAS, Rights.WRITE, CUSTOMER_BADGE, 0, ptr(made))
    authority = first_life(first_table.SLICE)
    if error == Error.NONE:
        error = calls.slice_configure(slice, u64(SliceClass.INTERACTIVE), 8, 100_000, authority)
    if error == Error.NONE:
        error = calls.thread_configure(customer_thread, table, builder.own_space, 0, slice)
    top = u64(address_of(ptr(stack))) + STACK
    if error == Error.NONE:
        error = calls.thread_start(customer_thread, program_entry(), top, CUSTOMER)
    return error


@fn
def check_end(message: Ptr[Message]) -> None:
    """Memory and slots are what they were; the customer is served, and nothing else happens."""
    for i in range(WATCHED):
        now = figure(i)
        if now != before[i]:
            complain(4, now, before[i])
    errors = customer.errors
    lines = customer.lines
    lookups = customer.lookups
    serve_for(10 * TICKS_PER_SECOND, message)
    if customer.wrong != 0:
        complain(5, customer.wrong, 0)
    if customer.lines == lines or customer.lookups == lookups:
        complain(6, customer.lines, customer.lookups)
    if customer.errors != errors:
        complain(7, customer.errors - errors, 0)


@fn
def report(seed: u64) -> None:
    """What happened, on the console that is this program's own again."""
    for i in range(SERVICE_COUNT):
        if init.wanted >> u64(i) & 1 == 0:
            continue
        console.put("  ")
        console.put(NAMES[i])
        console.put(" killed ")
        console.put_decimal(killed[i], 0)
        console.put(" times, brought back ")
        console.put_decimal(lives[i], 0)
        console.put("\n")
    console.put("  in the middle of a request: ")
    console.put_decimal(in_the_middle, 0)
    console.put("; slowest new life ")
    console.put_decimal(slowest * 1000 // TICKS_PER_SECOND, 0)
    console.put(" ms after the kill\n  customer: ")
    console.put_decimal(customer.lines, 0)
    console.put(" lines, ")
    console.put_decimal(customer.lookups, 0)
    console.put(" found by name, ")
    console.put_decimal(customer.errors, 0)
    console.put(" errors, ")
    console.put_decimal(customer.wrong, 0)
    console.put(" wrong\n")
    if complaint[0] != 0:
        console.put("kills: WRONG: ")
        console.put(COMPLAINTS[complaint[0]])
        console.put(" ")
        console.put_hex(complaint[1])
        console.put(" ")
        console.put_hex(complaint[2])
        console.put(", at kill ")
        console.put_decimal(complaint[3], 0)
        console.put("\n")
    console.put("kills: seed ")
    console.put_decimal(seed, 0)
    console.put(", ")
    console.put_decimal(all_kills(), 0)
    console.put(" kills, ")
    console.put_decimal(walks, 0)
    console.put(" walks")
    console.put(": all invariants held, memory and slots as before\n" if complaint[0] == 0 else ": WRONG\n")


@fn
def run(elf_machine: u16) -> None:
    """All kills."""
    options.read_line()
    seed = options.value_of("seed=", 1)
    most = options.value_of("kills=", 12)
    numbers.seed(seed)
    init.begin(elf_machine)
    if set_up_customer() != Error.NONE:
        complain(8, 0, 0)
    message = Message()
    serve_for(SETTLE, ptr(message))
    for i in range(WATCHED):
        before[i] = figure(i)
    while bounded(all_kills() < most and complaint[0] == 0, 1 << 40):
        try_kill(KILLED[usize(all_kills()) // IN_A_ROW % len(_KILLED)], ptr(message))
    serve_for(SETTLE, ptr(message))
    check_end(ptr(message))
    for i in range(SERVICE_COUNT):
        _ = init.stop(i)
    _ = calls.revoke(customer_memory)
    for i in range(SERVICE_COUNT):
        if used(init.running[i].memory) != 0:
            complain(4, used(init.running[i].memory), 0)
    look()
    builder.memory = init.free_memory
    if console.open(ptr(builder), first_life(first_table.CONSOLE)) == Error.NONE:
        console.put("\n")
        report(seed)
    _ = calls.machine_stop(first_life(first_table.MACHINE), False, 0 if complaint[0] == 0 else 1)


@fn
def main(argument: u64) -> u64:
    """Both threads start here."""
    if argument == CUSTOMER:
        return be_customer()
    run(trunc(argument, u16))
    return 0
