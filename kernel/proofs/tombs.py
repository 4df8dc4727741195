"""The invariant of references and tombs: docs/kernel.md, "Invariants", 2 and 3, as far as the tree depends on them.

An object's count of references is at least the number of capabilities that name it: each has a `rank` of its own below
the count. While there is one, the object's tomb is not in the tree. Tombs in the tree are those of the dying: each has
a `turn`, the kernel's list goes through them by turn, and ends at the last one.
"""

from typing import Any

import z3

from kernel.abi import Kind
from kernel.core import access
from kernel.core.objects import Header
from kernel.core.state import kernel
from kernel.lang.symbolic import Path, Pointer
from kernel.lang.symbolic.memory import field
from kernel.proofs.slots import SLOT, Clause, Invariant, Slots, in_header

HEADER: Any = Header
headers = z3.Function("header_of", z3.BitVecSort(64), z3.BoolSort(), z3.BitVecSort(64))
COUNTED = (Kind.TABLE, Kind.THREAD, Kind.ENDPOINT, Kind.NOTIFICATION, Kind.SPACE, Kind.CHANNEL, Kind.SLICE)


def counted(slots: Slots, slot: Any) -> Any:
    """Whether it is a capability to an object that counts its capabilities (access.has_header)."""
    return z3.And(slots.usable(slot), z3.Or([slots.get(slot, "kind") == int(kind) for kind in COUNTED]))


def header_of(slots: Slots, slot: Any) -> Any:
    """The address of the header of the object that a slot names, which is that of the tomb."""
    return header_at(slots.get(slot, "object"), slots.get(slot, "kind"))


def header_at(object: Any, kind: Any) -> Any:
    """The same, for what is in a slot. Which function it is does not matter to the proofs; see access.header_of."""
    return headers(object, kind == int(Kind.THREAD))


def contract_header_of(path: Any, slot: Pointer) -> Pointer:
    """What stands in for access.header_of."""
    address = header_of(Slots(path.memory), slot.address)
    return Pointer(address, HEADER, None, address)


def of_header(slots: Slots, header: Any, name: str) -> Any:
    """A field of a header, pointers as addresses."""
    value = slots.memory.load(field(Pointer(header, HEADER, None, header), name))
    return value.address if isinstance(value, Pointer) else value


def entombed(slots: Slots, slot: Any) -> Any:
    """Whether it is a tomb in the tree."""
    return z3.And(slots.live(slot), slots.is_tomb(slot))


def dying(path: Path, slots: Slots, name: str = "dying") -> Any:
    """The address of the first (dying_last: of the last) dying object's header; 0: there is none."""
    return slots.memory.load(field(path.variable_place(kernel), name)).address


class Whole(Invariant):
    """The invariant of slots, and that of references and tombs."""

    def __init__(self, path: Path, *arguments: Any, **more: Any):
        super().__init__(path, *arguments, **more)
        path.contracts[access.header_of] = contract_header_of

    def single(self, slots: Slots, s: Any) -> list[Clause]:
        """The clauses about one slot."""
        return [*super().single(slots, s), *self.own(slots, s)]

    def own(self, slots: Slots, s: Any) -> list[Clause]:
        """Those that this class adds."""
        object = header_of(slots, s)
        rank, turn = slots.ghosts.rank, slots.ghosts.turn
        following = of_header(slots, s, "next_dying")
        first, last = (dying(self.path, slots, name) for name in ("dying", "dying_last"))
        return [
            ("objects have addresses", z3.Implies(counted(slots, s), object != 0)),
            ("an object knows of its capabilities", z3.Implies(
                counted(slots, s), z3.ULT(rank(s), of_header(slots, object, "references")))),
            ("its tomb is a tomb, and not in the tree before its end", z3.Implies(
                counted(slots, s), z3.And(in_header(object), z3.Not(slots.live(object))))),
            ("tombs in the tree are on the list of the dying", z3.Implies(entombed(slots, s), z3.And(
                first != 0, turn(first) <= turn(s), turn(s) <= turn(last)))),
            ("the list goes on by turn", z3.Implies(z3.And(entombed(slots, s), following != 0), z3.And(
                entombed(slots, following), turn(s) < turn(following)))),
            ("it ends at the last", z3.Implies(entombed(slots, s), (following == 0) == (s == last))),
        ]  # fmt: skip

    def pair(self, slots: Slots, s: Any, y: Any) -> list[Clause]:
        """The clauses about two different slots."""
        rank, turn = slots.ghosts.rank, slots.ghosts.turn
        following = of_header(slots, s, "next_dying")
        same = z3.And(s != y, counted(slots, s), counted(slots, y), header_of(slots, s) == header_of(slots, y))
        tombs = z3.And(s != y, entombed(slots, s), entombed(slots, y))
        return [
            *super().pair(slots, s, y),
            ("each capability counts", z3.Implies(same, rank(s) != rank(y))),
            ("each tomb has its turn", z3.Implies(tombs, turn(s) != turn(y))),
            ("the next of the dying is the next", z3.Implies(z3.And(tombs, following != 0), z3.Not(
                z3.And(turn(s) < turn(y), turn(y) < turn(following))))),
        ]  # fmt: skip

    def general(self, slots: Slots) -> list[Clause]:
        """The clauses about both ends of the list of the dying."""
        first, last = (dying(self.path, slots, name) for name in ("dying", "dying_last"))
        return [
            ("the list has two ends or none", (first == 0) == (last == 0)),
            ("the ends are tombs", z3.Implies(first != 0, z3.And(entombed(slots, first), entombed(slots, last)))),
        ]

    def add(self, slot: Any) -> None:
        """Brings a slot, its neighbours in the tree, and its object's tomb into what is known."""
        super().add(slot)
        self.path.see(SLOT, header_of(self.before, slot))
