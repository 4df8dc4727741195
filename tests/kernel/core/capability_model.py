"""What capabilities mean, in plain Python: written from docs/kernel.md, not from the kernel's source."""

from dataclasses import dataclass, field

from kernel.abi import Kind
from kernel.core.objects import Endpoint

READ, WRITE, EXECUTE, GRANT, REVOKE = 1, 2, 4, 8, 16
COUNTED = {Kind.TABLE, Kind.THREAD, Kind.ENDPOINT, Kind.NOTIFICATION, Kind.SPACE, Kind.CHANNEL, Kind.SLICE}
BADGED = {Kind.ENDPOINT, Kind.NOTIFICATION, Kind.CHANNEL}
LINE = 64


@dataclass(eq=False)
class Thing:
    """An object: what it is, where in memory, and for tables what is in it."""

    kind: Kind
    start: int = 0
    size: int = 0
    slots: dict[int, "Cap"] = field(default_factory=dict)
    count: int = 0
    used: int = 0  # untyped: bytes given out
    held: bool = False  # somebody outside of the model has a capability too


@dataclass(eq=False)
class Cap:
    """A capability and where it is kept."""

    thing: Thing
    rights: int
    badge: int
    expiry: int
    parent: "Cap | None"
    home: Thing
    index: int
    handle: int = 0
    children: list["Cap"] = field(default_factory=list)

    def descendants(self) -> list["Cap"]:
        """Everything derived from it, at any depth."""
        return [d for c in self.children for d in [c, *c.descendants()]]

    def chain(self) -> int:
        """How many stand above it."""
        return 0 if self.parent is None else 1 + self.parent.chain()


class Model:
    """All capabilities that exist, and the time."""

    def __init__(self) -> None:
        self.time = 0
        self.caps: list[Cap] = []

    def add(
        self, thing: Thing, parent: Cap | None, home: Thing, index: int, rights: int, badge: int, expiry: int
    ) -> Cap:
        """A new capability."""
        cap = Cap(thing, rights, badge, expiry, parent, home, index)
        if parent is not None:
            parent.children.append(cap)
        home.slots[index] = cap
        self.caps.append(cap)
        return cap

    def expired(self, cap: Cap) -> bool:
        """Whether its time is over."""
        return cap.expiry != 0 and self.time >= cap.expiry

    def may_place(self, table: Thing, index: int) -> bool:
        """Whether the slot can take a capability."""
        return 0 <= index < table.count and index not in table.slots

    def may_derive(self, cap: Cap, rights: int, badge: int, expiry: int, to_other: bool) -> bool:
        """Whether the kernel must agree to it."""
        return (
            not self.expired(cap)
            and cap.thing.kind not in (Kind.UNTYPED, Kind.PAGE_TABLE)
            and rights | cap.rights == cap.rights
            and (not to_other or bool(cap.rights & GRANT))
            and (cap.expiry == 0 or 0 < expiry <= cap.expiry)
            and (badge == 0 or (cap.thing.kind in BADGED and cap.badge in (0, badge)))
        )

    def kill(self, cap: Cap) -> None:
        """Ends one capability; its children take its place. The last one takes the object with it."""
        siblings = cap.parent.children if cap.parent else [cap]
        siblings.remove(cap)
        for child in cap.children:
            child.parent = cap.parent
            siblings.append(child)
        cap.children = []
        del cap.home.slots[cap.index]
        self.caps.remove(cap)
        if cap.thing.kind == Kind.TABLE and not cap.thing.held and not any(c.thing is cap.thing for c in self.caps):
            for inner in list(cap.thing.slots.values()):
                self.kill(inner)

    def retype(self, cap: Cap, kind: Kind, bits: int) -> tuple[int, int] | None:
        """(start, bytes) of a new object of the untyped, or None."""
        size, align = SIZES[kind](bits), ALIGN[kind](bits)
        used = cap.thing.used if cap.children else 0
        start = -(-(cap.thing.start + used) // align) * align
        if start + size > cap.thing.start + cap.thing.size:
            return None
        return start, size


def _fixed(n: int):
    return lambda bits: n


SIZES = {
    Kind.UNTYPED: lambda bits: 1 << bits,
    Kind.FRAME: lambda bits: 1 << bits,
    Kind.TABLE: lambda bits: 128 + (LINE << bits),
    Kind.ENDPOINT: _fixed(Endpoint.size),  # type: ignore[attr-defined]
    Kind.NOTIFICATION: _fixed(128),
}
ALIGN = {
    Kind.UNTYPED: lambda bits: 1 << bits,
    Kind.FRAME: lambda bits: 1 << bits,
    Kind.TABLE: _fixed(LINE),
    Kind.ENDPOINT: _fixed(LINE),
    Kind.NOTIFICATION: _fixed(LINE),
}
