"""Several moments of one path, and what operations do to slots between them.

A proof about a function that calls an operation on the tree goes by what the operation was shown to do (changes.py):
its contract forgets all that it may write, assumes the invariant of the moment after, and for every slot that a later
goal is about, the relation between the two.

`keeps` holds of every slot over any operations: a capability that is still in the life it was in was usable before,
and its place in the tree is the same. `shrinks` holds over what only ends capabilities (`dissolve.empty` and `step`):
nothing becomes usable, and nothing about a usable one changes. Both are such that what holds over each of two
operations holds over both, so what is shown of one holds of any number.
"""

from collections.abc import Callable
from typing import Any

import z3

from kernel.core.objects import Header, Slot
from kernel.core.state import State
from kernel.lang import types
from kernel.lang.declare import Function
from kernel.lang.symbolic import Path, writes
from kernel.lang.symbolic.memory import region_name
from kernel.proofs.slots import Ghosts, Invariant, Slots
from kernel.proofs.tombs import entombed

SLOT: Any = Slot
HEADER: Any = Header
STATE: Any = State
Relation = Callable[[Slots, Slots, Any], Any]
DYING = ("dying", "dying_last")
TREE = {(kind, name) for kind in (SLOT, HEADER) for name in kind.fields} | {(STATE, name) for name in DYING}


def same_place(before: Slots, after: Slots, slot: Any) -> Any:
    """Whether a slot is where it was in the tree."""
    return z3.And(after.opens(slot) == before.opens(slot), after.closes(slot) == before.closes(slot))


def keeps(before: Slots, after: Slots, slot: Any) -> Any:
    """See the module."""
    then, now = before.get(slot, "generation"), after.get(slot, "generation")
    same_life = z3.And(after.usable(slot), now == then)
    return z3.And(
        z3.UGE(now, then), z3.Implies(same_life, z3.And(before.usable(slot), same_place(before, after, slot)))
    )


def shrinks(before: Slots, after: Slots, slot: Any) -> Any:
    """See the module."""
    names = ("kind", "object", "size", "rights", "expiry", "place")
    same = [after.get(slot, name) == before.get(slot, name) for name in names]
    stays = z3.And(before.usable(slot), same_place(before, after, slot), *same)
    return z3.And(
        after.get(slot, "generation") == before.get(slot, "generation"), z3.Implies(after.usable(slot), stays)
    )


def buries(before: Slots, after: Slots, slot: Any) -> Any:
    """`shrinks`, and a tomb that is in the tree stays where it is: what `dissolve.empty` does."""
    stays = z3.And(entombed(after, slot), same_place(before, after, slot))
    return z3.And(shrinks(before, after, slot), z3.Implies(entombed(before, slot), stays))


class Moments:
    """The moments of a path, the first one first; at each, the invariant of slots holds."""

    def __init__(self, path: Path, kind: type[Invariant] = Invariant):
        self.path, self.kind = path, kind
        self.invariant = kind(path)
        self.first = self.now = self.invariant.before
        self.links: list[tuple[Slots, Slots, Relation]] = []

    def next(self, relation: Relation, since: Slots | None = None) -> Slots:
        """What memory is now is a new moment; the relation holds since the last one (or `since`)."""
        ghosts = Ghosts.unknown(self.path.name(" at a moment"))
        last = self.now if since is None else since
        self.invariant = self.kind(self.path, Slots(self.path.memory.copy(), ghosts))
        self.now = self.invariant.before
        self.links.append((last, self.now, relation))
        return self.now

    def after(self, function: Function, relation: Relation) -> Slots:
        """An operation has run of which this is known."""
        self.check()
        forget(self.path, function)
        return self.next(relation)

    def check(self) -> None:
        """No slot was written since the present moment began."""
        assert z3.is_true(self.path.memory.same_as(self.now.memory, TREE)), "a slot was written"

    def about(self, *slots: Any) -> None:
        """Brings slots into what is known of all moments."""
        for slot in slots:
            for before, after, relation in self.links:
                self.path.assume(relation(before, after, slot))


def forget(path: Path, function: Function, keep: frozenset[Any] = frozenset()) -> None:
    """Makes unknown all that a function may write."""
    regions, _ = writes.of(path.program, path.program.bodies[function].statements)
    for region in sorted(regions - keep, key=region_name):
        path.memory.havoc(region, path.name(f"{region_name(region)} (after)"))


def framed(path: Path, function: Function) -> None:
    """Leaves a function out of which only matters that it cannot write the tree: that is read off its own tree."""
    body = path.program.bodies[function]
    regions, _ = writes.of(path.program, body.statements)
    assert not regions & TREE, f"{function.name} writes {', '.join(map(region_name, regions & TREE))}"

    def contract(path: Any, *arguments: Any) -> Any:
        forget(path, function)
        return None if body.result is types.VOID else path.unknown(body.result, function.name)

    path.contracts[function] = contract
