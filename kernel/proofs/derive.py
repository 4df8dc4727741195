"""What makes a capability out of another one: `derive`, and the fast paths that give one on."""

from typing import Any

import z3

from kernel.abi import Error, Kind, Rights
from kernel.core import capabilities, fastpath, fastpath_channels, tree
from kernel.core.objects import CHANNEL_PLACES, Channel, Header
from kernel.lang import u8, u64
from kernel.lang.declare import Function
from kernel.lang.symbolic import Path, Pointer
from kernel.lang.symbolic.memory import element, field
from kernel.proofs.handles import SLOT_BYTES, TABLE, Naming, fast
from kernel.proofs.moments import keeps
from kernel.proofs.proof import Removed, hardware, proof, without_audit
from kernel.proofs.slots import SLOT_POINTER, Clause, Invariant, Slots, in_header
from kernel.proofs.tombs import Whole, header_of, of_header

HEADER: Any = Header
U64: Any = u64
MOVE = 1 << 8  # Option.move
CHANNEL: Any = Channel


def count_references(path: Path) -> None:
    """Precondition: fewer than 2^32 - 1 slots name one object (they would take 256 GiB, all there may be)."""
    before = path.memory.copy()
    references = before.array((HEADER, "references"), HEADER.fields["references"].type)
    path.watch(HEADER, lambda header: path.assume(z3.ULT(z3.Select(references, header), 0xFFFF_FFFE)))


def call_derive(path: Path, kind: type[Invariant] = Invariant) -> tuple[Invariant, Any, Any, Any]:
    """Any live source, any empty destination, any arguments: (invariant, source, destination, the error)."""
    hardware(path)
    count_references(path)
    invariant = kind(path)
    before = invariant.before
    source, slot = path.unknown(SLOT_POINTER, "source"), path.unknown(SLOT_POINTER, "slot")
    rights, badge, expiry = path.unknown(u8, "rights"), path.unknown(u64, "badge"), path.unknown(u64, "expiry")
    s, d = source.address, slot.address
    path.assume(before.get(s, "kind") != int(Kind.EMPTY))
    path.assume(z3.Not(before.live(d)))
    path.assume(z3.Not(z3.Or(in_header(s), in_header(d))))  # no handle names a tomb
    path.assume(before.get(d, "generation") != 0xFFFF_FFFF)  # lookup.empty_slot
    return invariant, s, d, path.call(capabilities.derive, source, slot, rights, badge, expiry)


@proof(
    "derive never adds rights",
    capabilities.derive,
    depends=[
        Removed(capabilities.derive, "rights & ~source.rights != 0"),
        Removed(capabilities.derive, "source.expiry != 0 and (expiry == 0 or expiry > source.expiry)"),
        Removed(capabilities.derive, "badge != 0 and badge != source.badge"),
        Removed(capabilities.derive, "if not derivable(source.kind):"),
        Removed(capabilities.fill, "slot.generation += 1"),
    ],
    reaches=["derived", "refused"],
)
def derive_never_adds_rights(path: Path) -> None:
    """The new capability is to the same object, allows no more, lives no longer, and hangs below its source."""
    invariant, s, d, error = call_derive(path)
    before, after = invariant.before, Slots(path.memory)
    if path.decide(error != int(Error.NONE)):
        path.reach("refused")
        path.prove(before.same_as(path.memory), "a refusal changes no slot")
        return
    path.reach("derived")
    had, has = before.get(s, "badge"), after.get(d, "badge")
    names = ("object", "badge", "expiry", "generation", "kind", "rights", "place", "size")
    path.prove_each([
        ("the new capability allows no more than its source", after.weaker(d, s)),
        ("it was derivable", z3.And(*(before.get(s, "kind") != int(k) for k in (Kind.UNTYPED, Kind.PAGE_TABLE)))),
        ("a badge is set once", z3.Implies(z3.And(is_badged(before, s), had != 0), has == had)),
        ("nothing else than was asked for is given", z3.Implies(path.shown["badge"] != 0, has == path.shown["badge"])),
        ("its handle was never given before", after.get(d, "generation") == before.get(d, "generation") + 1),
        ("it is the first child of its source",
         z3.And(after.get(s, "first") == d, after.get(d, "previous") == s)),
        ("the source is what it was", z3.And([after.get(s, n) == before.get(s, n) for n in names])),
    ])  # fmt: skip
    other = path.unknown(SLOT_POINTER, "any other slot").address
    unchanged = z3.And([after.get(other, n) == before.get(other, n) for n in names])
    path.prove(z3.Implies(other != d, unchanged), "no other slot changes")


@proof(
    "derive keeps the tree, the order of rights in it, and the tombs",
    capabilities.derive,
    depends=[
        Removed(capabilities.derive, "rights & ~source.rights != 0"),
        Removed(tree.insert_child, "old is None"),
        Removed(capabilities.fill, "header.references += 1"),
    ],
    reaches=["derived"],
)
def derive_keeps_the_invariant(path: Path) -> None:
    """The invariant of slots.py and tombs.py holds afterwards, for all slots."""
    invariant, s, d, error = call_derive(path, Whole)
    if path.decide(error != int(Error.NONE)):
        return
    path.reach("derived")
    before = invariant.before
    old, start, end = before.ghosts, before.opens(s), before.after_open(s)
    top = of_header(before, header_of(before, s), "references")
    after = Slots(path.memory, old.but(
        opens=lambda a: z3.If(a == d, (2 * start + end) / 3, old.opens(a)),
        closes=lambda a: z3.If(a == d, (start + 2 * end) / 3, old.closes(a)),
        rank=lambda a: z3.If(a == d, top, old.rank(a)),
    ))  # fmt: skip
    x = invariant.show(after)
    path.prove(keeps(before, after, x), "nothing else becomes usable, and all stay where they are")


GIVING = [Removed(fastpath.named, check) for check in (
    "u64(slot.generation) != handle >> 32", "slot.kind == Kind.EMPTY", "slot.rights & right == 0", "slot.expiry != 0",
)]  # fmt: skip


def through(naming: Naming, handle: Any, kind: Kind, right: int) -> list[Clause]:
    """What the complete path wants of the capability that a call names."""
    slots = naming.slots
    slot = naming.table + TABLE.size + (handle & 0xFFFF_FFFF) * SLOT_BYTES
    named = [(f"what the call names: {clause}", goal) for clause, goal in naming.clauses(handle, slot)]
    return [
        *named,
        (f"its kind is {kind.name}", slots.get(slot, "kind") == int(kind)),
        ("it has the right to be used so", slots.get(slot, "rights") & right == right),
        ("its time is not over, at any time", slots.get(slot, "expiry") == 0),
    ]


def running(path: Path) -> tuple[Pointer, Naming, Any]:
    """See `fast`; the thread runs, so it waits by nothing (docs/kernel.md, "Invariants", 5)."""
    thread, naming, handle = fast(path)
    without_audit(path)
    path.assume(naming.slots.memory.load(field(thread, "waiting_slot")).address == 0)
    return thread, naming, handle


def goes_to(naming: Naming, thread: Pointer, receiver: Pointer, slot: Any) -> list[Clause]:
    """What the complete path wants of who receives, and of the slot of its table that it names."""
    slots, memory = naming.slots, naming.slots.memory
    waiting = memory.load(field(receiver, "waiting_slot")).address
    own = field(receiver, "table")
    table = memory.load(field(own, "object"))
    count = memory.load(field(Pointer(table, TABLE, None, table), "count"))
    accept = z3.LShR(memory.load(field(field(receiver, "frame"), "option")), 32)
    return [
        ("somebody else receives", receiver.address != thread.address),
        ("the receiver waits by a capability in the life it had when it began to wait",
         slots.get(waiting, "generation") == memory.load(field(receiver, "waiting_generation"))),
        ("to an endpoint", slots.get(waiting, "kind") == int(Kind.ENDPOINT)),
        ("without an end", slots.get(waiting, "expiry") == 0),
        ("the receiver has a table", memory.load(field(own, "kind")) == int(Kind.TABLE)),
        ("it takes capabilities", accept != 0),
        ("the new one goes where it wants it", z3.And(
            z3.ULT(accept - 1, z3.ZeroExt(32, count)), slot == table + TABLE.size + (accept - 1) * SLOT_BYTES)),
        ("its slot was empty", slots.get(slot, "kind") == int(Kind.EMPTY)),
    ]  # fmt: skip


def given_by(path: Path, function: Function, kind: Kind) -> None:
    """A fast path gives a capability of its thread on, by one to a `kind` with WRITE: what it has `fill` do is what the
    complete path would, and all that `fill` goes by (changes.py); or it changes nothing."""
    thread, naming, named_by = running(path)
    before, memory = naming.slots, naming.slots.memory
    handle = memory.load(field(field(thread, "frame"), "capability"))
    option = memory.load(field(field(thread, "frame"), "option"))
    given: list[Any] = []
    path.contracts[capabilities.fill] = lambda path, *arguments: given.append(arguments)
    done = path.call(function, thread)
    if not given:
        path.reach("given up")
        path.prove(z3.And(done.address == 0, memory.same_as(path.memory)), "giving up changes nothing")
        return
    path.reach("given")
    slot, parent, what, object, size, rights = given[0]
    d, s = slot.address, parent.address
    gives = z3.If(is_badged(before, s), before.get(s, "badge"), z3.BitVecVal(0, 64))
    call = function is fastpath.call_granting
    path.prove_each([
        *through(naming, named_by, kind, int(Rights.WRITE)),
        *naming.clauses(handle, s),
        ("its holder may give it", before.get(s, "rights") & int(Rights.GRANT) == int(Rights.GRANT)),
        ("it has no end, as the new one has none", before.get(s, "expiry") == 0),
        ("it is derivable", z3.And(*(before.get(s, "kind") != int(k) for k in (Kind.UNTYPED, Kind.PAGE_TABLE)))),
        ("it is not asked to move", option & MOVE == 0),
        ("the new one is to the same", z3.And(
            what == before.get(s, "kind"), object == before.get(s, "object"), size == before.get(s, "size"))),
        ("the new one allows no more", rights & ~before.get(s, "rights") == 0),
        ("the new one has the badge, or is not mapped", Slots(path.memory).get(d, "badge") == gives if call else
         z3.Not(is_badged(before, s))),
        ("its slot is not worn out", before.get(d, "generation") != 0xFFFF_FFFF),
        *(goes_to(naming, thread, done, d) if call else []),
    ])  # fmt: skip


@proof(
    "the fast path of a call with a capability does what the complete one allows, and never adds rights",
    fastpath.call_granting,
    depends=[
        *GIVING,
        Removed(fastpath.named, "index >= u64(table.count)"),
        Removed(fastpath.named, "thread.table.kind != Kind.TABLE"),
        Removed(fastpath.call_granting, "slot.kind != Kind.ENDPOINT"),
        Removed(fastpath.call_granting, "not capabilities.derivable(source.kind)"),
        Removed(fastpath.call_granting, "option.move"),
        Removed(fastpath.call_granting, "accept == 0"),
        Removed(fastpath.call_granting, "target.badge = ipc.source_badge(source)"),
        Removed(fastpath.waiter_of, "waiter.waiting_slot is None"),
        Removed(fastpath.waiter_of, "its.generation != waiter.waiting_generation"),
        Removed(fastpath.waiter_of, "its.kind != kind"),
        Removed(fastpath.waiter_of, "its.expiry != 0"),
        Removed(fastpath.free_slot, "thread.table.kind != Kind.TABLE"),
        Removed(fastpath.free_slot, "index >= u64(table.count)"),
        Removed(fastpath.free_slot, "slot.kind != Kind.EMPTY"),
        Removed(fastpath.free_slot, "slot.generation == 0xFFFF_FFFF"),
    ],
    reaches=["given", "given up"],
)
def fast_call_never_adds_rights(path: Path) -> None:
    """The capability that is sent is the sender's, with GRANT, by an endpoint with WRITE; who receives is another, by a
    capability that it still has; the new one is in an empty slot of its table, allows no more, and has no end."""
    given_by(path, fastpath.call_granting, Kind.ENDPOINT)


@proof(
    "the fast path of a page into a channel does what the complete one allows, and never adds rights",
    fastpath_channels.send,
    depends=[
        *(check for check in GIVING if "EMPTY" not in check.text),
        Removed(fastpath.named, "index >= u64(table.count)"),
        Removed(fastpath.named, "thread.table.kind != Kind.TABLE"),
        Removed(fastpath_channels.send, "slot.kind != Kind.CHANNEL"),
        Removed(fastpath_channels.send, "source.kind != Kind.FRAME"),
        Removed(fastpath_channels.send, "option.move"),
        Removed(fastpath_channels.send, "channel.count >= CHANNEL_PLACES"),
        Removed(fastpath_channels.send, "entry.slot.generation == 0xFFFF_FFFF"),
    ],
    reaches=["given", "given up"],
)
def fast_channel_never_adds_rights(path: Path) -> None:
    """The same of a frame that is shared, by a channel with WRITE that has room; where it goes is empty, as all places
    outside of the ring are. Fewer than 2^64 - 1 were shared so far."""
    before = path.memory.copy()
    shared = before.array((CHANNEL, "shared"), CHANNEL.fields["shared"].type)
    count = before.array((CHANNEL, "count"), CHANNEL.fields["count"].type)
    path.watch(CHANNEL, lambda channel: path.assume(z3.Select(shared, channel) != 0xFFFF_FFFF_FFFF_FFFF))
    given_by(path, fastpath_channels.send, Kind.CHANNEL)
    for channel in path.touched[CHANNEL].values():
        same = path.memory.array((CHANNEL, "count"), CHANNEL.fields["count"].type)
        grew = z3.Select(same, channel) != z3.Select(count, channel)
        path.prove(z3.Implies(grew, z3.ULT(z3.Select(count, channel), CHANNEL_PLACES)), "the channel had room")


@proof(
    "the fast path of a page out of a channel does what the complete one allows",
    fastpath_channels.receive,
    depends=[
        *(check for check in GIVING if "EMPTY" not in check.text),
        Removed(fastpath.named, "index >= u64(table.count)"),
        Removed(fastpath_channels.receive, "some(found).kind != Kind.CHANNEL"),
        Removed(fastpath_channels.receive, "channel.count == 0"),
        Removed(fastpath_channels.receive, "source.kind != Kind.FRAME"),
        Removed(fastpath_channels.receive, "source.badge != 0"),
        Removed(fastpath.free_slot, "index >= u64(table.count)"),
        Removed(fastpath.free_slot, "slot.kind != Kind.EMPTY"),
        Removed(fastpath.free_slot, "slot.generation == 0xFFFF_FFFF"),
    ],
    reaches=["received", "given up"],
)
def fast_channel_receive(path: Path) -> None:
    """By a channel with READ: what `relocate` moves is a frame that is not mapped, so nothing is to be unmapped, and it
    goes into an empty slot of the thread's own table: what `move` does of it (changes.py). The ring's head is in it."""
    thread, naming, named_by = running(path)
    before, memory = naming.slots, naming.slots.memory
    head = memory.copy().array((CHANNEL, "head"), CHANNEL.fields["head"].type)
    path.watch(CHANNEL, lambda channel: path.assume(z3.ULT(z3.Select(head, channel), CHANNEL_PLACES)))
    index = memory.load(element(field(field(thread, "frame"), "words"), U64, z3.BitVecVal(0, 64)))
    moved: list[Any] = []
    path.contracts[capabilities.relocate] = lambda path, *arguments: moved.append(arguments)
    done = path.call(fastpath_channels.receive, thread)
    if not moved:
        path.reach("given up")
        path.prove(z3.And(done.address == 0, memory.same_as(path.memory)), "giving up changes nothing")
        return
    path.reach("received")
    s, d = (pointer.address for pointer in moved[0])
    channel = before.get(naming.table + TABLE.size + (named_by & 0xFFFF_FFFF) * SLOT_BYTES, "object")
    place = Pointer(channel, CHANNEL, None, channel)
    path.prove_each([
        *through(naming, named_by, Kind.CHANNEL, int(Rights.READ)),
        ("something is in the channel", memory.load(field(place, "count")) != 0),
        ("it is a frame", before.get(s, "kind") == int(Kind.FRAME)),
        ("it is not mapped", before.get(s, "badge") == 0),
        ("it goes into the thread's own table", z3.And(
            naming.has_table, z3.ULT(index, z3.ZeroExt(32, naming.count)),
            d == naming.table + TABLE.size + index * SLOT_BYTES)),
        ("its slot was empty", before.get(d, "kind") == int(Kind.EMPTY)),
        ("its slot is not worn out", before.get(d, "generation") != 0xFFFF_FFFF),
        ("one less is in it", path.memory.load(field(place, "count")) == memory.load(field(place, "count")) - 1),
    ])  # fmt: skip


def is_badged(slots: Slots, slot: Any) -> Any:
    """Whether the kind's badge is the holder's to set (capabilities.badged)."""
    kinds = (Kind.ENDPOINT, Kind.NOTIFICATION, Kind.CHANNEL)
    return z3.Or([slots.get(slot, "kind") == int(kind) for kind in kinds])
