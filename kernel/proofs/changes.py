"""Every operation that changes the tree keeps its invariant, and does to slots what `moments.py` says of it."""

from typing import Any

import z3

from kernel.abi import Kind
from kernel.core import dissolve, mappings, tree
from kernel.lang.symbolic import Path, Pointer
from kernel.lang.symbolic.memory import field
from kernel.proofs.moments import buries, framed
from kernel.proofs.proof import Removed, hardware, proof, without_audit
from kernel.proofs.slots import LOWEST, SLOT, SLOT_POINTER, Ghosts, Invariant, Slots, Structure
from kernel.proofs.tombs import Whole, counted, dying, header_of, of_header



def filled(path: Path, invariant: Whole, name: str) -> Any:
    """Any capability that somebody may use: its address."""
    slot = path.unknown(SLOT_POINTER, name).address
    path.assume(z3.And(invariant.before.usable(slot), z3.UGE(slot, LOWEST)))
    return slot


def without_mapping(path: Path) -> None:
    """What `forget` may change of slots (proof "ending a mapping changes nothing else"): badge and size of its own."""

    def forget(path: Any, slot: Pointer) -> None:
        slots = Slots(path.memory)
        kind = slots.get(slot.address, "kind")
        mapped = z3.Or([kind == int(k) for k in (Kind.FRAME, Kind.DEVICE, Kind.DMA)])
        for name, may in (("badge", z3.Or(mapped, kind == int(Kind.PAGE_TABLE))), ("size", kind == int(Kind.PAGE_TABLE))):
            place = field(slot, name)
            left = z3.Const(path.name(f"{name} after its mapping"), path.memory.load(place).sort())
            path.memory.store(place, z3.If(may, left, path.memory.load(place)))

    path.contracts[mappings.forget] = forget


POINTERS = [(SLOT, name) for name in ("first", "last", "next", "previous")]


def replaced(ghosts: Ghosts, old: Any, new: Any) -> Ghosts:
    """`new` has the place in the tree that `old` had."""
    opens, closes = ghosts.opens, ghosts.closes
    return ghosts.but(
        opens=lambda a: z3.If(a == new, opens(old), opens(a)),
        closes=lambda a: z3.If(a == new, closes(old), closes(a)),
    )


@proof(
    "taking a slot out of the tree leaves a tree of the others",
    tree.remove,
    depends=[
        Removed(tree.remove, "is_first", True),
        Removed(tree.remove, "is_last"),
        Removed(tree.remove, "slot.first is not None"),
        Removed(tree.remove, "first.previous = before"),
        Removed(tree.remove, "last.next = after"),
        Removed(tree.remove, "before.next = after"),
        Removed(tree.remove, "slot.first = None"),
    ],
    reaches=["removed"],
)
def remove_leaves_a_tree(path: Path) -> None:
    """All other slots are where they were in the walk through it."""
    invariant = Structure(path)
    before = invariant.before
    s = path.unknown(SLOT_POINTER, "slot").address
    path.assume(z3.And(before.live(s), z3.Not(before.is_origin(s))))
    path.call(tree.remove, Pointer(s, SLOT, None, s))
    path.reach("removed")
    invariant.show(Slots(path.memory, before.ghosts, lambda a: z3.And(before.live(a), a != s)))


@proof(
    "putting a slot in the place of another leaves a tree",
    tree.replace,
    depends=[
        Removed(tree.replace, "before.first == old", True),
        Removed(tree.replace, "after.last == old"),
        Removed(tree.replace, "old.first is not None"),
        Removed(tree.replace, "new.previous = before"),
        Removed(tree.replace, "new.next = after"),
        Removed(tree.replace, "new.first = old.first"),
        Removed(tree.replace, "old.first = None"),
    ],
    reaches=["replaced"],
)
def replace_leaves_a_tree(path: Path) -> None:
    """The new one is where the old one was, all others where they were."""
    was = Slots(path.memory.copy())
    old, new = (path.unknown(SLOT_POINTER, name).address for name in ("old", "new"))
    before = Slots(was.memory, was.ghosts, lambda a: z3.And(was.live(a), a != new))
    invariant = Structure(path, before)
    path.assume(z3.And(before.live(old), z3.Not(was.is_origin(old)), z3.Not(was.is_origin(new))))
    path.call(tree.replace, *(Pointer(a, SLOT, None, a) for a in (old, new)))
    path.reach("replaced")
    lives = lambda a: z3.And(was.live(a), a != old)  # noqa: E731
    invariant.show(Slots(path.memory, replaced(before.ghosts, old, new), lives))


class TreeByContract:
    """In the proof of an operation, `remove` and `replace` of tree.py do what the proofs above say."""

    def __init__(self, path: Path, invariant: Invariant):
        self.path, self.invariant = path, invariant
        self.now = invariant.before
        path.contracts |= {
            tree.remove: lambda path, slot: self.change(slot.address, None),
            tree.replace: lambda path, old, new: self.change(old.address, new.address),
        }

    def change(self, old: Any, new: Any) -> None:
        """Shows that the tree is what it was before the operation, and makes it what it is then."""
        path, now = self.path, self.now
        here = Slots(path.memory.copy(), now.ghosts)
        assert z3.is_true(here.memory.same_as(now.memory, POINTERS)), "the operation writes the tree itself"
        any_slot = path.unknown(SLOT_POINTER, "any slot").address
        lives = here.live(any_slot)
        if new is not None:
            lives = z3.And(lives, any_slot != new)
            path.prove(z3.And(new != old, z3.Not(here.is_origin(new))), "what comes into the tree is something else")
        path.prove(z3.And(
            lives == now.live(any_slot), here.is_origin(any_slot) == now.is_origin(any_slot)
        ), "the tree is what it was before")  # fmt: skip
        path.prove(z3.And(now.live(old), z3.Not(now.is_origin(old))), "what leaves the tree is in it")
        for region in POINTERS:
            path.memory.havoc(region, path.name(f"Slot.{region[1]} (changed)"))
        ghosts = now.ghosts if new is None else replaced(now.ghosts, old, new)
        self.now = Slots(path.memory.copy(), ghosts, lambda a: z3.And(here.live(a), a != old))
        self.invariant.later.append(Structure(path, self.now, watch=False))


@proof(
    "ending a capability keeps the tree, what is in it, and the tombs",
    dissolve.empty,
    depends=[
        Removed(dissolve.empty, "header.references == 0", True),
        Removed(dissolve.empty, "header.references == 0"),
        Removed(dissolve.empty, "tree.remove(slot)"),
        Removed(dissolve.empty, "clear(slot)"),
        Removed(dissolve.clear, "slot.kind = Kind.EMPTY"),
        Removed(dissolve._bury, "tomb.place = Place.TOMB"),
        Removed(dissolve._bury, "tree.replace(slot, tomb)"),
        Removed(dissolve._bury, "kernel.dying_last is None"),
        Removed(dissolve._bury, "kernel.dying_last = header"),
    ],
    reaches=["buried", "removed"],
)
def empty_keeps_the_invariant(path: Path) -> None:
    """Of any capability. Its children take its place; the last one of an object becomes the object's tomb."""
    hardware(path)
    without_audit(path)
    without_mapping(path)
    framed(path, dissolve._left)
    invariant = Whole(path)
    contract = TreeByContract(path, invariant)
    before = invariant.before
    s = filled(path, invariant, "slot")
    object, last = header_of(before, s), dying(path, before, "dying_last")
    buried = z3.And(counted(before, s), of_header(before, object, "references") == 1)
    path.call(dissolve.empty, Pointer(s, SLOT, None, s))
    path.reach("buried" if path.decide(buried) else "removed")
    path.see(SLOT, object)
    path.see(SLOT, last)
    old = before.ghosts
    shared = lambda a: z3.And(counted(before, s), header_of(before, a) == object)  # noqa: E731
    is_tomb = lambda a: z3.And(buried, a == object)  # noqa: E731
    top = of_header(before, object, "references") - 1
    after = Slots(path.memory, contract.now.ghosts.but(
        rank=lambda a: z3.If(z3.And(shared(a), old.rank(a) == top), old.rank(s), old.rank(a)),
        turn=lambda a: z3.If(is_tomb(a), z3.If(last == 0, z3.RealVal(0), old.turn(last) + 1), old.turn(a)),
    ))  # fmt: skip
    path.prove(z3.Not(after.usable(s)), "it has ended")
    first = dying(path, before)
    path.prove(z3.Implies(first != 0, dying(path, after) == first), "the first of the dying stays the first")
    x = invariant.show(after)
    path.prove(buries(before, after, x), "nothing else that somebody may use changes")
