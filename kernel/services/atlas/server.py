"""S-ATLAS as a program: answers requests, hears from the kernel when a service ends, asks S-INIT to start services.

It knows services by badges: number + 1 of a service, with FAULT_BADGE when the kernel speaks in its name, with
OPERATOR_BADGE for who may start and stop, with GUEST_BADGE for a program that `run` started. Capabilities that
services register with are kept, and handed to who discovers them and may, without the right to hand them on.
"""

from typing import Never

from kernel.abi import NEVER_TIMES_OUT, TAG_EXIT, Error, Rights
from kernel.lang import *
from kernel.services.atlas import registry
from kernel.services.atlas.registry import MAX_EVENTS, MAX_SERVICES, NEVER, Atlas, AtlasError, Service, State
from kernel.services.description import KEPT_SLOT, SERVICE_COUNT, SERVICES, SYSTEM
from kernel.services.names import Name
from kernel.services.protocol import (
    FAULT_BADGE,
    GUEST_BADGE,
    INDEX_MASK,
    OPERATOR_BADGE,
    UNKNOWN,
    WANTED_SHIFT,
    AtlasCall,
    InitCall,
)
from kernel.services.run import PROGRAM_COUNT, PROGRAMS
from kernel.user import calls
from kernel.user.message import Message

SELF = SYSTEM.handle("atlas", "self")
INIT = SYSTEM.handle("atlas", "init")
OWN = SYSTEM.index("atlas")
SPARE = KEPT_SLOT + MAX_SERVICES
"""Slots from KEPT_SLOT hold what services registered with, by row; SPARE is where the next one arrives."""

PROGRAM_FINDS = constant(Array[u32, PROGRAM_COUNT], [SYSTEM.bits(program.finds) for program in PROGRAMS])

atlas = variable(Atlas)
kept = variable(Array[u64, MAX_SERVICES])
dying = variable(bool, False)  # once the answer is given


@fn
def row_number(service: Ptr[Service]) -> usize:
    """Which row of the registry a service is."""
    return (address_of(service) - address_of(ptr(atlas.services[0]))) // size_of(Service)


@fn
def name_in(message: Ptr[Message], name: Ptr[Name]) -> None:
    """The name in words 1..3."""
    for i in range(3):
        name.words[i] = message.words[1 + i]


@fn
def answer(message: Ptr[Message], error: AtlasError) -> None:
    """An answer without data."""
    for i in range(1, 8):
        message.words[i] = 0
    message.words[0] = u64(error)
    message.capability = 0


@fn
def forget(service: Ptr[Service]) -> None:
    """Drops the capability that a row was registered with."""
    row = row_number(service)
    if kept[row] != 0:
        _ = calls.delete(kept[row])
        kept[row] = 0


@fn
def keep(badge: u64, arrived: u64) -> None:
    """Puts the capability that came with a registration into the row's slot."""
    found = registry.find_badge(ptr(atlas), badge)
    if found is None or arrived == 0:
        return
    forget(some(found))
    row = row_number(some(found))
    moved: u64 = 0
    if calls.move(arrived, 0, KEPT_SLOT + u64(row), ptr(moved)) == Error.NONE:
        kept[row] = moved


@fn
def ask_init(operation: InitCall, service: Ptr[Service]) -> bool:
    """Has S-INIT start, stop or release a service of the description; whether it did."""
    request = Message()
    request.words[0] = u64(operation)
    request.words[1] = (service.badge & INDEX_MASK) - 1
    request.words[2] = 1 if service.state == State.STOPPED else 0
    return calls.call(INIT, ptr(request)) == Error.NONE and request.words[0] == u64(Error.NONE)


@fn
def bring_down(service: Ptr[Service]) -> bool:
    """Ends a service's program; whether there was one."""
    forget(service)
    return ask_init(InitCall.STOP, service)


@fn
def end_hung() -> None:
    """Ends the programs of services that were given up."""
    for _ in range(MAX_SERVICES):
        service = registry.hung(ptr(atlas))
        if service is None:
            break
        _ = bring_down(some(service))


@fn
def bring_up(now: u64) -> None:
    """Health, and whoever is due to be started again."""
    for _ in range(MAX_SERVICES):
        due = registry.check(ptr(atlas), now)
        end_hung()
        if due is None:
            break
        forget(some(due))
        if not ask_init(InitCall.START, some(due)):
            _ = registry.ended(ptr(atlas), some(due).badge, False, now)


@fn
def may_find(finder: u64, service: Ptr[Service]) -> bool:
    """Whether the description, or the list of programs, says so. Who registered undeclared is for everybody."""
    if not service.declared:
        return True
    number = finder & INDEX_MASK
    finds: u32 = 0
    if finder & GUEST_BADGE != 0 and number > 0 and number <= PROGRAM_COUNT:
        finds = PROGRAM_FINDS[number - 1]
    elif finder & GUEST_BADGE == 0 and number > 0 and number <= SERVICE_COUNT:
        finds = SERVICES[number - 1].finds
    return finds >> trunc(service.badge - 1, u32) & 1 != 0


@fn
def give(message: Ptr[Message], service: Ptr[Service]) -> None:
    """The answer to who found a service."""
    answer(message, AtlasError.NONE)
    message.words[1] = service.id
    message.capability = kept[row_number(service)]
    message.option = calls.grant_option(Rights.WRITE, False)


@fn
def discover(message: Ptr[Message], name: Ptr[Name]) -> None:
    """DISCOVER."""
    service = registry.find_name(ptr(atlas), name)
    if service is None:
        answer(message, AtlasError.SERVICE_NOT_FOUND)
    elif not may_find(message.number, some(service)):
        answer(message, AtlasError.PERMISSION_DENIED)
    elif registry.can_serve(some(service)):
        give(message, some(service))
    elif some(service).state == State.RUNNING:
        answer(message, AtlasError.SERVICE_UNHEALTHY)
    else:
        answer(message, AtlasError.NOT_RUNNING)


@fn
def discover_capability(message: Ptr[Message], capability: Ptr[Name]) -> None:
    """DISCOVER_CAPABILITY: the next service that provides it, of those that the caller may find."""
    after = message.words[4]
    for _ in range(MAX_SERVICES):
        service = registry.discover_capability(ptr(atlas), capability, after)
        if service is None:
            break
        if may_find(message.number, some(service)):
            give(message, some(service))
            return
        after = some(service).id
    answer(message, AtlasError.SERVICE_NOT_FOUND)


@fn
def list_row(message: Ptr[Message]) -> None:
    """A row, counting those that are used."""
    wanted = message.words[1]
    answer(message, AtlasError.SERVICE_NOT_FOUND)
    number: u64 = 0
    for service in atlas.services:
        if service.state != State.FREE:
            if number == wanted:
                answer(message, AtlasError.NONE)
                for i in range(3):
                    message.words[1 + i] = service.name.words[i]
                message.words[4] = u64(service.state) | u64(service.status) << 8 | u64(service.policy) << 16
                message.words[5] = service.id
                message.words[6] = service.restarts
                message.words[7] = service.since
                return
            number += 1


@fn
def event_row(message: Ptr[Message]) -> None:
    """A row of the log that is still there."""
    wanted = message.words[1]
    answer(message, AtlasError.SERVICE_NOT_FOUND)
    message.words[7] = atlas.event_count
    if wanted < atlas.event_count and atlas.event_count - wanted <= MAX_EVENTS:
        event = ptr(atlas.events[wanted % MAX_EVENTS])
        message.words[0] = u64(AtlasError.NONE)
        for i in range(3):
            message.words[1 + i] = event.name.words[i]
        message.words[4] = u64(event.what)
        message.words[5] = event.id
        message.words[6] = event.time


@fn
def unregister(message: Ptr[Message], badge: u64, now: u64) -> None:
    """UNREGISTER: who leaves is not brought back, by the next life of S-ATLAS neither."""
    error = registry.unregister(ptr(atlas), badge, now)
    row = registry.find_badge(ptr(atlas), badge)
    if error == AtlasError.NONE and row is not None:
        _ = ask_init(InitCall.RELEASE, some(row))
    answer(message, error)


@fn
def stands_on(operator: u64, service: Ptr[Service]) -> bool:
    """Whether whoever asks would not be there any more, or not be heard, when the service has stopped."""
    if service.badge == OWN + 1:
        return True
    caller = operator & INDEX_MASK
    if caller == 0 or caller > SERVICE_COUNT:
        return False
    return SERVICES[caller - 1].stands_on >> trunc(service.badge - 1, u32) & 1 != 0


@fn
def set_up(service: Ptr[Service], now: u64) -> AtlasError:
    """START, of a service that is down."""
    error = registry.start(ptr(atlas), ptr(service.name), now)
    if error == AtlasError.NONE and not ask_init(InitCall.START, service):
        _ = registry.ended(ptr(atlas), service.badge, False, now)
    return error


@fn
def operate(message: Ptr[Message], operation: AtlasCall, now: u64) -> AtlasError:
    """START, STOP, KILL, RESTART, by name.

    Nobody stops what he stands on: there would be nobody left to start it again. S-ATLAS itself dies of KILL and
    RESTART when it has answered, and S-INIT brings it back.
    """
    global dying
    if message.number & OPERATOR_BADGE == 0:
        return AtlasError.PERMISSION_DENIED
    name = Name()
    name_in(message, ptr(name))
    row = registry.find_name(ptr(atlas), ptr(name))
    if row is None or not some(row).declared:
        return AtlasError.SERVICE_NOT_FOUND
    service = some(row)
    if operation == AtlasCall.START:
        return set_up(service, now)
    if operation == AtlasCall.STOP and stands_on(message.number, service):
        return AtlasError.STANDS_ON_IT
    if service.badge == OWN + 1:
        dying = True
        return AtlasError.NONE
    error = AtlasError.NONE
    if operation == AtlasCall.KILL:
        error = registry.ended(ptr(atlas), service.badge, False, now)
    elif operation == AtlasCall.STOP or service.state != State.STOPPED:
        error = registry.stop(ptr(atlas), ptr(name), now)
    if error != AtlasError.NONE:
        # The program of a service that has left may have gone on.
        return AtlasError.NONE if bring_down(service) else error
    _ = bring_down(service)
    if operation == AtlasCall.RESTART:
        error = set_up(service, now)
    return error


@fn
def serve(message: Ptr[Message], operation: AtlasCall, now: u64) -> None:
    """A request; the message becomes the answer."""
    badge = message.number & INDEX_MASK
    name = Name()
    name_in(message, ptr(name))
    match operation:
        case AtlasCall.REGISTER:
            arrived = message.capability
            error = registry.register(ptr(atlas), badge, ptr(name), now)
            if error == AtlasError.NONE:
                keep(badge, arrived)
            elif arrived != 0:
                _ = calls.delete(arrived)
            answer(message, error)
        case AtlasCall.PROVIDE:
            answer(message, registry.provide(ptr(atlas), badge, ptr(name)))
        case AtlasCall.HEARTBEAT:
            answer(message, registry.heartbeat(ptr(atlas), badge, now))
        case AtlasCall.UNREGISTER:
            unregister(message, badge, now)
        case AtlasCall.DRAIN:
            answer(message, registry.drain(ptr(atlas), badge, now))
        case AtlasCall.DISCOVER:
            discover(message, ptr(name))
        case AtlasCall.DISCOVER_CAPABILITY:
            discover_capability(message, ptr(name))
        case AtlasCall.LIST:
            list_row(message)
        case AtlasCall.EVENTS:
            event_row(message)
        case AtlasCall.START | AtlasCall.STOP | AtlasCall.KILL | AtlasCall.RESTART:
            answer(message, operate(message, operation, now))


@fn
def end_rest(badge: u64) -> None:
    """A thread of a service has ended: so do the others, which would go on and register again."""
    row = registry.find_badge(ptr(atlas), badge)
    if row is not None:
        _ = bring_down(some(row))


@fn
def is_for_guests(operation: u64) -> bool:
    """Whether who is no service may ask for it."""
    return (
        operation == u64(AtlasCall.DISCOVER)
        or operation == u64(AtlasCall.DISCOVER_CAPABILITY)
        or operation == u64(AtlasCall.LIST)
    )


@fn
def received(message: Ptr[Message], now: u64) -> None:
    """A message, from a client or from the kernel."""
    if message.number & FAULT_BADGE != 0:
        clean = message.words[0] == TAG_EXIT and message.words[1] == 0
        badge = message.number & INDEX_MASK
        _ = registry.ended(ptr(atlas), badge, clean, now)
        end_rest(badge)
        message.capability = 0
    elif message.words[0] == 0 or message.words[0] > u64(AtlasCall.RESTART):
        if message.capability != 0:
            _ = calls.delete(message.capability)
        answer(message, AtlasError.NONE)
        message.words[0] = UNKNOWN
    elif message.number & GUEST_BADGE != 0 and not is_for_guests(message.words[0]):
        if message.capability != 0:
            _ = calls.delete(message.capability)
        answer(message, AtlasError.PERMISSION_DENIED)
    else:
        serve(message, AtlasCall(trunc(message.words[0], u8)), now)


@fn
def begin(now: u64, wanted: u64) -> None:
    """All services of the description are declared; those that are not to stay down are there or on their way, since
    S-INIT starts them in order."""
    for i in range(SERVICE_COUNT):
        name = Name()
        copy(name, SERVICES[i].name)
        _ = registry.declare(ptr(atlas), ptr(name), u64(i) + 1, SERVICES[i].policy, now)
        if wanted >> u64(i) & 1 != 0:
            _ = registry.start(ptr(atlas), ptr(name), now)
        if i == OWN:
            _ = registry.register(ptr(atlas), u64(i) + 1, ptr(name), now)


@fn
def main(argument: u64) -> u64:
    """The service."""
    run(argument >> WANTED_SHIFT)


@fn
def run(wanted: u64) -> Never:
    """Serves."""
    message = Message()
    now = calls.clock()
    begin(now, wanted)
    while True:
        _ = registry.heartbeat(ptr(atlas), OWN + 1, now)
        bring_up(now)
        next = registry.next_check(ptr(atlas))
        wait: u64 = NEVER_TIMES_OUT
        if next != NEVER:
            wait = max(next, now + 1) - now
        if dying:
            _ = calls.reply(ptr(message))
            calls.exit(1)
        message.option |= calls.accept_option(SPARE)
        error = calls.reply_receive(SELF, ptr(message), wait)
        now = calls.clock()
        if error == Error.NONE:
            received(ptr(message), now)
        else:
            message.capability = 0
            message.option = 0
