"""Which conditions must hold for a node to matter, and which of them become branches.

A node's guard is a set of literals (a one-bit node and the value it must have) without which nobody looks at the node:
what is read in one arm of a multiplexer matters only where that arm is chosen, one operand of an `and` only where the
other is set, what a register loads only where it does not keep its value. It is the intersection of what the node's
readers give, found from the roots down; a literal brings those it implies. Sets are integers, a bit for a literal.

Two properties make branches out of guards: a node's guard holds all of its operands' readers' demands, so an operand's
guard is never larger than that of its reader, and the condition of a literal in a node's guard can always be evaluated
before the node.
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from .graph import Node

BRANCH_COST = 12
"""Operations that a branch must be able to skip to be worth it; found by measurement."""

COST = {"cat": 3, "mux": 2, "read": 3, "mul": 3, "high": 4, "sext": 2, "slice": 1, "not": 1}

Literal = tuple[Node, bool]


@dataclass(frozen=True)
class Root:
    """Somebody who looks at nodes: `strict` ones always, and where the literals of `guard` hold."""

    strict: tuple[Node, ...]
    guard: tuple[Literal, ...] = ()


def implied(node: Node, value: bool, stop: Container[int] = ()) -> list[Literal]:
    """A literal and those it implies, without looking below the nodes whose numbers are in `stop`."""
    found, work = [], [(node, value)]
    while work:
        node, value = work.pop()
        while node.op == "not" and node.id not in stop:
            node, value = node.args[0], not value
        if node.op == "const" or (node, value) in found:
            continue
        found.append((node, value))
        if node.width == 1 and node.op == ("and" if value else "or") and node.id not in stop:
            work += [(arg, value) for arg in node.args]
    return found


class Guards:
    """Guards of all nodes below some roots.

    nodes     those nodes, readers before what they read
    depth     by node: operations on the longest way to it
    guard     by node: the set, as an integer
    literals  the literal of each bit
    """

    def __init__(self, roots: Iterable[Root], stop: Iterable[Node] = ()):
        self.literals: list[Literal] = []
        self._bit: dict[Literal, int] = {}
        self._closures: dict[Literal, int] = {}
        roots = list(roots)
        stopped = self._stopped = {node.id for node in stop}
        self.nodes = _readers_first([node for root in roots for node in root.strict], stopped)
        self.depth: dict[int, int] = {}
        for node in reversed(self.nodes):
            self.depth[node.id] = 1 + max((self.depth[a.id] for a in node.args if node.id not in stopped), default=-1)
        self.guard: dict[int, int] = {}
        for root in roots:
            guard = 0
            for node, value in root.guard:
                guard |= self.closure(node, value)
            for node in root.strict:
                self._read(node, guard)
        for node in self.nodes:
            own = self.guard[node.id]
            if node.id in stopped:
                continue
            if node.op == "mux":
                c, a, b = node.args
                self._read(c, own)
                self._read(a, own | self.closure(c, True))
                self._read(b, own | self.closure(c, False))
            elif node.width == 1 and node.op in ("and", "or"):
                # The deeper operand matters only where the other does not decide.
                first, second = self.operands(node)
                self._read(first, own)
                self._read(second, own | self.closure(first, node.op == "and"))
            else:
                for arg in node.args:
                    self._read(arg, own)

    def operands(self, node: Node) -> tuple[Node, Node]:
        """Of a one-bit `and` or `or`: the condition, and what may be left out for it."""
        a, b = node.args
        return (b, a) if self.depth[a.id] > self.depth[b.id] else (a, b)

    def _read(self, node: Node, guard: int) -> None:
        before = self.guard.get(node.id)
        self.guard[node.id] = guard if before is None else before & guard

    def closure(self, node: Node, value: bool) -> int:
        """The set of a literal and what it implies."""
        known = self._closures.get((node, value))
        if known is None:
            known = 0
            for literal in implied(node, value, self._stopped):
                if literal not in self._bit:
                    self._bit[literal] = len(self.literals)
                    self.literals.append(literal)
                known |= 1 << self._bit[literal]
            self._closures[node, value] = known
        return known

    def choose(self, threshold: int = BRANCH_COST) -> int:
        """The literals that become branches, those of late conditions first: they are the special ones."""
        members: dict[int, list[int]] = {}
        for node in self.nodes:
            guard = self.guard[node.id]
            while guard:
                bit = guard & -guard
                members.setdefault(bit.bit_length() - 1, []).append(node.id)
                guard ^= bit
        cost = {node.id: 0 if node.op in ("const", "state", "input") else COST.get(node.op, 1) for node in self.nodes}
        covered: set[int] = set()
        extra: dict[int, int] = {}
        chosen = 0
        order = sorted(members, key=lambda bit: (-self.depth[self.literals[bit][0].id], bit))
        for bit in order:
            own = sum(cost[node] for node in members[bit] if node not in covered) + extra.get(bit, 0)
            if own < threshold:
                continue
            chosen |= 1 << bit
            covered.update(members[bit])
            # To the branches around it, a branch is a test.
            around = self.guard[members[bit][0]]
            for node in members[bit]:
                around &= self.guard[node]
            for other in order:
                if around >> other & 1 and other != bit:
                    extra[other] = extra.get(other, 0) + 2
        return chosen


def loads(
    register: Node,
    node: Node,
    stop: Container[int] = (),
    above: tuple[Literal, ...] = (),
    budget: list[int] | None = None,
) -> tuple[list[Literal] | None, list[Root]]:
    """When a register's next value is another than its own.

    Gives literals that hold whenever `node` is anything but the register itself (None where it always is), and the
    conditions that decide, each with the literals `above` under which it does.
    """
    if node is register:
        return None, []
    budget = [500] if budget is None else budget  # a graph with many ways through it is not followed along each
    budget[0] -= 1
    if node.op != "mux" or node.id in stop or budget[0] < 0:
        return [], []
    c, a, b = node.args
    arms, roots = [], [Root((c,), above)]
    for value, arm in ((True, a), (False, b)):
        own = implied(c, value, stop)
        inner, more = loads(register, arm, stop, (*above, *own), budget)
        roots += more
        if inner is not None:
            arms.append(own + inner)
    if len(arms) == 2:
        return [literal for literal in arms[0] if literal in arms[1]], roots
    return (arms[0] if arms else None), roots


def _readers_first(roots: Sequence[Node], stopped: set[int]) -> list[Node]:
    """Every node below the roots, no node before one that reads it."""
    order: list[Node] = []
    seen: set[int] = set()
    for root in roots:
        stack = [(root, 0)]
        while stack:
            node, at = stack.pop()
            if at == 0:
                if node.id in seen:
                    continue
                seen.add(node.id)
            if node.id not in stopped and at < len(node.args):
                stack += [(node, at + 1), (node.args[at], 0)]
            else:
                order.append(node)
    order.reverse()
    return order
