"""The registry of S-ATLAS: rows of services, their health, and when who is started again.

Pure state. Nothing here sends a message or reads a clock: the service around it passes in messages' badges and the time
(ticks), and does what `check` asks for. Who a caller is says the badge of his endpoint capability, never a word of his
message: a declared name is registered by its own badge or not at all.

    STOPPED --start--> STARTING --register--> RUNNING --drain--> RUNNING, DRAINING
       ^                  |  ^                   |
       |               failure |              failure (ended, or unhealthy)
       +--Never, clean end--+--+--- DOWN <-------+      DOWN waits for its time, then STARTING

Numbers are the published ones: heartbeats each second, unhealthy after three missed, at most five restarts a minute,
the first a second after the failure. Each further one in the same minute waits twice as long; past the fifth a service
waits until the minute that holds five is over.
"""

from enum import IntEnum

from kernel.abi import TICKS_PER_SECOND
from kernel.lang import *
from kernel.services.names import Name, is_name, same_name

HEARTBEAT = TICKS_PER_SECOND
UNHEALTHY_AFTER = 3 * HEARTBEAT
START_PATIENCE = 5 * TICKS_PER_SECOND
RESTART_DELAY = TICKS_PER_SECOND
RESTART_WINDOW = 60 * TICKS_PER_SECOND
MAX_RESTARTS = 5
NEVER = 2**64 - 1

MAX_SERVICES = 32
MAX_PROVIDED = 4
MAX_EVENTS = 64


@enum(8)
class AtlasError(IntEnum):
    """Why S-ATLAS did not do what was asked."""

    NONE = 0
    SERVICE_EXISTS = 1
    SERVICE_NOT_FOUND = 2
    REGISTRY_FULL = 3
    INVALID_CAPABILITY = 4
    PERMISSION_DENIED = 5
    SERVICE_UNHEALTHY = 6
    RESTART_LIMIT_EXCEEDED = 7
    BAD_NAME = 8
    NOT_RUNNING = 9
    STANDS_ON_IT = 10


@enum(8)
class Status(IntEnum):
    """Health of a running service."""

    HEALTHY = 0
    DEGRADED = 1
    UNHEALTHY = 2
    DRAINING = 3


@enum(8)
class Policy(IntEnum):
    """When a service that ended is started again."""

    NEVER = 0
    ON_FAILURE = 1
    ALWAYS = 2


@enum(8)
class EventType(IntEnum):
    """What the event log records."""

    REGISTERED = 0
    HEALTHY = 1
    DEGRADED = 2
    UNHEALTHY = 3
    RESTARTING = 4
    RESTARTED = 5
    RESTART_FAILED = 6
    UNREGISTERED = 7
    DRAINING = 8


@enum(8)
class State(IntEnum):
    """Where a row is in its life."""

    FREE = 0
    STOPPED = 1
    STARTING = 2
    RUNNING = 3
    DOWN = 4


@struct
class Service:
    """A row: a service that was declared or has registered."""

    name: Name
    provided: Array[Name, MAX_PROVIDED]
    badge: u64
    id: u64  # of this registration; 0: not registered
    since: u64  # when it came into its state
    last_heartbeat: u64
    restart_at: u64
    restarts: u64  # since it was declared
    restart_times: Array[u64, MAX_RESTARTS]  # of the last ones, a ring indexed by `restarts`
    provided_count: u32
    state: State
    status: Status
    policy: Policy
    declared: bool
    program: bool  # it was started and nobody has said that it ended


@struct
class Event:
    """A row of the log."""

    time: u64
    name: Name
    id: u64
    what: EventType


@struct
class Atlas:
    """The whole registry."""

    services: Array[Service, MAX_SERVICES]
    events: Array[Event, MAX_EVENTS]  # a ring indexed by event_count
    event_count: u64
    next_id: u64


@fn
def record(atlas: Ptr[Atlas], service: Ptr[Service], kind: EventType, now: u64) -> None:
    """Appends to the log; the oldest row goes."""
    event = ptr(atlas.events[atlas.event_count % MAX_EVENTS])
    event.time = now
    event.id = service.id
    event.what = kind
    copy(event.name, service.name)
    atlas.event_count += 1


@fn
def find_name(atlas: Ptr[Atlas], name: Ptr[Name]) -> Ptr[Service] | None:
    """The row with this name, whatever its state."""
    for service in atlas.services:
        if service.state != State.FREE and same_name(ptr(service.name), name):
            return service
    return None


@fn
def find_badge(atlas: Ptr[Atlas], badge: u64) -> Ptr[Service] | None:
    """The row of the program that holds this badge."""
    for service in atlas.services:
        if service.state != State.FREE and service.badge == badge:
            return service
    return None


@fn
def take_row(atlas: Ptr[Atlas], name: Ptr[Name], badge: u64, now: u64) -> Ptr[Service] | None:
    """A new row, STOPPED; None when there is no room."""
    for service in atlas.services:
        if service.state == State.FREE:
            copy(service.name, name)
            service.badge = badge
            service.id = 0
            service.since = now
            service.last_heartbeat = 0
            service.restart_at = 0
            service.restarts = 0
            service.provided_count = 0
            service.state = State.STOPPED
            service.status = Status.HEALTHY
            service.policy = Policy.NEVER
            service.declared = False
            service.program = False
            return service
    return None


@fn
def declare(atlas: Ptr[Atlas], name: Ptr[Name], badge: u64, policy: Policy, now: u64) -> AtlasError:
    """A service of the system description: it may be started, and only `badge` may register as `name`."""
    if not is_name(name):
        return AtlasError.BAD_NAME
    if find_name(atlas, name) is not None or find_badge(atlas, badge) is not None:
        return AtlasError.SERVICE_EXISTS
    row = take_row(atlas, name, badge, now)
    if row is None:
        return AtlasError.REGISTRY_FULL
    some(row).policy = policy
    some(row).declared = True
    return AtlasError.NONE


@fn
def register(atlas: Ptr[Atlas], badge: u64, name: Ptr[Name], now: u64) -> AtlasError:
    """The program with `badge` says that it serves as `name`."""
    if not is_name(name):
        return AtlasError.BAD_NAME
    row = find_badge(atlas, badge)
    if row is None:
        if find_name(atlas, name) is not None:
            return AtlasError.SERVICE_EXISTS
        row = take_row(atlas, name, badge, now)
        if row is None:
            return AtlasError.REGISTRY_FULL
    service = some(row)
    if not same_name(ptr(service.name), name):
        return AtlasError.PERMISSION_DENIED
    if service.state == State.RUNNING:
        return AtlasError.SERVICE_EXISTS
    restarted = service.state == State.STARTING and service.restarts > 0
    atlas.next_id += 1
    service.id = atlas.next_id
    service.state = State.RUNNING
    service.status = Status.HEALTHY
    service.since = now
    service.last_heartbeat = now
    service.provided_count = 0
    record(atlas, service, EventType.REGISTERED, now)
    if restarted:
        record(atlas, service, EventType.RESTARTED, now)
    return AtlasError.NONE


@fn
def provide(atlas: Ptr[Atlas], badge: u64, capability: Ptr[Name]) -> AtlasError:
    """A running service adds to what it can be found by."""
    if not is_name(capability):
        return AtlasError.BAD_NAME
    row = find_badge(atlas, badge)
    if row is None or some(row).state != State.RUNNING:
        return AtlasError.SERVICE_NOT_FOUND
    service = some(row)
    if service.provided_count == MAX_PROVIDED:
        return AtlasError.REGISTRY_FULL
    copy(service.provided[service.provided_count], capability)
    service.provided_count += 1
    return AtlasError.NONE


@fn
def heartbeat(atlas: Ptr[Atlas], badge: u64, now: u64) -> AtlasError:
    """A service says that it is alive."""
    row = find_badge(atlas, badge)
    if row is None or some(row).state != State.RUNNING:
        return AtlasError.SERVICE_NOT_FOUND
    service = some(row)
    service.last_heartbeat = now
    if service.status == Status.DEGRADED or service.status == Status.UNHEALTHY:
        service.status = Status.HEALTHY
        record(atlas, service, EventType.HEALTHY, now)
    return AtlasError.NONE


@fn
def drain(atlas: Ptr[Atlas], badge: u64, now: u64) -> AtlasError:
    """A service takes no new clients any more; it is not found from here on."""
    row = find_badge(atlas, badge)
    if row is None or some(row).state != State.RUNNING:
        return AtlasError.SERVICE_NOT_FOUND
    some(row).status = Status.DRAINING
    record(atlas, some(row), EventType.DRAINING, now)
    return AtlasError.NONE


@fn
def leave(atlas: Ptr[Atlas], service: Ptr[Service], now: u64) -> None:
    """A row's registration ends; a row that nobody declared goes with it."""
    if service.id != 0:
        record(atlas, service, EventType.UNREGISTERED, now)
    service.id = 0
    service.provided_count = 0
    service.since = now
    service.state = State.STOPPED if service.declared else State.FREE


@fn
def unregister(atlas: Ptr[Atlas], badge: u64, now: u64) -> AtlasError:
    """A service says that it serves no more. It is not restarted: it asked. What else it does is its own affair."""
    row = find_badge(atlas, badge)
    if row is None or some(row).state != State.RUNNING:
        return AtlasError.SERVICE_NOT_FOUND
    some(row).program = False
    leave(atlas, some(row), now)
    return AtlasError.NONE


@fn
def recent_restarts(service: Ptr[Service], now: u64) -> u64:
    """How many restarts lie less than a window back: 0..MAX_RESTARTS."""
    count: u64 = 0
    for i in range(MAX_RESTARTS):
        if u64(i) < service.restarts and service.restart_times[i] + RESTART_WINDOW > now:
            count += 1
    return count


@fn
def failed(atlas: Ptr[Atlas], service: Ptr[Service], now: u64) -> None:
    """A service is gone that its policy brings back: sets when."""
    recent = recent_restarts(service, now)
    if service.state == State.STARTING or recent == MAX_RESTARTS:
        record(atlas, service, EventType.RESTART_FAILED, now)
    service.id = 0
    service.provided_count = 0
    service.state = State.DOWN
    service.since = now
    service.restart_at = now + (u64(RESTART_DELAY) << recent)
    if recent == MAX_RESTARTS:
        # The slot that the next restart overwrites is the oldest.
        oldest = service.restart_times[service.restarts % MAX_RESTARTS]
        service.restart_at = max(oldest + RESTART_WINDOW, now + RESTART_DELAY)


@fn
def ended(atlas: Ptr[Atlas], badge: u64, clean: bool, now: u64) -> AtlasError:
    """The program with `badge` is gone: it ended by itself (clean), or it faulted or was killed."""
    row = find_badge(atlas, badge)
    if row is None:
        return AtlasError.SERVICE_NOT_FOUND
    if some(row).state != State.RUNNING and some(row).state != State.STARTING:
        return AtlasError.NOT_RUNNING
    service = some(row)
    service.program = False
    if service.policy == Policy.NEVER or (clean and service.policy == Policy.ON_FAILURE):
        leave(atlas, service, now)
    else:
        failed(atlas, service, now)
    return AtlasError.NONE


@fn
def stop(atlas: Ptr[Atlas], name: Ptr[Name], now: u64) -> AtlasError:
    """Somebody with the right to it wants the service down. The caller ends the program."""
    row = find_name(atlas, name)
    if row is None:
        return AtlasError.SERVICE_NOT_FOUND
    if some(row).state == State.STOPPED:
        return AtlasError.NOT_RUNNING
    some(row).program = False
    leave(atlas, some(row), now)
    return AtlasError.NONE


@fn
def start(atlas: Ptr[Atlas], name: Ptr[Name], now: u64) -> AtlasError:
    """Somebody with the right to it wants the service up, now. The caller starts the program."""
    row = find_name(atlas, name)
    if row is None or not some(row).declared:
        return AtlasError.SERVICE_NOT_FOUND
    service = some(row)
    if service.state == State.RUNNING or service.state == State.STARTING:
        return AtlasError.SERVICE_EXISTS
    service.state = State.STARTING
    service.program = True
    service.since = now
    return AtlasError.NONE


@fn
def can_serve(service: Ptr[Service]) -> bool:
    """Whether new clients are sent to it."""
    return service.state == State.RUNNING and (service.status == Status.HEALTHY or service.status == Status.DEGRADED)


@fn
def discover_capability(atlas: Ptr[Atlas], capability: Ptr[Name], after: u64) -> Ptr[Service] | None:
    """The first service that provides this, among those whose id is above `after`, in order of id."""
    best: Ptr[Service] | None = None
    for service in atlas.services:
        if can_serve(service) and service.id > after and (best is None or service.id < some(best).id):
            for i in bounded(range(service.provided_count), MAX_PROVIDED):
                if same_name(ptr(service.provided[i]), capability):
                    best = service
    return best


@fn
def watch(atlas: Ptr[Atlas], service: Ptr[Service], now: u64) -> None:
    """Health of a running service, by its last heartbeat."""
    silent = now - min(now, service.last_heartbeat)
    if service.status != Status.UNHEALTHY and silent > UNHEALTHY_AFTER:
        service.status = Status.UNHEALTHY
        record(atlas, service, EventType.UNHEALTHY, now)
        if service.policy != Policy.NEVER:
            failed(atlas, service, now)
    elif service.status == Status.HEALTHY and silent > HEARTBEAT + HEARTBEAT // 2:
        service.status = Status.DEGRADED
        record(atlas, service, EventType.DEGRADED, now)


@fn
def check(atlas: Ptr[Atlas], now: u64) -> Ptr[Service] | None:
    """Brings health up to date; gives a service whose time to be started has come, or None.

    The caller ends what is left of the program, starts it again, and calls once more until there is none. Its state is
    STARTING; when starting fails the caller says `ended`.
    """
    for service in atlas.services:
        if service.state == State.RUNNING:
            watch(atlas, service, now)
        elif service.state == State.STARTING and now > service.since + START_PATIENCE:
            if service.policy == Policy.NEVER:
                record(atlas, service, EventType.RESTART_FAILED, now)
                leave(atlas, service, now)
            else:
                failed(atlas, service, now)
    for service in atlas.services:
        if service.state == State.DOWN and now >= service.restart_at:
            service.restart_times[service.restarts % MAX_RESTARTS] = now
            service.restarts += 1
            service.state = State.STARTING
            service.program = True
            service.since = now
            record(atlas, service, EventType.RESTARTING, now)
            return service
    return None


@fn
def hung(atlas: Ptr[Atlas]) -> Ptr[Service] | None:
    """A service that `check` gave up and whose program still lives, each once; None when there is no more.

    The caller ends the program, or it could wake up and register, while it waits to be restarted.
    """
    for service in atlas.services:
        if service.program and (service.state == State.DOWN or service.state == State.STOPPED):
            service.program = False
            return service
    return None


@fn
def next_check(atlas: Ptr[Atlas]) -> u64:
    """When `check` has something to do at the latest; NEVER when nothing is waited for."""
    soonest: u64 = NEVER
    for service in atlas.services:
        match service.state:
            case State.RUNNING:
                patience: u64 = UNHEALTHY_AFTER + 1
                if service.status == Status.HEALTHY:
                    patience = HEARTBEAT + HEARTBEAT // 2 + 1
                if service.status != Status.UNHEALTHY:
                    soonest = min(soonest, service.last_heartbeat + patience)
            case State.STARTING:
                soonest = min(soonest, service.since + START_PATIENCE + 1)
            case State.DOWN:
                soonest = min(soonest, service.restart_at)
            case State.FREE | State.STOPPED:
                pass
    return soonest
