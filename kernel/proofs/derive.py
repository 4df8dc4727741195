"""What makes a capability out of another one: `derive`, and the fast paths that give one on."""

from typing import Any

import z3

from kernel.abi import Error, Kind, Rights
from kernel.core import capabilities, fastpath, fastpath_channels, tree
from kernel.core.objects import Channel, Header
from kernel.lang import u8, u64
from kernel.lang.declare import Function
from kernel.lang.symbolic import Path
from kernel.lang.symbolic.memory import field
from kernel.proofs.handles import fast
from kernel.proofs.moments import keeps
from kernel.proofs.proof import Removed, hardware, proof, without_audit
from kernel.proofs.slots import SLOT_POINTER, Invariant, Slots, in_header
from kernel.proofs.tombs import Whole, header_of, of_header

HEADER: Any = Header
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


def given_by(path: Path, function: Function) -> None:
    """A fast path gives a capability of its thread on: what it has `fill` do is allowed, or it changes nothing."""
    thread, naming, _ = fast(path)
    without_audit(path)
    before, memory = naming.slots, naming.slots.memory
    handle = memory.load(field(field(thread, "frame"), "capability"))
    given: list[Any] = []
    path.contracts[capabilities.fill] = lambda path, *arguments: given.append(arguments)
    done = path.call(function, thread)
    if not given:
        path.reach("given up")
        path.prove(z3.And(done.address == 0, memory.same_as(path.memory)), "giving up changes nothing")
        return
    path.reach("given")
    slot, parent, kind, object, size, rights = given[0]
    d, s = slot.address, parent.address
    had = before.get(s, "badge")
    gives = z3.If(is_badged(before, s), had, z3.BitVecVal(0, 64))
    path.prove_each([
        *naming.clauses(handle, s),
        ("its holder may give it", before.get(s, "rights") & int(Rights.GRANT) == int(Rights.GRANT)),
        ("it has no end, as the new one has none", before.get(s, "expiry") == 0),
        ("it is derivable", z3.And(*(before.get(s, "kind") != int(k) for k in (Kind.UNTYPED, Kind.PAGE_TABLE)))),
        ("the new one is to the same", z3.And(
            kind == before.get(s, "kind"), object == before.get(s, "object"), size == before.get(s, "size"))),
        ("the new one allows no more", rights & ~before.get(s, "rights") == 0),
        ("the new one has the badge", z3.Or(z3.Not(is_badged(before, s)), Slots(path.memory).get(d, "badge") == gives)),
        ("its slot is not worn out", before.get(d, "generation") != 0xFFFF_FFFF),
    ])  # fmt: skip


@proof(
    "the fast path of a call with a capability never adds rights",
    fastpath.call_granting,
    depends=[
        *GIVING,
        Removed(fastpath.call_granting, "not capabilities.derivable(source.kind)"),
        Removed(fastpath.call_granting, "target.badge = ipc.source_badge(source)"),
        Removed(fastpath.free_slot, "slot.generation == 0xFFFF_FFFF"),
    ],
    reaches=["given", "given up"],
)
def fast_call_never_adds_rights(path: Path) -> None:
    """The capability that is sent is the sender's, with GRANT; the new one allows no more."""
    given_by(path, fastpath.call_granting)


@proof(
    "the fast path of a page into a channel never adds rights",
    fastpath_channels.send,
    depends=[
        *(check for check in GIVING if "EMPTY" not in check.text),
        Removed(fastpath_channels.send, "source.kind != Kind.FRAME"),
        Removed(fastpath_channels.send, "entry.slot.generation == 0xFFFF_FFFF"),
    ],
    reaches=["given", "given up"],
)
def fast_channel_never_adds_rights(path: Path) -> None:
    """The same of a frame that is shared. Fewer than 2^64 - 1 were shared so far."""
    shared = path.memory.copy().array((CHANNEL, "shared"), CHANNEL.fields["shared"].type)
    path.watch(CHANNEL, lambda channel: path.assume(z3.Select(shared, channel) != 0xFFFF_FFFF_FFFF_FFFF))
    given_by(path, fastpath_channels.send)


def is_badged(slots: Slots, slot: Any) -> Any:
    """Whether the kind's badge is the holder's to set (capabilities.badged)."""
    kinds = (Kind.ENDPOINT, Kind.NOTIFICATION, Kind.CHANNEL)
    return z3.Or([slots.get(slot, "kind") == int(kind) for kind in kinds])
