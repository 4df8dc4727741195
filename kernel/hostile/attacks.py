"""The attacks. Each gives 0 when all that it tried was refused, else the number of what was not."""

from kernel.abi import NEVER_TIMES_OUT, PAGE, Error, Kind, Rights, SystemCall
from kernel.arch.aarch64 import user_attacks as aarch64
from kernel.arch.objects import pointer_maker
from kernel.arch.riscv64 import user_attacks as riscv64
from kernel.arch.x86_64 import user_attacks as x86_64
from kernel.hostile import honest, roles
from kernel.hostile.roles import Attack, Expected
from kernel.lang import *
from kernel.user import calls
from kernel.user.first_table import first_life
from kernel.user.layout import LINKED_AT
from kernel.user.message import Message

word_at = pointer_maker(u64)
program_entry = by_arch(riscv64=riscv64.program_entry, x86_64=x86_64.program_entry, aarch64=aarch64.program_entry)
jump = by_arch(riscv64=riscv64.jump, x86_64=x86_64.jump, aarch64=aarch64.jump)
store_after_interrupts = by_arch(
    riscv64=riscv64.store_after_interrupts,
    x86_64=x86_64.store_after_interrupts,
    aarch64=aarch64.store_after_interrupts,
)
reserve = by_arch(riscv64=riscv64.reserve, x86_64=x86_64.reserve, aarch64=aarch64.reserve)
store_reserved = by_arch(riscv64=riscv64.store_reserved, x86_64=x86_64.store_reserved, aarch64=aarch64.store_reserved)

BOMB_AT = 0x5000_0000
BOMB_STACK = 2 * PAGE
BOMBS = 12

ADDRESSES = constant(
    Array[u64, 12],
    [
        0,  # null
        0x1000_0000,  # riscv64: the UART
        0x0900_0000,  # aarch64: the UART
        0x0C00_0000,  # riscv64: the PLIC
        0xFEE0_0000,  # x86_64: the local APIC
        0x8020_0000,  # the kernel, physically
        0x3F_FFFF_F000,  # the last user page of Sv39
        0xFFFF_FFFF_8000_0000,  # the kernel
        0xFFFF_FFFF_C000_0000,  # its devices
        0xFFFF_FFC0_8020_0000,  # riscv64: all memory
        0xFFFF_8000_0000_0000,  # x86_64: all memory
        0x0123_4567_89AB_CDE8,  # no address at all
    ],
)
WAYS = 3  # load, store, jump
ACCESSES = 12 * WAYS

# The calls that a handle must allow, in the order of their numbers.
_FREE = (SystemCall.NULL, SystemCall.REPLY, SystemCall.YIELD, SystemCall.SLEEP, SystemCall.EXIT, SystemCall.CLOCK)
NAMED = constant(Array[u8, len(SystemCall) - len(_FREE)], [int(c) for c in SystemCall if c not in _FREE])
# Calls that no wild argument may make succeed, when the capability is to what they want.
_PICKY = (SystemCall.MAP, SystemCall.MAP_TABLE, SystemCall.THREAD_CONFIGURE, SystemCall.SLICE_CONFIGURE,
          SystemCall.DERIVE, SystemCall.MOVE, SystemCall.RETYPE, SystemCall.CHANNEL_SEND, SystemCall.CHANNEL_RECEIVE,
          SystemCall.INTERRUPT_BIND, SystemCall.AUDIT_READ, SystemCall.MACHINE_INSPECT, SystemCall.MACHINE_STOP,
          SystemCall.THREAD_START)  # fmt: skip
PICKY = constant(Array[u8, len(_PICKY)], [int(c) for c in _PICKY])


@fn
def own(slot: u64) -> u64:
    """The handle of what is in a slot now; 0 when it is empty."""
    message = Message()
    return message.words[7] if calls.inspect(slot, ptr(message)) == Error.NONE else 0


@fn
def invoke(number: u8, handle: u64, value: u64) -> u64:
    """A system call with the value in every word; waits for nothing. Gives the status."""
    message = Message()
    for i in range(8):
        message.words[i] = value
    message.number = u64(number)
    message.handle = handle
    calls.invoke(ptr(message))
    return message.handle


@fn
def forged() -> u64:
    """Handles that nobody gave, in every call that takes one."""
    for i in range(len(NAMED)):
        number = NAMED[i]
        for slot in range(2 * (1 << roles.TABLE_BITS)):
            real = own(u64(slot))
            for generation in range(0, 4):
                looks = number == u8(SystemCall.INSPECT) or number == u8(SystemCall.CHANNEL_INSPECT)
                handle = u64(generation) << 32 | u64(slot)
                if real == 0 or (real != handle and not (looks and generation == 0)):
                    if invoke(number, handle, 0) != u64(Error.INVALID_HANDLE):
                        return u64(number) << 32 | u64(slot) + 1
        for bit in range(64):
            if invoke(number, first_life(1000) ^ u64(1) << bit, 0) != u64(Error.INVALID_HANDLE):
                return u64(number) << 32 | u64(bit) + 1000
    return 0


@fn
def stale() -> u64:
    """A handle after its capability was deleted, moved, or revoked, also when another one is in the slot."""
    old: u64 = 0
    new: u64 = 0
    moved: u64 = 0
    for _ in range(20):
        if calls.derive(first_life(roles.BELL), 0, roles.FIRST_FREE, Rights.ALL, 0, 0, ptr(old)) != Error.NONE:
            return 1
        if calls.delete(old) != Error.NONE or calls.notify(old, 1) != Error.INVALID_HANDLE:
            return 2
        if calls.derive(first_life(roles.BELL), 0, roles.FIRST_FREE, Rights.ALL, 0, 0, ptr(new)) != Error.NONE:
            return 3
        if new == old or calls.notify(old, 1) != Error.INVALID_HANDLE or calls.notify(new, 1) != Error.NONE:
            return 4
        if calls.move(new, 0, roles.FIRST_FREE + 1, ptr(moved)) != Error.NONE:
            return 5
        if calls.notify(new, 1) != Error.INVALID_HANDLE or calls.notify(moved, 1) != Error.NONE:
            return 6
        if calls.derive(moved, 0, roles.FIRST_FREE, Rights.WRITE, 0, 0, ptr(old)) != Error.NONE:
            return 7
        if calls.derive(old, 0, roles.FIRST_FREE + 2, Rights.ALL, 0, 0, ptr(new)) != Error.DENIED:
            return 8
        if calls.revoke(moved) != Error.NONE or calls.notify(old, 1) != Error.INVALID_HANDLE:
            return 9
        if calls.delete(moved) != Error.NONE:
            return 10
    return 0


@fn
def wild() -> u64:
    """Addresses, and every other sort of bad number, in every word of every call, by every capability that it has."""
    for slot in range(roles.SERVICE, roles.BELL + 1):
        for i in range(len(PICKY)):
            for a in range(len(ADDRESSES)):
                value = ADDRESSES[a]
                if value > 0xFFFF:
                    if invoke(PICKY[i], own(u64(slot)), value) == 0:
                        return u64(PICKY[i]) << 32 | u64(slot)
    for a in range(len(ADDRESSES)):
        value = ADDRESSES[a]
        if invoke(u8(SystemCall.CALL), first_life(roles.SERVICE), value) != u64(Error.TIMED_OUT):
            message = Message()  # the server waited: its answer must be the right one
            message.words[0] = value
            if calls.call(first_life(roles.SERVICE), ptr(message)) != Error.NONE:
                return 1
            if message.words[0] != u64(w64(value) + 1):
                return 2
        for number in range(len(SystemCall), 256):
            if invoke(trunc(u64(number), u8), value, value) != u64(Error.UNKNOWN_CALL):
                return 3
    return 0


@fn
def exhaust(kind: Kind, bits: u64) -> u64:
    """Makes objects until there is no more."""
    made: u64 = 0
    for i in range(1 << 12):
        slot = roles.FIRST_FREE + u64(i) % 40
        error = calls.retype(own(roles.MEMORY), 0, slot, kind, bits, ptr(made))
        if error == Error.OCCUPIED:  # the object stays alive: one that was made of it holds it
            if calls.delete(own(slot)) != Error.NONE:
                return 1
            error = calls.retype(own(roles.MEMORY), 0, slot, kind, bits, ptr(made))
        if error == Error.NO_MEMORY:
            return 0
        if error != Error.NONE:
            return 2 + u64(error)
    return 3


@fn
def exhaust_slots() -> u64:
    """Fills its table."""
    made: u64 = 0
    for slot in range(roles.FIRST_FREE, 1 << roles.TABLE_BITS):
        if calls.derive(first_life(roles.BELL), 0, u64(slot), Rights.WRITE, 0, 0, ptr(made)) != Error.NONE:
            return 1
    if calls.derive(first_life(roles.BELL), 0, 1 << roles.TABLE_BITS, 0, 0, 0, ptr(made)) != Error.OUT_OF_RANGE:
        return 2
    if calls.derive(first_life(roles.BELL), 0, roles.FIRST_FREE, 0, 0, 0, ptr(made)) != Error.OCCUPIED:
        return 3
    return 0 if calls.revoke(first_life(roles.BELL)) == Error.NONE else 4


@fn
def exhaust_others() -> u64:
    """Every other kind of object, each until there is no more; then all of them are given back."""
    for i in range(len(OTHERS)):
        kind = Kind(OTHERS[i])
        wrong = exhaust(kind, 12)
        if wrong != 0:
            return u64(kind) << 32 | wrong
        if calls.revoke(own(roles.MEMORY)) != Error.NONE:
            return u64(kind)
    return 0


_OTHERS = (Kind.ENDPOINT, Kind.NOTIFICATION, Kind.CHANNEL, Kind.SLICE, Kind.SPACE, Kind.PAGE_TABLE, Kind.UNTYPED)
OTHERS = constant(Array[u8, len(_OTHERS)], [int(kind) for kind in _OTHERS])
SOON = 500  # ticks


@fn
def expires_soon(source: u64) -> u64:
    """A capability that dies in a moment; 0 when it cannot be had."""
    made: u64 = 0
    _ = calls.delete(own(roles.FIRST_FREE))
    right: u8 = Rights.READ | Rights.WRITE
    error = calls.derive(source, 0, roles.FIRST_FREE, right, 0, calls.clock() + SOON, ptr(made))
    return made if error == Error.NONE else 0


@fn
def expired() -> u64:
    """Waits by a capability that dies meanwhile, and goes on with it afterwards."""
    message = Message()
    made: u64 = 0
    bits: u64 = 0
    _ = calls.wait(first_life(roles.BELL), 0, ptr(bits))
    if calls.call(expires_soon(first_life(roles.MUTE)), ptr(message)) != Error.EXPIRED:
        return 1
    if calls.send(expires_soon(first_life(roles.MUTE)), ptr(message), NEVER_TIMES_OUT) != Error.EXPIRED:
        return 2
    if calls.receive(expires_soon(first_life(roles.MUTE)), ptr(message), NEVER_TIMES_OUT, 0) != Error.EXPIRED:
        return 3
    dead = expires_soon(first_life(roles.BELL))
    if calls.wait(dead, NEVER_TIMES_OUT, ptr(bits)) != Error.EXPIRED:
        return 4
    if calls.notify(dead, 1) != Error.EXPIRED or calls.move(dead, 0, roles.FIRST_FREE + 1, ptr(made)) != Error.EXPIRED:
        return 5
    if calls.derive(dead, 0, roles.FIRST_FREE + 1, 0, 0, 0, ptr(made)) != Error.EXPIRED:
        return 6
    alive = expires_soon(first_life(roles.BELL))
    longer = calls.clock() + 2 * SOON
    error = calls.derive(alive, 0, roles.FIRST_FREE + 1, 0, 0, longer, ptr(made))
    if error != Error.DENIED and error != Error.EXPIRED:
        return 7
    return 0 if calls.delete(alive) == Error.NONE else 8


@fn
def nobody_answers() -> u64:
    """Calls, sends and receives where nobody is."""
    message = Message()
    if calls.call_within(first_life(roles.MUTE), ptr(message), 500) != Error.TIMED_OUT:
        return 1
    if calls.send(first_life(roles.MUTE), ptr(message), 500) != Error.TIMED_OUT:
        return 2
    if calls.receive(first_life(roles.MUTE), ptr(message), 500, 0) != Error.TIMED_OUT:
        return 3
    bits: u64 = 0
    _ = calls.wait(first_life(roles.BELL), 0, ptr(bits))
    if calls.wait(first_life(roles.BELL), 500, ptr(bits)) != Error.TIMED_OUT:
        return 4
    return 0 if calls.reply(ptr(message)) == Error.NO_CALLER else 5


@fn
def spin() -> u64:
    """Never gives the CPU up."""
    for _ in range(1 << 62):
        _ = read_volatile(word_at(LINKED_AT))
    return 1


@fn
def bomb(number: u64) -> u64:
    """Starts a thread that does the same, with a stack of its own, as long as there is memory; then goes on and on."""
    frame: u64 = 0
    thread: u64 = 0
    table: u64 = 0
    slot = roles.FIRST_FREE + 3 * number
    top = BOMB_AT + (number + 1) * BOMB_STACK
    memory = own(roles.MEMORY)
    if number < BOMBS:
        error = calls.retype(memory, 0, slot, Kind.FRAME, 12, ptr(frame))
        if error == Error.NONE:
            error = calls.map_page(frame, first_life(roles.SPACE), top - PAGE, Rights.READ | Rights.WRITE)
        for i in range(3):
            if error == Error.NO_PAGE_TABLE:
                where = slot + 2 if i == 0 else 56 + u64(i)
                error = calls.retype(memory, 0, where, Kind.PAGE_TABLE, 0, ptr(table))
                if error == Error.NONE:
                    error = calls.map_table(table, first_life(roles.SPACE), top - PAGE)
                if error == Error.NONE:
                    error = calls.map_page(frame, first_life(roles.SPACE), top - PAGE, Rights.READ | Rights.WRITE)
        if error == Error.NONE:
            error = calls.retype(memory, 0, slot + 1, Kind.THREAD, 0, ptr(thread))
        if error == Error.NONE:
            space = first_life(roles.SPACE)
            error = calls.thread_configure(thread, first_life(roles.TABLE), space, 0, first_life(roles.SLICE))
        if error == Error.NONE:
            _ = calls.thread_start(thread, program_entry(), top, roles.BOMB + number + 1)
    return spin()


@fn
def live_by_anothers_table() -> u64:
    """Who may look into a table cannot have a thread that acts with what is in it."""
    thread: u64 = 0
    if calls.retype(own(roles.MEMORY), 0, roles.FIRST_FREE, Kind.THREAD, 0, ptr(thread)) != Error.NONE:
        return 1
    table = first_life(roles.LOOK)
    message = Message()
    if calls.table_inspect(table, roles.SERVICE, ptr(message)) != Error.NONE:
        return 2
    space = first_life(roles.SPACE)
    if calls.thread_configure(thread, table, space, 0, first_life(roles.SLICE)) != Error.DENIED:
        return 3
    error = calls.thread_configure(thread, first_life(roles.TABLE), space, 0, first_life(roles.SLICE))
    return 0 if error == Error.NONE else 4


@fn
def mute_server() -> u64:
    """Receives and never replies: until the victim gives up its first call, then holding its second one for ever."""
    message = Message()
    for _ in range(2):
        _ = calls.receive(first_life(roles.MUTE), ptr(message), NEVER_TIMES_OUT, 0)
        if message.words[0] == honest.WITHOUT_LIMIT:
            break
        calls.sleep(2 * honest.PATIENCE)
    _ = calls.notify(first_life(roles.BELL), 1)
    return spin()


@fn
def stack_overflow() -> u64:
    """Goes down until a page is missing."""
    here = Message()
    at = address_of(ptr(here))
    for _ in range(1 << 20):
        at -= 256
        write_volatile(word_at(at // 8 * 8), 1)
    return 1


@fn
def access(number: u64) -> u64:
    """A load, a store or a jump to an address that is not the program's."""
    address = ADDRESSES[number // WAYS]
    way = number % WAYS
    if way == 0:
        _ = read_volatile(word_at(usize(address)))
    elif way == 1:
        write_volatile(word_at(usize(address)), 0)
    else:
        jump(address)
    return 1


@fn
def write_what_runs() -> u64:
    """A page that is writable by one capability and executable by another."""
    one: u64 = 0
    other: u64 = 0
    table: u64 = 0
    memory = own(roles.MEMORY)
    space = first_life(roles.SPACE)
    if calls.retype(memory, 0, roles.FIRST_FREE, Kind.FRAME, 12, ptr(one)) != Error.NONE:
        return 1
    if calls.derive(one, 0, roles.FIRST_FREE + 1, Rights.ALL, 0, 0, ptr(other)) != Error.NONE:
        return 2
    error = calls.map_page(one, space, BOMB_AT, Rights.READ | Rights.WRITE)
    for i in range(3):
        if error == Error.NO_PAGE_TABLE:
            slot = roles.FIRST_FREE + 2 + u64(i)
            if calls.retype(memory, 0, slot, Kind.PAGE_TABLE, 0, ptr(table)) != Error.NONE:
                return 3
            if calls.map_table(table, space, BOMB_AT) != Error.NONE:
                return 4
            error = calls.map_page(one, space, BOMB_AT, Rights.READ | Rights.WRITE)
    if error != Error.NONE:
        return 5
    if calls.map_page(other, space, BOMB_AT + PAGE, Rights.READ | Rights.EXECUTE) != Error.BUSY:
        return 6
    if calls.unmap(one) != Error.NONE:
        return 7
    if calls.map_page(other, space, BOMB_AT + PAGE, Rights.READ | Rights.EXECUTE) != Error.NONE:
        return 8
    if calls.map_page(one, space, BOMB_AT, Rights.READ | Rights.WRITE) != Error.BUSY:
        return 9
    return 0


@fn
def keep_reservation() -> u64:
    """A reserved word that other threads may have written to meanwhile: they ran at an interrupt, or while this one was
    in a call."""
    message = Message()
    word: u64 = 0
    if store_after_interrupts(ptr(word)) == 0:
        return 1
    reserve(ptr(word))
    calls.invoke(ptr(message))
    if store_reserved(ptr(word)) == 0:
        return 2
    reserve(ptr(word))
    if calls.call(first_life(roles.SERVICE), ptr(message)) != Error.NONE:
        return 3
    return 4 if store_reserved(ptr(word)) == 0 else 0


@fn
def write_code() -> u64:
    """Its own instructions."""
    write_volatile(word_at(LINKED_AT), 0)
    return 1


@fn
def run_stack() -> u64:
    """Data as instructions."""
    message = Message()
    jump(u64(address_of(ptr(message))))
    return 1


instruction = by_arch(riscv64=riscv64.instruction, x86_64=x86_64.instruction, aarch64=aarch64.instruction)
INSTRUCTIONS = by_arch(riscv64=riscv64.COUNT, x86_64=x86_64.COUNT, aarch64=aarch64.COUNT)


@fn
def privileged(number: u64) -> u64:
    """An instruction that is not for user code."""
    instruction(number)
    return 1


@fn
def run(attack: Attack) -> u64:
    """An attack by its number."""
    match attack:
        case Attack.FORGED:
            return forged()
        case Attack.STALE:
            return stale()
        case Attack.WILD:
            return wild()
        case Attack.EXHAUST_THREADS:
            return exhaust(Kind.THREAD, 0)
        case Attack.EXHAUST_TABLES:
            return exhaust(Kind.TABLE, 5)
        case Attack.EXHAUST_FRAMES:
            return exhaust(Kind.FRAME, 12)
        case Attack.EXHAUST_SLOTS:
            return exhaust_slots()
        case Attack.EXHAUST_OTHERS:
            return exhaust_others()
        case Attack.EXPIRED:
            return expired()
        case Attack.NOBODY_ANSWERS:
            return nobody_answers()
        case Attack.WRITE_WHAT_RUNS:
            return write_what_runs()
        case Attack.LIVE_BY_ANOTHERS_TABLE:
            return live_by_anothers_table()
        case Attack.KEEP_RESERVATION:
            return keep_reservation()
        case Attack.FORK_BOMB:
            return bomb(0)
        case Attack.SPIN:
            return spin()
        case Attack.MUTE_SERVER:
            return mute_server()
        case Attack.STACK_OVERFLOW:
            return stack_overflow()
        case Attack.WRITE_CODE:
            return write_code()
        case Attack.RUN_STACK:
            return run_stack()


@fn
def expected(number: u64) -> Expected:
    """How an attack must end."""
    if number >= u64(Attack.STACK_OVERFLOW):
        return Expected.DIES
    if number >= u64(Attack.FORK_BOMB):
        return Expected.STOPPED
    return Expected.REFUSED


@fn
def attack(number: u64) -> u64:
    """The functions first, then accesses, then instructions."""
    if number < len(Attack):
        return run(Attack(trunc(number, u8)))
    rest = number - len(Attack)
    if rest < ACCESSES:
        return access(rest)
    return privileged(rest - ACCESSES)
