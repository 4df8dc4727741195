"""The order of one phase's work: nodes and stores in nested blocks, each block under a branch.

An item is a node to evaluate or a store to state. A store waits for every node that reads what it changes, so that
nothing need be kept twice. Items with the same branches share a block; where something outside must happen in between,
a branch is taken again in another block. Blocks are opened as late as possible, and inside a block each item comes just
before what needs it, so that few values live at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from .graph import Node
from .guards import Literal


@dataclass(eq=False)
class Item:
    """A node to evaluate, or a store (`store` says of what); `needs` come before it."""

    node: Node | None
    store: object = None
    path: tuple[int, ...] = ()
    needs: list["Item"] = field(default_factory=list)


@dataclass(eq=False)
class Block:
    """Items and blocks in order, under a literal (None outermost)."""

    literal: Literal | None
    entries: list["Item | Block"] = field(default_factory=list)


def schedule(items: Sequence[Item], literals: Sequence[Literal]) -> Block:
    """Orders items whose `path` numbers literals, outermost first."""
    outermost = _Scheduler(items, literals).outermost
    _place_late(outermost)
    return outermost


class _Scheduler:
    def __init__(self, items: Sequence[Item], literals: Sequence[Literal]):
        self.literals = literals
        self.users: dict[Item, list[Item]] = {item: [] for item in items}
        self.missing = {item: len(item.needs) for item in items}
        for item in items:
            for need in item.needs:
                self.users[need].append(item)
        self.ready: dict[tuple[int, ...], list[Item]] = {}
        self.children: dict[tuple[int, ...], set[tuple[int, ...]]] = {}
        self.left: dict[tuple[int, ...], int] = {}
        for item in items:
            for length in range(len(item.path) + 1):
                prefix = item.path[:length]
                self.left[prefix] = self.left.get(prefix, 0) + 1
                if length:
                    self.children.setdefault(item.path[: length - 1], set()).add(prefix)
            self.ready.setdefault(item.path, [])
        for item in items:
            if not self.missing[item]:
                self.ready[item.path].append(item)
        self.outermost = Block(None)
        self._fill(self.outermost, ())
        if self.left.get((), 0):
            raise AssertionError(f"{self.left[()]} items wait for one another")

    def _fill(self, block: Block, path: tuple[int, ...]) -> None:
        while True:
            own = self.ready.get(path)
            while own:
                item = own.pop()
                block.entries.append(item)
                for length in range(len(path) + 1):
                    self.left[path[:length]] -= 1
                for user in self.users[item]:
                    self.missing[user] -= 1
                    if not self.missing[user]:
                        self.ready[user.path].append(user)
            best, most = None, (False, 0)
            for child in sorted(self.children.get(path, ())):
                if not self.left[child]:
                    continue
                count = self._reach(child)
                if count and (count == self.left[child], count) > most:
                    best, most = child, (count == self.left[child], count)
            if best is None:
                return
            inner = Block(self.literals[best[-1]])
            block.entries.append(inner)
            self._fill(inner, best)

    def _reach(self, prefix: tuple[int, ...]) -> int:
        """How many items could be done inside a block now."""
        length = len(prefix)
        work = []
        stack = [prefix]
        while stack:
            path = stack.pop()
            if self.left[path]:
                work += self.ready.get(path, ())
                stack += self.children.get(path, ())
        taken: dict[Item, int] = {}
        count = 0
        while work:
            item = work.pop()
            count += 1
            for user in self.users[item]:
                if user.path[:length] == prefix:
                    taken[user] = taken.get(user, 0) + 1
                    if taken[user] == self.missing[user]:
                        work.append(user)
        return count


def _items(entry: Item | Block) -> list[Item]:
    if isinstance(entry, Item):
        return [entry]
    return [item for inner in entry.entries for item in _items(inner)]


def _place_late(block: Block) -> None:
    """Puts each node of a block right before the first store, inner block or reader outside that needs it."""
    for entry in block.entries:
        if isinstance(entry, Block):
            _place_late(entry)
    own = {entry for entry in block.entries if isinstance(entry, Item)}
    order: list[Item | Block] = []
    done: set[Item] = set()

    def place(item: Item) -> None:
        stack = [(item, 0)]
        while stack:
            item, at = stack.pop()
            if at == 0:
                if item in done or item not in own:
                    continue
                done.add(item)
            if at < len(item.needs):
                stack += [(item, at + 1), (item.needs[at], 0)]
            else:
                order.append(item)

    used_here: set[Item] = set()
    for entry in block.entries:
        for item in _items(entry):
            used_here.update(item.needs)
    for entry in block.entries:
        if isinstance(entry, Block):
            for item in _items(entry):
                for need in item.needs:
                    place(need)
            order.append(entry)
        elif entry.store is not None or entry not in used_here:
            place(entry)
    for entry in block.entries:
        if isinstance(entry, Item):
            place(entry)
    block.entries = order
