"""The first program on the command line `hostile`: one attack after the other, beside neighbours that must not notice.

After each attack: it ended as it must, the neighbours have gone on and found nothing wrong, the attacker's table holds
what it held, all memory that it had for itself is free, no wait with a time limit is left behind. At the end everything
is taken back, and this program's table and memory are what they were. One line an attack; then the machine stops, with
status 0 when nothing was wrong. `only=12` on the command line tries the attack with that number alone.
"""

from kernel.abi import TAG_EXIT, TAG_FAULT, TICKS_PER_SECOND, Error, Facts, Kind, Rights
from kernel.core.state import INTERRUPTS
from kernel.hostile import attacks, console, honest, roles, world
from kernel.hostile.driver import CLOCK_AT, drive
from kernel.hostile.roles import Attack, Expected
from kernel.hostile.world import Member
from kernel.lang import *
from kernel.services.init import loader
from kernel.services.init.memory import largest_untyped
from kernel.user import calls, first_table, options
from kernel.user.first_table import first_life
from kernel.user.holdings import occupied, used
from kernel.user.layout import ARCHIVE_AT, STACK_TOP
from kernel.user.message import Message

PATIENCE = TICKS_PER_SECOND // 200  # what is to be stopped goes on so long
LIMIT = TICKS_PER_SECOND * 20  # what is to end has this long
ATTACKER, NEIGHBOUR, OTHER, VICTIM, DRIVER, VISITOR = 1, 2, 3, 4, 5, 6  # badges of their ends
SLOTS = 64  # the first program's table: from here on its own objects
MEMBERS = 128
PRIVATE_BITS = 16
DRIVERS = 4  # that are killed
CROWD_BITS = 25
CROWD = 1 << (CROWD_BITS - 13)  # address spaces, 8 KiB each: with the others more than any CPU has identifiers for
A_WHILE = TICKS_PER_SECOND // 1000

builder = variable(loader.Builder)
server = variable(Member)
client = variable(Member)
attacker = variable(Member)
victim = variable(Member)
reports = variable(u64, 0)
service = variable(u64, 0)
mute = variable(u64, 0)
bell = variable(u64, 0)
driver = variable(Member)
driver_memory = variable(u64, 0)
tick = variable(u64, 0)
private = variable(u64, 0)  # what the attacker's own memory is made of
machine = variable(u16, 0)
wrong = variable(u64, 0)
held = variable(u64, 0)  # slots of the attacker's table
last_calls = variable(u64, 0)


@fn
def complain(what: Str, value: u64) -> None:
    """Something is not as it must be."""
    global wrong
    wrong += 1
    console.put("  WRONG: ")
    console.put(what)
    console.put_decimal(value, 0)
    console.put("\n")


@fn
def check(error: Error, what: Str) -> None:
    """What must work."""
    if error != Error.NONE:
        complain(what, u64(error))


@fn
def waits() -> u64:
    """Waits with a time limit in the whole system."""
    message = Message()
    message.words[0] = u64(Facts.COUNTS)
    _ = calls.machine_inspect(first_life(first_table.MACHINE), ptr(message))
    return message.words[6]


@fn
def progress() -> u64:
    """How often the neighbour has called by now, as the server counts."""
    message = Message()
    message.words[0] = honest.ASK_PROGRESS
    if calls.call_within(service, ptr(message), TICKS_PER_SECOND) != Error.NONE:
        complain("the server does not answer", 0)
    return message.words[1]


@fn
def neighbour_goes_on() -> None:
    """Waits until the neighbour has called again."""
    global last_calls
    for _ in range(1000):
        now = progress()
        if now > last_calls + 1:
            last_calls = now
            return
        calls.sleep(honest.PAUSE)
    complain("the neighbour does not go on: calls so far ", last_calls)


@fn
def set_up() -> u64:
    """The neighbours, the attacker; gives the untyped that all is made of."""
    untyped = largest_untyped()
    builder.memory = untyped
    check(loader.make(ptr(builder), Kind.ENDPOINT, 0, ptr(reports)), "an endpoint: ")
    check(loader.make(ptr(builder), Kind.ENDPOINT, 0, ptr(service)), "an endpoint: ")
    check(loader.make(ptr(builder), Kind.ENDPOINT, 0, ptr(mute)), "an endpoint: ")
    check(loader.make(ptr(builder), Kind.NOTIFICATION, 0, ptr(bell)), "a notification: ")
    check(loader.make(ptr(builder), Kind.NOTIFICATION, 0, ptr(tick)), "a notification: ")
    check(loader.make(ptr(builder), Kind.UNTYPED, PRIVATE_BITS + 1, ptr(private)), "memory: ")
    check(loader.make(ptr(builder), Kind.UNTYPED, world.MEMORY_BITS + 1, ptr(driver_memory)), "memory: ")
    return untyped


@fn
def set_up_members(untyped: u64) -> None:
    """Loads and equips them."""
    step = u64(world.OBJECTS)
    check(world.make(ptr(server), untyped, MEMBERS, machine, reports, OTHER), "the server: ")
    check(world.give(ptr(server), roles.SERVICE, service, Rights.READ, 0), "the server: ")
    check(world.make(ptr(client), untyped, MEMBERS + step, machine, reports, NEIGHBOUR), "the client: ")
    check(world.give(ptr(client), roles.SERVICE, service, Rights.WRITE, honest.CLIENT_BADGE), "the client: ")
    check(world.make(ptr(victim), untyped, MEMBERS + 2 * step, machine, reports, VICTIM), "the victim: ")
    check(world.give(ptr(victim), roles.SERVICE, mute, Rights.WRITE, 0), "the victim: ")
    check(world.make(ptr(attacker), untyped, MEMBERS + 3 * step, machine, reports, ATTACKER), "the attacker: ")
    child = ptr(attacker.child)
    check(world.give(ptr(attacker), roles.SERVICE, service, Rights.WRITE, 99), "the attacker: ")
    check(world.give(ptr(attacker), roles.MUTE, mute, Rights.READ | Rights.WRITE, 0), "the attacker: ")
    check(
        world.give(ptr(attacker), roles.TABLE, child.table, Rights.READ | Rights.WRITE | Rights.EXECUTE, 0),
        "the attacker: ",
    )
    check(world.give(ptr(attacker), roles.SPACE, child.space, Rights.WRITE | Rights.EXECUTE, 0), "the attacker: ")
    check(world.give(ptr(attacker), roles.THREAD, child.threads[0], Rights.READ, 0), "the attacker: ")
    check(world.give(ptr(attacker), roles.SLICE, child.slice, Rights.READ | Rights.EXECUTE, 0), "the attacker: ")
    check(world.give(ptr(attacker), roles.BELL, bell, Rights.ALL, 0), "the attacker: ")
    check(world.give(ptr(attacker), roles.LOOK, server.child.table, Rights.READ, 0), "the attacker: ")
    give_memory()


@fn
def await_end(ticks: u64, message: Ptr[Message]) -> bool:
    """Waits for the end of the attacker; ends of others are wrong."""
    for _ in range(8):
        if calls.receive(reports, message, ticks, 0) != Error.NONE:
            return False
        if message.number == ATTACKER:
            return True
        complain("a neighbour ended, with ", message.words[1])
    return False


@fn
def try_attack(number: u64) -> None:
    """One attack, and what it must leave behind."""
    wanted = attacks.expected(number)
    suffers = number == u64(Attack.MUTE_SERVER)
    message = Message()
    bits: u64 = 0
    _ = calls.wait(bell, 0, ptr(bits))
    show(number)
    check(world.start(ptr(attacker), roles.FIRST_ATTACK + number), "the attacker does not start: ")
    if suffers:
        check(world.start(ptr(victim), roles.VICTIM), "the victim does not start: ")
    ended = False
    if suffers:
        check(calls.wait(bell, LIMIT, ptr(bits)), "the attacker does not hold the victim: ")
    else:
        ended = await_end(PATIENCE if wanted == Expected.STOPPED else LIMIT, ptr(message))
    check(calls.thread_stop(attacker.child.threads[0]), "the attacker is not stopped: ")
    if not ended:
        console.put("stopped")
        if wanted != Expected.STOPPED:
            complain("it should have ended", number)
    elif message.words[0] == TAG_FAULT:
        console.put("died, cause")
        console.put_decimal(message.words[1], 3)
        if wanted != Expected.DIES:
            complain("it should not have died; at ", message.words[3])
    else:
        console.put("refused")
        if wanted != Expected.REFUSED or message.words[0] != TAG_EXIT or message.words[1] != 0:
            complain("it should have been refused; status ", message.words[1])
    if suffers:
        if calls.receive(reports, ptr(message), LIMIT, 0) != Error.NONE or message.number != VICTIM:
            complain("the victim still waits", 0)
        elif message.words[0] != TAG_EXIT or message.words[1] != 0:
            complain("the victim was told ", message.words[1])
    take_back()
    console.put(", neighbour at")
    console.put_decimal(last_calls, 6)
    console.put(" calls\n")


@fn
def give_memory() -> None:
    """Memory of its own for the attacker, fresh."""
    made: u64 = 0
    table = attacker.child.table
    check(calls.retype(private, table, roles.MEMORY, Kind.UNTYPED, PRIVATE_BITS, ptr(made)), "memory: ")


@fn
def take_back() -> None:
    """The attacker's own memory is free again, whatever it made of it, and nothing else has changed."""
    check(calls.revoke(private), "taking the memory back: ")
    if used(private) != 0:
        complain("memory is not free: ", used(private))
    give_memory()
    neighbour_goes_on()
    now = occupied(attacker.child.table, 1 << roles.TABLE_BITS)
    if now != held:
        complain("slots in the attacker's table: ", now)
    if waits() > 1:  # the client's sleep
        complain("waits with a time limit: ", waits())


@fn
def show(number: u64) -> None:
    """Its name."""
    console.put("  ")
    if number < len(Attack):
        name = NAMES[number]
        console.put(name)
    elif number < len(Attack) + attacks.ACCESSES:
        at = number - len(Attack)
        console.put(WAYS[at % attacks.WAYS])
        console.put_hex(attacks.ADDRESSES[at // attacks.WAYS])
    else:
        console.put("instruction")
        console.put_decimal(number - len(Attack) - attacks.ACCESSES, 3)
    console.put(": ")


@fn
def interrupts() -> u64:
    """How often devices have interrupted: here it is the clock that does."""
    sum: u64 = 0
    for number in range(INTERRUPTS):
        message = Message()
        message.words[0] = u64(Facts.INTERRUPT)
        message.words[1] = u64(number)
        _ = calls.machine_inspect(first_life(first_table.MACHINE), ptr(message))
        sum += message.words[0]
    return sum


@fn
def set_up_driver() -> u64:
    """A new life of the driver, with its registers in sight; it has begun its work when this comes back. Gives the
    capability by which they are mapped."""
    slot = MEMBERS + 4 * u64(world.OBJECTS)
    device: u64 = 0
    bits: u64 = 0
    _ = calls.wait(bell, 0, ptr(bits))
    check(world.make(ptr(driver), driver_memory, slot, machine, reports, DRIVER), "the driver: ")
    registers = first_life(first_table.CLOCK)
    interrupt = first_life(first_table.CLOCK_INTERRUPT)
    check(world.give(ptr(driver), roles.BELL, bell, Rights.WRITE, 0), "the driver: ")
    check(world.give(ptr(driver), roles.TICK, tick, Rights.READ | Rights.WRITE, 0), "the driver: ")
    check(world.give(ptr(driver), roles.CLOCK, registers, Rights.READ | Rights.WRITE, 0), "the driver: ")
    check(world.give(ptr(driver), roles.CLOCK_INTERRUPT, interrupt, Rights.WRITE, 0), "the driver: ")
    rights: u8 = Rights.READ | Rights.WRITE
    last = slot + world.OBJECTS - 1
    check(calls.derive(registers, 0, last, rights, 0, 0, ptr(device)), "the registers: ")
    maker = loader.Builder(memory=driver.memory, own_space=builder.own_space, next_slot=last - 8, last_slot=last - 1)
    check(loader.map_page(ptr(maker), driver.child.space, device, CLOCK_AT, rights), "the registers: ")
    check(world.start(ptr(driver), roles.DRIVER), "the driver does not start: ")
    check(calls.wait(bell, LIMIT, ptr(bits)), "the driver does not begin: ")
    return device


@fn
def end_driver(device: u64) -> None:
    """It is gone, and what it had is free."""
    check(calls.delete(device), "the registers: ")
    check(world.end(ptr(driver)), "taking back: ")
    if used(driver_memory) != 0:
        complain("memory is not free: ", used(driver_memory))


@fn
def await_interrupt(before: u64) -> None:
    """Until the device has interrupted, once; no more come, whoever is told."""
    for _ in range(4000):
        if interrupts() != before:
            break
        calls.sleep(A_WHILE)
    calls.sleep(10 * A_WHILE)
    if interrupts() != before + 1:
        complain("interrupts of a device without driver: ", interrupts() - before)


@fn
def kill_driver(late: bool) -> None:
    """Kills a driver that has set its device to work, before or after the interrupt; its next life does the work."""
    message = Message()
    before = interrupts()
    device = set_up_driver()
    if late:
        check(calls.thread_stop(driver.child.threads[0]), "the driver is not stopped: ")
        await_interrupt(before)
        end_driver(device)
    else:
        if interrupts() != before:
            complain("it has interrupted already", 0)
        end_driver(device)
        await_interrupt(before)
    console.put("  driver killed ")
    console.put("after its interrupt: " if late else "before its interrupt: ")
    device = set_up_driver()
    if calls.receive(reports, ptr(message), LIMIT, 0) != Error.NONE or message.number != DRIVER:
        complain("the next driver does not end", 0)
    elif message.words[0] != TAG_EXIT or message.words[1] != 0:
        complain("the next driver ended with ", message.words[1])
    end_driver(device)
    if interrupts() != before + 2:
        complain("interrupts: ", interrupts() - before)
    neighbour_goes_on()
    if waits() > 1:
        complain("waits with a time limit: ", waits())
    console.put("the next one works, neighbour at")
    console.put_decimal(last_calls, 6)
    console.put(" calls\n")


@fn
def kill_drivers() -> None:
    """On machines with a clock that has an alarm."""
    message = Message()
    if calls.inspect(first_life(first_table.CLOCK), ptr(message)) != Error.NONE:
        console.put("  no clock with an alarm: no driver was killed\n")
        return
    for round in range(DRIVERS):
        kill_driver(round % 2 != 0)
    check(calls.interrupt_bind(first_life(first_table.CLOCK_INTERRUPT), 0, 0), "the interrupt: ")


@fn
def visit(thread: u64, space: u64, faults: u64) -> None:
    """A thread goes on in an empty space, where all others have their code: it must find nothing there."""
    message = Message()
    entry = attacker.child.entry
    error = calls.thread_configure(thread, attacker.child.table, space, faults, attacker.child.slice)
    if error == Error.NONE:
        error = calls.thread_start(thread, entry, STACK_TOP, roles.VICTIM)
    check(error, "a visitor does not start: ")
    check(calls.receive(reports, ptr(message), LIMIT, 0), "a visitor goes on: ")
    if message.number != VISITOR or message.words[0] != TAG_FAULT or message.words[2] != entry:
        complain("a visitor found something in an empty space: ", message.words[2])


@fn
def other_memory(least_bits: u64) -> u64:
    """Free memory that nothing was made of yet."""
    for slot in range(first_table.FIRST_UNTYPED, first_table.LAST_UNTYPED + 1):
        message = Message()
        if calls.inspect(u64(slot), ptr(message)) == Error.NONE:
            free = message.words[0] == u64(Kind.UNTYPED) and message.words[2] == 0
            if free and message.words[4] >= least_bits:
                return message.words[7]
    complain("no free memory of so many bits: ", least_bits)
    return 0


@fn
def crowd_spaces() -> None:
    """More address spaces than the TLB has identifiers, all of them alive and used, the first one twice."""
    slot = MEMBERS + 4 * u64(world.OBJECTS)
    memory = other_memory(CROWD_BITS)
    if memory == 0:
        return
    crowd: u64 = 0
    table: u64 = 0
    thread: u64 = 0
    faults: u64 = 0
    moved: u64 = 0
    check(calls.retype(driver_memory, 0, slot, Kind.TABLE, CROWD_BITS - 13, ptr(table)), "a table: ")
    check(calls.retype(driver_memory, 0, slot + 1, Kind.THREAD, 0, ptr(thread)), "a thread: ")
    check(calls.derive(reports, 0, slot + 2, Rights.WRITE, VISITOR, 0, ptr(faults)), "a visitor: ")
    check(calls.retype(memory, 0, slot + 5, Kind.UNTYPED, CROWD_BITS, ptr(crowd)), "memory: ")
    first: u64 = 0
    space: u64 = 0
    for number in range(CROWD):
        check(calls.retype(crowd, 0, slot + 3 if number == 0 else slot + 4, Kind.SPACE, 0, ptr(space)), "a space: ")
        visit(thread, space, faults)
        if number == 0:
            first = space
        else:
            check(calls.move(space, table, u64(number), ptr(moved)), "a space: ")
    if calls.retype(crowd, 0, slot + 4, Kind.SPACE, 0, ptr(space)) != Error.NO_MEMORY:
        complain("more spaces than there is memory for: ", CROWD + 1)
    visit(thread, first, faults)
    neighbour_goes_on()
    check(calls.delete(faults), "taking back: ")
    check(calls.revoke(memory), "taking back: ")
    check(calls.revoke(driver_memory), "taking back: ")
    if used(memory) != 0 or used(driver_memory) != 0:
        complain("memory is not free: ", used(memory) + used(driver_memory))
    console.put("  address spaces beside each other:")
    console.put_decimal(CROWD, 5)
    console.put(", neighbour at")
    console.put_decimal(last_calls, 6)
    console.put(" calls\n")


NAMES = constant(Array[Str, len(Attack)], [a.name.lower().replace("_", " ") for a in Attack])
WAYS = constant(Array[Str, 3], ["load ", "store ", "jump "])


@fn
def run() -> None:
    """All attacks."""
    global held
    builder.own_space = first_life(first_table.SPACE)
    builder.next_slot = SLOTS
    builder.last_slot = MEMBERS - 1
    builder.memory = largest_untyped()
    if console.open(ptr(builder), first_life(first_table.CONSOLE)) != Error.NONE:
        return
    console.put("hostile: set up\n")
    archive = first_life(first_table.ARCHIVE)
    check(loader.map_page(ptr(builder), builder.own_space, archive, ARCHIVE_AT, Rights.READ), "the archive: ")
    check(loader.map_window(ptr(builder)), "the window: ")
    untyped = set_up()
    slots_before = occupied(0, 1 << first_table.TABLE_BITS)
    set_up_members(untyped)
    held = occupied(attacker.child.table, 1 << roles.TABLE_BITS)
    check(world.start(ptr(server), roles.SERVER), "the server: ")
    check(world.start(ptr(client), roles.CLIENT), "the client: ")
    options.read_line()
    count = u64(len(Attack) + attacks.ACCESSES) + attacks.INSTRUCTIONS
    only = options.value_of("only=", count)
    for number in bounded(range(count), 1000):
        if only == count or only == number:
            try_attack(number)
    if only == count:
        crowd_spaces()
        kill_drivers()
    elif only < count:
        count = 1
    else:
        complain("no attack has the number ", only)
    check(world.end(ptr(attacker)), "taking back: ")
    neighbour_goes_on()
    check(world.end(ptr(victim)), "taking back: ")
    check(world.end(ptr(client)), "taking back: ")
    check(world.end(ptr(server)), "taking back: ")
    slots_after = occupied(0, 1 << first_table.TABLE_BITS)
    if slots_after != slots_before:
        complain("slots in this program's table: ", slots_after)
    if waits() != 0:
        complain("waits with a time limit: ", waits())
    console.put("hostile: ")
    console.put_decimal(count, 0)
    console.put(" attacks, ")
    console.put_decimal(wrong, 0)
    console.put(" wrong, table and memory as before\n" if wrong == 0 else " wrong\n")
    _ = calls.machine_stop(first_life(first_table.MACHINE), False, 0 if wrong == 0 else 1)


@fn
def main(argument: u64) -> u64:
    """Every part: the first program gets the number of the machine, the others their role."""
    global machine
    if argument == roles.SERVER:
        return honest.serve()
    if argument == roles.CLIENT:
        return honest.ask()
    if argument == roles.DRIVER:
        return drive()
    if argument == roles.VICTIM:
        return honest.suffer()
    if argument >= roles.BOMB:
        return attacks.bomb(argument - roles.BOMB)
    if argument >= roles.FIRST_ATTACK:
        return attacks.attack(argument - roles.FIRST_ATTACK)
    machine = trunc(argument, u16)
    run()
    return 0
