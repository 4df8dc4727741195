"""`derive`, the only function that makes a capability out of another one."""

import z3

from kernel.abi import Error, Kind
from kernel.core import capabilities
from kernel.lang import u8, u64
from kernel.lang.symbolic import Path
from kernel.proofs.proof import Removed, hardware, proof
from kernel.proofs.slots import SLOT_POINTER, Invariant, Slots
from kernel.core.objects import Header
from typing import Any

HEADER: Any = Header


def count_references(path: Path) -> None:
    """Precondition: fewer than 2^32 - 1 slots name one object (they would take 256 GiB, all there may be)."""
    before = path.memory.copy()
    references = before.array((HEADER, "references"), HEADER.fields["references"].type)
    path.watch(HEADER, lambda header: path.assume(z3.ULT(z3.Select(references, header), 0xFFFF_FFFE)))


@proof(
    "derive never adds rights, and keeps the tree",
    capabilities.derive,
    depends=[
        Removed(capabilities.derive, "rights & ~source.rights != 0"),
        Removed(capabilities.derive, "source.expiry != 0 and (expiry == 0 or expiry > source.expiry)"),
        Removed(capabilities.derive, "badge != 0 and badge != source.badge"),
        Removed(capabilities.derive, "not derivable(source.kind)"),
    ],
)
def derive_never_adds_rights(path: Path) -> None:
    """For every live source, empty destination, and arguments whatever they are."""
    hardware(path)
    count_references(path)
    invariant = Invariant(path)
    before = invariant.before
    source, slot = path.unknown(SLOT_POINTER, "source"), path.unknown(SLOT_POINTER, "slot")
    rights, badge, expiry = path.unknown(u8, "rights"), path.unknown(u64, "badge"), path.unknown(u64, "expiry")
    invariant.add(source.address)
    invariant.add(slot.address)
    s, d = source.address, slot.address
    path.assume(before.get(s, "kind") != int(Kind.EMPTY))
    path.assume(z3.Not(before.live(d)))
    path.assume(z3.Not(z3.Or(before.is_tomb(s), before.is_tomb(d))))  # no handle names one: see objects.Place
    path.assume(before.get(d, "generation") != 0xFFFF_FFFF)
    error = path.call(capabilities.derive, source, slot, rights, badge, expiry)
    if path.decide(error == int(Error.NONE)):
        path.reach("derived")
        start, end = before.opens(s), before.after_open(s)
        after = Slots(
            path.memory,
            lambda a: z3.If(a == d, (2 * start + end) / 3, before.opens(a)),
            lambda a: z3.If(a == d, (start + 2 * end) / 3, before.closes(a)),
        )
        path.prove_all([
            ("the new capability allows no more than its source", after.weaker(d, s)),
            ("it was derivable", z3.And(*(before.get(s, "kind") != int(k) for k in (Kind.UNTYPED, Kind.PAGE_TABLE)))),
            ("a badge is set once", z3.Or(before.get(s, "badge") == 0, after.get(d, "badge") == before.get(s, "badge"),
                                          z3.Not(is_badged(before, s)))),
            ("the new one descends from its source", after.inside(d, s)),
            ("its handle was never given before", after.get(d, "generation") == before.get(d, "generation") + 1),
            ("the source is what it was", z3.And([
                after.get(s, name) == before.get(s, name)
                for name in ("object", "badge", "expiry", "generation", "kind", "rights", "place", "size")])),
        ])  # fmt: skip
        invariant.show(after)
    else:
        path.reach("refused")
        path.prove(before.same_as(path.memory), "a refusal changes no slot")


def is_badged(slots: Slots, slot: Any) -> Any:
    """Whether the kind's badge is the holder's to set (capabilities.badged)."""
    kinds = (Kind.ENDPOINT, Kind.NOTIFICATION, Kind.CHANNEL)
    return z3.Or([slots.get(slot, "kind") == int(kind) for kind in kinds])
