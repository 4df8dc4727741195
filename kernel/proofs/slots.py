"""The invariant of capability slots: what docs/kernel.md says under "Invariants", 1, in a form that a solver can use.

The derivation tree is written down by four pointers a slot. What makes them a tree is said with two numbers a slot that
the kernel does not have: in a walk through the tree, when the slot is entered (`opens`) and left (`closes`). So each
live slot has an interval; a descendant's lies inside its ancestor's, all others are apart; and each pointer leads to
the next event of the walk, with nothing between. That is local: every clause is about one slot or two. The numbers are
real: there is always room between two.

Clauses about one slot are in `single`, about two in `pair`. A proof assumes them of the state before, for the slots
that it comes across, and shows them of the state after, for any two slots whatever.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import z3

from kernel.abi import Kind
from kernel.core.objects import Place, Slot
from kernel.lang import Ptr
from kernel.lang.symbolic import Path, Pointer
from kernel.lang.symbolic.memory import Memory, field

SLOT: Any = Slot
SLOT_POINTER: Any = Ptr[Slot]
LOWEST, HIGHEST = 0x10_0000, 0xFFFF_FF00_0000_0000  # what the kernel's objects and slots lie between
Clause = tuple[str, Any]
Ghost = Callable[[Any], Any]


in_header = z3.Function("in_header", z3.BitVecSort(64), z3.BoolSort())
"""Whether a slot's memory is the tomb of an object's header: the same at all moments, as memory is typed."""


@dataclass(frozen=True)
class Ghosts:
    """Numbers that the kernel does not have. Those of the tree: `opens` and `closes` of a slot. Those of tombs.py:
    `rank` of a slot among those that name its object, `turn` of a tomb among the dying."""

    opens: Ghost
    closes: Ghost
    rank: Ghost
    turn: Ghost

    @staticmethod
    def unknown(when: str = "") -> "Ghosts":
        """Any numbers, named after a moment."""
        address, real = z3.BitVecSort(64), z3.RealSort()
        sorts = {"opens": real, "closes": real, "rank": z3.BitVecSort(32), "turn": real}
        return Ghosts(**{name: z3.Function(name + when, address, sort) for name, sort in sorts.items()})

    def but(self, **others: Ghost) -> "Ghosts":
        """With some of them replaced."""
        return replace(self, **others)


class Slots:
    """All slots at one moment: memory, the ghosts, and what is in the tree, where that is not the same as what is live
    (in the middle of an operation)."""

    def __init__(self, memory: Memory, ghosts: Ghosts | None = None, lives: Ghost | None = None):
        self.memory = memory
        self.ghosts = Ghosts.unknown() if ghosts is None else ghosts
        self.lives = lives

    def opens(self, slot: Any) -> Any:
        """When the walk enters the slot."""
        return self.ghosts.opens(slot)

    def closes(self, slot: Any) -> Any:
        """When the walk leaves the slot."""
        return self.ghosts.closes(slot)

    def get(self, slot: Any, name: str) -> Any:
        """A field of a slot, pointers as addresses."""
        value = self.memory.load(field(Pointer(slot, SLOT, None, slot), name))
        return value.address if isinstance(value, Pointer) else value

    def same_as(self, memory: Memory) -> Any:
        """Whether no slot has changed since."""
        kinds = {name: member.type for name, member in SLOT.fields.items()}
        return z3.And([self.memory.array((SLOT, n), k) == memory.array((SLOT, n), k) for n, k in kinds.items()])

    def is_origin(self, slot: Any) -> Any:
        """Whether it is the one that everything comes from."""
        return self.get(slot, "place") == int(Place.ORIGIN)

    def live(self, slot: Any) -> Any:
        """Whether it is in the tree."""
        if self.lives is not None:
            return self.lives(slot)
        return z3.Or(self.get(slot, "kind") != int(Kind.EMPTY), self.is_origin(slot))

    def usable(self, slot: Any) -> Any:
        """Whether it is a capability that somebody may use: not empty, and no tomb."""
        return z3.And(self.get(slot, "kind") != int(Kind.EMPTY), z3.Not(self.is_tomb(slot)))

    def is_tomb(self, slot: Any) -> Any:
        """Whether it stands for an object that ends; no handle names it."""
        return self.get(slot, "place") == int(Place.TOMB)

    def inside(self, slot: Any, other: Any) -> Any:
        """Whether a slot descends from another."""
        return z3.And(self.opens(other) < self.opens(slot), self.closes(slot) < self.closes(other))

    def is_first(self, slot: Any) -> Any:
        """Whether it is the first child of its parent."""
        return self.get(self.get(slot, "previous"), "first") == slot

    def is_last(self, slot: Any) -> Any:
        """Whether it is the last child of its parent."""
        return self.get(self.get(slot, "next"), "last") == slot

    def after_open(self, slot: Any) -> Any:
        """The event that follows the slot's opening."""
        first = self.get(slot, "first")
        return z3.If(first == 0, self.closes(slot), self.opens(first))

    def after_close(self, slot: Any) -> Any:
        """The event that follows the slot's closing."""
        following = self.get(slot, "next")
        return z3.If(self.is_last(slot), self.closes(following), self.opens(following))

    def weaker(self, slot: Any, than: Any) -> Any:
        """Whether a capability allows no more than another to the same."""
        rights = self.get(slot, "rights") & ~self.get(than, "rights") == 0
        expiry, limit = self.get(slot, "expiry"), self.get(than, "expiry")
        ends = z3.Or(limit == 0, z3.And(expiry != 0, z3.ULE(expiry, limit)))
        same = [self.get(slot, name) == self.get(than, name) for name in ("kind", "object", "size")]
        same[2] = z3.Or(same[2], self.get(slot, "kind") == int(Kind.PAGE_TABLE))  # there it is where it is mapped
        return z3.And(rights, ends, *same)

    def single(self, s: Any) -> list[Clause]:
        """The clauses about one slot."""
        return [
            *self.single_in_tree(s),
            ("only what is in a header is a tomb", z3.And(
                z3.Implies(self.is_tomb(s), in_header(s)), z3.Implies(self.usable(s), z3.Not(in_header(s))))),
            ("the origin is no capability", z3.Implies(self.is_origin(s), self.get(s, "kind") == int(Kind.EMPTY))),
        ]  # fmt: skip

    def single_in_tree(self, s: Any) -> list[Clause]:
        """Those that the tree is made of."""
        first, last, after, before = (self.get(s, name) for name in ("first", "last", "next", "previous"))
        live, is_first, is_last = self.live(s), self.is_first(s), self.is_last(s)
        inner = z3.And(live, z3.Not(self.is_origin(s)))
        return [
            ("a live slot has an address", z3.Implies(live, s != 0)),
            ("it is left after it is entered", z3.Implies(live, self.opens(s) < self.closes(s))),
            ("an empty slot has no children", z3.Implies(z3.Not(live), z3.And(first == 0, last == 0))),
            ("first and last child go together", (first == 0) == (last == 0)),
            ("children live", z3.Implies(z3.And(live, first != 0), z3.And(self.live(first), self.live(last)))),
            ("children know the parent", z3.Implies(z3.And(live, first != 0), z3.And(
                self.get(first, "previous") == s, self.get(last, "next") == s,
                self.opens(s) < self.opens(first), self.closes(last) < self.closes(s)))),
            ("neighbours live", z3.Implies(inner, z3.And(
                before != 0, after != 0, self.live(before), self.live(after)))),
            ("the origin has none", z3.Implies(self.is_origin(s), z3.And(before == 0, after == 0))),
            ("the one before is the parent, or leads here", z3.Implies(inner, z3.If(
                is_first, z3.And(self.opens(before) < self.opens(s), self.closes(s) < self.closes(before)),
                z3.And(self.get(before, "next") == s, z3.Not(self.is_last(before)),
                       self.closes(before) < self.opens(s))))),
            ("the one after is the parent, or leads here", z3.Implies(inner, z3.If(
                is_last, z3.And(self.opens(after) < self.opens(s), self.closes(s) < self.closes(after)),
                z3.And(self.get(after, "previous") == s, z3.Not(self.is_first(after)),
                       self.closes(s) < self.opens(after))))),
        ]  # fmt: skip

    def pair(self, s: Any, y: Any) -> list[Clause]:
        """The clauses about two different slots."""
        both = z3.And(s != y, self.live(s), self.live(y))
        holds = z3.And(self.get(s, "kind") != int(Kind.EMPTY), self.get(s, "kind") != int(Kind.UNTYPED))
        counted = z3.Not(z3.Or(self.is_tomb(s), self.is_tomb(y)))
        weaker = z3.Implies(z3.And(both, holds, counted, self.inside(y, s)), self.weaker(y, s))
        return [*self.pair_in_tree(s, y), ("a descendant allows no more", weaker)]

    def pair_in_tree(self, s: Any, y: Any) -> list[Clause]:
        """Those that the tree is made of."""
        both = z3.And(s != y, self.live(s), self.live(y))
        apart = z3.Or(self.closes(s) < self.opens(y), self.closes(y) < self.opens(s))
        events = (self.opens(y), self.closes(y))

        def nothing_between(start: Any, end: Any) -> Any:
            return z3.And([z3.Not(z3.And(start < event, event < end)) for event in events])

        return [
            ("one descends from the other, or they are apart", z3.Implies(
                both, z3.Or(apart, self.inside(s, y), self.inside(y, s)))),
            ("`first` is the next in the walk", z3.Implies(both, nothing_between(self.opens(s), self.after_open(s)))),
            ("`next` is the next in the walk", z3.Implies(z3.And(both, z3.Not(self.is_origin(s))), nothing_between(
                self.closes(s), self.after_close(s)))),
            ("there is one origin", z3.Implies(both, z3.Not(z3.And(self.is_origin(s), self.is_origin(y))))),
        ]  # fmt: skip


class Invariant:
    """Assumes the invariant of the present moment of a path, of the slots it comes across from now on, and shows it of
    a later moment."""

    def __init__(self, path: Path, slots: Slots | None = None, *, watch: bool = True):
        self.path = path
        self.before = Slots(path.memory.copy()) if slots is None else slots
        self.later: list[Invariant] = []  # of moments in between: what is known of them too
        for _, clause in self.general(self.before):
            path.assume(clause)
        if watch:
            path.watch(SLOT, self.assume_single)

    def general(self, slots: Slots) -> list[Clause]:
        """The clauses about no slot in particular."""
        return []

    def single(self, slots: Slots, s: Any) -> list[Clause]:
        """The clauses about one slot."""
        return slots.single(s)

    def pair(self, slots: Slots, s: Any, y: Any) -> list[Clause]:
        """The clauses about two slots, which may be one."""
        return slots.pair(s, y)

    def assume_single(self, slot: Any) -> None:
        """The clauses about a slot that the path comes across."""
        for _, clause in self.single(self.before, slot):
            self.path.assume(clause)

    def seen(self) -> list[Any]:
        """Addresses of the slots that the path has come across."""
        return list(self.path.touched[SLOT].values())

    def assume_pairs(self, slots: list[Any]) -> None:
        """The clauses about every two of these slots."""
        for s, y in product(slots, slots):
            if not z3.eq(s, y):
                for _, clause in self.pair(self.before, s, y):
                    self.path.assume(clause)

    def add(self, slot: Any) -> None:
        """Brings a slot and its neighbours in the tree into what is known."""
        for name in ("", "first", "last", "next", "previous"):
            self.path.see(SLOT, self.before.get(slot, name) if name else slot)

    def learn(self, slot: Any) -> None:
        """Assumes what is known of a slot and of its neighbours in the tree."""
        for name in ("", "first", "last", "next", "previous"):
            self.assume_single(self.before.get(slot, name) if name else slot)

    def show(self, after: Slots) -> Any:
        """Shows all clauses of the state after, for any two slots; gives one of them."""
        path = self.path
        met = self.seen()
        path.prove_each(self.general(after))
        x, y = (path.unknown(SLOT_POINTER, name).address for name in ("any slot", "any other slot"))
        self.add(x)
        self.assume_pairs([*met, x])
        for moment in self.later:
            moment.learn(x)
        path.prove_each(self.single(after, x))
        path.see(SLOT, y)
        self.assume_pairs([*met, x, y])
        for moment in self.later:
            moment.learn(y)
            moment.assume_pairs([x, y])
        path.prove_each(self.pair(after, x, y))
        return x


class Structure(Invariant):
    """Only that the tree is one."""

    def single(self, slots: Slots, s: Any) -> list[Clause]:
        """The clauses about one slot."""
        return slots.single_in_tree(s)

    def pair(self, slots: Slots, s: Any, y: Any) -> list[Clause]:
        """The clauses about two slots."""
        return slots.pair_in_tree(s, y)
