"""The invariants of docs/kernel.md, looked for in all of the kernel's state. For tests and the fuzzer (kernel/fuzz).

The derivation tree is walked twice. The first time each slot is compared with its children, and each object counts who
names it. The second time each object is looked at once: its slots, its queue, its threads. Whatever was counted in two
ways must come out the same: so nothing is missing from the tree, from a queue or from the heap, and nothing in them is
left over from an object that has ended. A deep walk also compares the objects of each untyped in pairs, and the page
tables with the capabilities that say what is mapped. A quick one goes along the tree, the queues and the heap, and
leaves out where mostly nothing is: the places of tables, of interrupts, of the identifiers of spaces.

This is no part of any other system call, and takes as long as there are slots; whoever asks for it must want that.
"""

from kernel.abi import PAGE, Invariant, Kind, ThreadState
from kernel.core import inheritance, machine, mappings, memory, scheduler, timers
from kernel.core.access import (
    channel_at,
    endpoint_at,
    has_header,
    header_of,
    notification_at,
    slice_at,
    space_at,
    table_at,
    table_slot,
    thread_at,
)
from kernel.core.capabilities import badged
from kernel.core.mappings import LEVELS, Mapping
from kernel.core.objects import (
    CHANNEL_PLACES,
    Channel,
    Endpoint,
    Extent,
    Header,
    Place,
    Queue,
    Slot,
    Space,
    Thread,
    Timer,
)
from kernel.core.state import INTERRUPTS, kernel
from kernel.lang import *

MOST = 1 << 20  # slots, or threads of a queue
LAST_LEVEL = 63


@struct
class Walk:
    """What was found: the first invariant that does not hold and the address where; and what is counted twice."""

    broken: Invariant
    where: usize
    slots: u64  # in the tree, without the origin
    contained: u64  # in tables, threads, channels, interrupts, tombs
    objects: u64
    queued: u64  # threads that name a queue
    members: u64  # threads in queues
    serving: u64  # threads that name an endpoint where they serve
    servers: u64  # threads that endpoints name
    timed: u64
    dying: u64
    spaces: u64
    quick: bool
    linked: u64  # spaces below others in their tree


walk = variable(Walk)


@fn
def hold(condition: bool, invariant: Invariant, where: usize) -> None:
    """Keeps what is broken first."""
    if not condition and walk.broken == Invariant.NONE:
        walk.broken = invariant
        walk.where = where


@fn
def fine() -> bool:
    """Whether nothing is broken so far: behind that no pointer is followed."""
    return walk.broken == Invariant.NONE


@fn
def check(deep: bool) -> Invariant:
    """Walks everything; `walk` has the rest of the result."""
    return run(deep, False)


@fn
def check_quickly() -> Invariant:
    """Walks along what is there, and does not look for what should not be."""
    return run(False, True)


@fn
def run(deep: bool, quick: bool) -> Invariant:
    """A walk."""
    copy(walk, zero(Walk))
    walk.quick = quick
    each_slot(first_visit)
    if deep and fine():
        each_slot(mark_mapping)
    if fine():
        if deep:
            each_slot(visit_deeply)
        else:
            each_slot(visit)
    if fine() and not quick:
        fixed_slots()
        hold(walk.contained == walk.slots, Invariant.TREE, 0)
    if fine():
        ready_queues()
        hold((kernel.timers is None) == (kernel.timer_count == 0), Invariant.TIMER, 0)
        dying_list()
        hold(walk.queued == walk.members, Invariant.QUEUE, 0)
        hold(walk.serving == walk.servers, Invariant.LEVEL, 0)
        hold(walk.timed == kernel.timer_count, Invariant.TIMER, 0)
    return walk.broken


# The tree


Visitor = function_pointer("Visitor", [Ptr[Slot]], None)


@fn
def each_slot(visitor: Visitor) -> None:
    """Every slot of the tree, the origin first, parents before children."""
    here: Ptr[Slot] | None = ptr(kernel.origin)
    while bounded(here is not None and fine(), MOST):
        slot = some(here)
        visitor(slot)
        here = slot.first
        if here is None:
            here = after(slot)


@fn
def after(slot: Ptr[Slot]) -> Ptr[Slot] | None:
    """The next slot that is not below this one."""
    here = slot
    for _ in range(MOST):
        if here.next is None:
            return None
        next = some(here.next)
        if next.last != here:
            return next
        here = next
    return None


@fn
def first_visit(slot: Ptr[Slot]) -> None:
    """Compares a slot with its children, whose links with it and one another must agree; counts."""
    where = address_of(slot)
    hold(slot.kind != Kind.EMPTY or slot.place == Place.ORIGIN, Invariant.PLACE, where)
    hold((slot.first is None) == (slot.last is None), Invariant.TREE, where)
    before = slot
    next = slot.first
    while bounded(next is not None and fine(), MOST):
        child = some(next)
        hold(child.previous == before and child.next is not None, Invariant.TREE, address_of(child))
        walk.slots += 1
        if fine():
            compare(slot, child)
            before = child
            next = child.next
            if slot.last == child:
                hold(next == slot, Invariant.TREE, address_of(child))
                next = None
            else:
                hold(next != slot, Invariant.TREE, address_of(child))
    if fine() and has_header(slot.kind):
        header = header_of(slot)
        header.counted = header.counted + 1
        hold(header.kind == slot.kind, Invariant.KIND, where)


@fn
def compare(parent: Ptr[Slot], child: Ptr[Slot]) -> None:
    """What shrinks on the way from a capability to one derived from it, or made of it."""
    where = address_of(child)
    hold(child.rights & ~parent.rights == 0, Invariant.RIGHTS, where)
    if parent.expiry != 0:
        hold(child.expiry != 0 and child.expiry <= parent.expiry, Invariant.RIGHTS, where)
    if parent.place == Place.ORIGIN:
        if child.place == Place.THREAD_TABLE:  # the boot thread's, which nobody has a capability to
            contains(child, Place.THREAD_TABLE)
        return
    if parent.kind == Kind.UNTYPED:
        extent = Extent(parent.badge)
        hold(start_of(child) >= parent.object, Invariant.EXTENT, where)
        end = parent.object + memory.usize_of(extent.used)
        hold(bytes_of(child) != 0 and start_of(child) + bytes_of(child) <= end, Invariant.EXTENT, where)
        hold(extent.used <= extent.cleaned, Invariant.EXTENT, address_of(parent))
        hold(memory.usize_of(extent.cleaned) <= bytes_of(parent), Invariant.EXTENT, address_of(parent))
    else:
        hold(child.kind == parent.kind and child.object == parent.object, Invariant.RIGHTS, where)
        if badged(parent.kind) and parent.badge != 0:
            hold(child.badge == parent.badge, Invariant.RIGHTS, where)


@fn
def bytes_of(slot: Ptr[Slot]) -> usize:
    """What the thing that a slot names takes in memory."""
    return memory.usize_of(memory.object_lines(slot.kind, slot.size))


@fn
def start_of(slot: Ptr[Slot]) -> usize:
    """Its first byte; a space's root table is in front of it."""
    return slot.object - PAGE if slot.kind == Kind.SPACE else slot.object


@fn
def contains(slot: Ptr[Slot], place: Place) -> None:
    """A slot of a container: what it is, and that its neighbours in the tree know it."""
    where = address_of(slot)
    hold(slot.place == place, Invariant.PLACE, where)
    if slot.kind == Kind.EMPTY:
        hold(slot.first is None and slot.next is None and slot.previous is None, Invariant.PLACE, where)
        return
    walk.contained += 1
    if slot.previous is None or slot.next is None:
        hold(False, Invariant.TREE, where)
        return
    before = some(slot.previous)
    next = some(slot.next)
    hold(before.first == slot or before.next == slot, Invariant.TREE, where)
    hold(next.last == slot or next.previous == slot, Invariant.TREE, where)


# Objects


@fn
def visit(slot: Ptr[Slot]) -> None:
    """The object of a slot, once: by whichever slot comes first."""
    if not has_header(slot.kind):
        return
    header = header_of(slot)
    if header.counted == 0:
        return
    named = u64(header.counted)
    header.counted = 0
    walk.objects += 1
    if header.dying:
        walk.dying += 1
        hold(header.references == 0 and named == 1 and slot == ptr(header.tomb), Invariant.DYING, address_of(header))
        contains(ptr(header.tomb), Place.TOMB)
    else:
        hold(header.tomb.kind == Kind.EMPTY, Invariant.DYING, address_of(header))
        hold(u64(header.references) == named, Invariant.REFERENCES, address_of(header))
    look(slot.kind, slot.object, header.dying)


@fn
def look(kind: Kind, object: usize, dying: bool) -> None:
    """An object by its kind."""
    match kind:
        case Kind.TABLE:
            table = table_at(object)
            count: u64 = 0 if walk.quick else u64(table.count)
            for i in bounded(range(count), 1 << 12):
                slot = table_slot(table, i)
                if slot.kind != Kind.EMPTY or slot.next is not None or slot.place != Place.TABLE:  # most are empty
                    contains(slot, Place.TABLE)
            hold(dying or table.swept == 0, Invariant.DYING, object)
        case Kind.THREAD:
            look_at_thread(thread_at(object))
        case Kind.ENDPOINT:
            endpoint = endpoint_at(object)
            state = ThreadState.RECEIVING if endpoint.receivers else ThreadState.SENDING
            look_at_queue(ptr(endpoint.queue), state)
            look_at_servers(endpoint)
        case Kind.NOTIFICATION:
            notification = notification_at(object)
            look_at_queue(ptr(notification.queue), ThreadState.WAITING)
            hold(notification.queue.head is None or notification.bits == 0 or dying, Invariant.QUEUE, object)
        case Kind.CHANNEL:
            look_at_channel(channel_at(object), dying)
        case Kind.SPACE:
            space = space_at(object)
            walk.spaces += 1
            for side in range(2):
                if space.children[side] is not None:
                    walk.linked += 1
            found = mappings.space_of(Mapping(page=0, space=space.number))
            hold(found is not None and some(found) == space, Invariant.SPACE, object)
            hold(space.root == object - PAGE, Invariant.SPACE, object)
        case Kind.SLICE:
            slice = slice_at(object)
            hold(slice.level <= LAST_LEVEL and slice.quantum != 0, Invariant.KIND, object)
        case _:
            hold(False, Invariant.KIND, object)


@fn
def look_at_channel(channel: Ptr[Channel], dying: bool) -> None:
    """Its places; one in use may be empty: what was on its way was revoked."""
    hold(channel.count <= CHANNEL_PLACES and channel.head < CHANNEL_PLACES, Invariant.CHANNEL, address_of(channel))
    for i in range(CHANNEL_PLACES):
        slot = ptr(channel.entries[i].slot)
        contains(slot, Place.CHANNEL)
        used = (u64(i) + CHANNEL_PLACES - u64(channel.head) % CHANNEL_PLACES) % CHANNEL_PLACES < u64(channel.count)
        hold(used or slot.kind == Kind.EMPTY or dying, Invariant.CHANNEL, address_of(slot))


@fn
def look_at_queue(queue: Ptr[Queue], state: ThreadState) -> None:
    """Its threads, in order; a fault's news wait among senders."""
    before: Ptr[Thread] | None = None
    here = queue.head
    while bounded(here is not None and fine(), MOST):
        thread = some(here)
        where = address_of(thread)
        hold(thread.header.kind == Kind.THREAD, Invariant.QUEUE, where)
        hold(thread.queue == queue and thread.queue_previous == before, Invariant.QUEUE, where)
        news = state == ThreadState.SENDING and thread.state == ThreadState.FAULTED
        hold(thread.state == state or news, Invariant.STATE, where)
        walk.members += 1
        before = here
        here = thread.queue_next
    if fine():
        hold(queue.tail == before, Invariant.QUEUE, address_of(queue))
        hold(queue.cursor is None or some(queue.cursor).queue == queue, Invariant.QUEUE, address_of(queue))
        hold(queue.listed or (queue.cursor is None and not queue.again), Invariant.QUEUE, address_of(queue))


@fn
def look_at_servers(endpoint: Ptr[Endpoint]) -> None:
    """The senders that it counts are those in its queue; who serves there knows."""
    where = address_of(endpoint)
    counts = zero(Array[u32, LAST_LEVEL + 1])
    here = endpoint.queue.head
    while bounded(here is not None and fine(), MOST):
        thread = some(here)
        if thread.state == ThreadState.SENDING:
            counts[thread.level & LAST_LEVEL] += 1
        here = thread.queue_next
    lent: u8 = 0
    for i in range(LAST_LEVEL + 1):
        any = counts[i] != 0
        hold(endpoint.senders[i] == counts[i] and (endpoint.urgent >> i & 1 != 0) == any, Invariant.LEVEL, where)
        if any:
            lent = trunc(i, u8)
    hold(endpoint.lent == lent, Invariant.LEVEL, where)
    before: Ptr[Thread] | None = None
    here = endpoint.servers
    while bounded(here is not None and fine(), MOST):
        thread = some(here)
        hold(thread.serving == endpoint and thread.serving_previous == before, Invariant.LEVEL, where)
        walk.servers += 1
        before = here
        here = thread.serving_next
    hold(endpoint.looked or (endpoint.cursor is None and not endpoint.again), Invariant.LEVEL, where)


@fn
def look_at_thread(thread: Ptr[Thread]) -> None:
    """Its slots, and every tie that it has."""
    where = address_of(thread)
    contains(ptr(thread.table), Place.THREAD_TABLE)
    contains(ptr(thread.space), Place.THREAD_SPACE)
    contains(ptr(thread.fault), Place.THREAD_FAULT)
    contains(ptr(thread.slice), Place.THREAD_SLICE)
    queued = thread.queue is not None
    if queued:
        walk.queued += 1
    timed = thread.timed
    if timed:
        look_at_timer(ptr(thread.wait), thread)
    if thread.limited:
        look_at_timer(ptr(thread.service), thread)
    waits = thread.waiting_slot is not None
    lives = scheduler.runnable(thread)
    state = thread.state
    match state:
        case ThreadState.STOPPED:
            hold(not queued and not timed and not waits, Invariant.STATE, where)
        case ThreadState.FAULTED:
            hold(not timed and (waits or not queued), Invariant.STATE, where)
        case ThreadState.READY:
            hold(queued == (kernel.current != thread), Invariant.STATE, where)
            hold(not queued or thread.queue == ptr(kernel.queues[thread.level & LAST_LEVEL]), Invariant.STATE, where)
            hold(not timed and not waits and lives, Invariant.STATE, where)
        case ThreadState.SENDING | ThreadState.RECEIVING | ThreadState.WAITING:
            hold(queued and waits and lives, Invariant.STATE, where)
        case ThreadState.CALLING:
            hold(not queued and not waits and lives, Invariant.STATE, where)
        case ThreadState.SLEEPING:
            hold(not queued and timed and not waits and lives, Invariant.STATE, where)
    hold((state == ThreadState.CALLING) == (thread.server is not None), Invariant.REPLY, where)
    if thread.server is not None:
        hold(some(thread.server).caller == thread, Invariant.REPLY, where)
    if thread.caller is not None:
        caller = some(thread.caller)
        hold(caller.server == thread and caller.state == ThreadState.CALLING, Invariant.REPLY, where)
        hold(state != ThreadState.STOPPED and state != ThreadState.FAULTED, Invariant.REPLY, where)
    if thread.serving is not None:
        walk.serving += 1
        hold(thread.serving_slot is not None, Invariant.LEVEL, where)
        endless = some(thread.serving_slot).expiry == 0
        hold(thread.limited or endless or inheritance.pending(), Invariant.TIMER, where)
        hold(state != ThreadState.STOPPED and state != ThreadState.FAULTED, Invariant.LEVEL, where)
    hold(thread.base_level <= thread.level and thread.level <= LAST_LEVEL, Invariant.LEVEL, where)
    hold(thread.level == inheritance.due(thread) or inheritance.pending(), Invariant.LEVEL, where)
    if thread.space.kind == Kind.SPACE:
        hold(thread.translation == space_at(thread.space.object).translation, Invariant.SPACE, where)


@fn
def is_on(timer: Ptr[Timer]) -> bool:
    """Whether the thread that it lies in has this limit."""
    thread = timers.owner(timer)
    return thread.limited if timers.of_service(timer) else thread.timed


@fn
def look_at_timer(timer: Ptr[Timer], thread: Ptr[Thread]) -> None:
    """Its place in the heap: below one that ends no later, above others that know it."""
    walk.timed += 1
    where = address_of(thread)
    hold(timers.owner(timer) == thread, Invariant.TIMER, where)
    if timer.above is None:
        hold(kernel.timers == timer, Invariant.TIMER, where)
    else:
        above = some(timer.above)
        named = above.below[0] == timer or above.below[1] == timer
        hold(is_on(above) and named and timers.before(above, timer), Invariant.TIMER, where)
    for side in range(2):
        if timer.below[side] is not None:
            below = some(timer.below[side])
            hold(is_on(below) and below.above == timer, Invariant.TIMER, where)


# What is not in an object


@fn
def fixed_slots() -> None:
    """The kernel's own: who is told of interrupts; and how many spaces there are."""
    for i in range(INTERRUPTS):
        binding = ptr(kernel.interrupts[i].binding)
        contains(binding, Place.INTERRUPT)
        hold(binding.kind == Kind.EMPTY or binding.kind == Kind.NOTIFICATION, Invariant.PLACE, address_of(binding))
    roots: u64 = 1 if kernel.spaces is not None else 0
    hold(kernel.spaces_count == walk.spaces and walk.linked + roots == walk.spaces, Invariant.SPACE, 0)


@fn
def ready_queues() -> None:
    """One a level, and a bit for each that is not empty."""
    for level in range(LAST_LEVEL + 1):
        queue = ptr(kernel.queues[level])
        hold((queue.head is not None) == (kernel.ready >> u64(level) & 1 != 0), Invariant.QUEUE, address_of(queue))
        look_at_queue(queue, ThreadState.READY)


@fn
def dying_list() -> None:
    """Whoever is dying, and nobody else."""
    count: u64 = 0
    last: Ptr[Header] | None = None
    here = kernel.dying
    while bounded(here is not None and fine(), MOST):
        header = some(here)
        hold(header.dying, Invariant.DYING, address_of(header))
        count += 1
        last = here
        here = header.next_dying
    if fine():
        hold(kernel.dying_last == last and count == walk.dying, Invariant.DYING, 0)


# The deep walk


@fn
def mark_mapping(slot: Ptr[Slot]) -> None:
    """Marks the entries that a capability says are its own."""
    if slot.kind != Kind.FRAME and slot.kind != Kind.DEVICE and slot.kind != Kind.DMA and slot.kind != Kind.PAGE_TABLE:
        return
    if slot.badge == 0:
        return
    mapping = Mapping(slot.badge)
    space = mappings.space_of(mapping)
    if space is None:
        return
    physical = machine.physical(slot.object)
    if slot.kind == Kind.PAGE_TABLE:
        table = mappings.entry_at(some(space), u64(mapping.page), slot.size)
        if table is not None:
            mark(some(table), physical, 0)
        return
    for i in bounded(range(mappings.pages_of(slot)), mappings.ENTRIES):
        page = mappings.entry_at(some(space), u64(mapping.page) + i, 0)
        if page is not None:
            mark(some(page), physical + i * PAGE, slot.rights)


@fn
def mark(entry: Ptr[u64], physical: u64, rights: u8) -> None:
    """Marks an entry if it leads there; it must not allow more than the capability. Tables: rights 0."""
    value = entry.value
    if not machine.is_present(value) or machine.entry_physical(value) != physical:
        return
    if machine.is_table(value) != (rights == 0):
        return
    if rights != 0:
        hold(machine.entry_rights(value) & ~rights == 0, Invariant.PAGE, address_of(entry))
    entry.value = value | machine.MARK


@fn
def visit_deeply(slot: Ptr[Slot]) -> None:
    """`visit`, then the pages of a space, or the pairs of an untyped."""
    if slot.kind == Kind.UNTYPED:
        apart(slot)
    pages = False
    if slot.kind == Kind.SPACE:
        pages = header_of(slot).counted != 0
    visit(slot)
    if pages and fine():
        look_at_pages(space_at(slot.object))


@fn
def apart(untyped: Ptr[Slot]) -> None:
    """The objects of an untyped are apart; what lies at one place is one thing."""
    a = untyped.first
    while bounded(a is not None and fine(), MOST):
        one = some(a)
        a = one.next
        if untyped.last == one:
            a = None
        b = a
        while bounded(b is not None, MOST):
            other = some(b)
            b = other.next
            if untyped.last == other:
                b = None
            if start_of(one) < start_of(other) + bytes_of(other) and start_of(other) < start_of(one) + bytes_of(one):
                same = one.kind == other.kind and one.object == other.object
                hold(same, Invariant.OVERLAP, address_of(one))


@fn
def look_at_pages(space: Ptr[Space]) -> None:
    """The user's half of a space's tables, level by level: each entry is marked, each page is the user's and is not
    both writable and executable. Takes the marks away."""
    tables = zero(Array[usize, LEVELS])
    index = zero(Array[u64, LEVELS])
    tables[0] = space.root
    top = (u64(machine.USER_END) - 1 >> 3 + 9 * LEVELS) + 1
    depth: usize = 0
    while bounded(fine(), MOST):
        if index[depth] == (top if depth == 0 else mappings.ENTRIES):
            if depth == 0:
                return
            depth -= 1
        else:
            entry = machine.word_at(tables[depth] + exact(index[depth], usize) * 8)
            index[depth] += 1
            value = entry.value
            if machine.is_present(value):
                where = address_of(entry)
                hold(value & machine.MARK != 0, Invariant.PAGE, where)
                entry.value = value & ~u64(machine.MARK)
                if machine.is_table(value):
                    hold(depth + 1 < LEVELS, Invariant.PAGE, where)
                    if fine():
                        depth += 1
                        tables[depth] = machine.virtual(machine.entry_physical(value))
                        index[depth] = 0
                else:
                    rights = machine.entry_rights(value)
                    hold(depth + 1 == LEVELS and rights != 0 and rights & 6 != 6, Invariant.PAGE, where)
