"""No pointer to a local outlives the call that owns it (K303), followed through every call of the program.

Memory is a few objects for each function: one for every local and parameter; for what the caller passed, what a
parameter points at (`Given`, near) and all that can be reached from there (`Given`, far); and `OUTSIDE`: variables of
modules, constants, raw addresses. `holds[object]` are the objects that pointers in it may point at; it grows until
nothing changes, whatever the order of statements. A local must never be held by memory of the caller or by OUTSIDE,
nor be in the result.

A function's summary says which of its caller's objects end up in its result, and in which others. The call graph has no
cycle, so callees come first. Assembly is trusted: it is declared under kernel/arch with a model of its own.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from kernel.lang import tree, types
from kernel.lang.declare import Function
from kernel.lang.errors import Diagnostics
from kernel.lang.types import PtrType, SpanType, Type

if TYPE_CHECKING:
    from kernel.lang.program import Program


@dataclass(frozen=True)
class Given:
    """What parameter `index` of the function points at; `far`: what is reached from there through more pointers."""

    index: int
    far: bool = False


class _Outside:
    def __repr__(self) -> str:
        return "OUTSIDE"


OUTSIDE = _Outside()
Thing = tree.Variable | Given | _Outside


@dataclass
class Summary:
    """What a call does with pointers: `result`, and pairs (held, holder) of things that the caller knows."""

    result: set[Thing] = field(default_factory=set)
    stored: set[tuple[Thing, Thing]] = field(default_factory=set)


@cache
def holds_pointers(kind: Type) -> bool:
    """Whether a value of this type has pointers in it."""
    return any(isinstance(part, (PtrType, SpanType)) for part in types.walk(kind))


@cache
def _may_point(kind: Type, target: Type) -> bool:
    """Whether a pointer of type `kind` may point at memory of type `target`, or into it."""
    if isinstance(kind, SpanType):
        return kind.element in types.walk(target)
    return not isinstance(kind, PtrType) or types.target_of(kind) in types.walk(target)


class _Escape:
    """One function."""

    def __init__(self, body: tree.Body, program: "Program", summaries: dict[Function, Summary]):
        self.body = body
        self.program = program
        self.summaries = summaries
        self.holds: dict[Thing, set[Thing]] = defaultdict(set)
        for index, parameter in enumerate(body.parameters):
            if holds_pointers(parameter.type):
                self.holds[parameter] = {Given(index)}
                self.holds[Given(index)] = {Given(index, far=True)}
                self.holds[Given(index, far=True)] = {Given(index, far=True)}
        self.holds[OUTSIDE] = {OUTSIDE}
        self.summary = Summary()

    def run(self) -> Summary:
        """Follows all stores until nothing is new."""
        effects = [n for n in self.body.walk() if isinstance(n, (*_STORES, *_CALLS))]
        size = -1
        while size != (size := sum(map(len, self.holds.values()))):
            for node in effects:
                for held, holder in self.effect(node):
                    self.holds[holder].add(held)
        for node in self.body.walk():
            if isinstance(node, tree.Return):
                self.summary.result |= self.points(node.value)
        for holder in [h for h in self.holds if not isinstance(h, tree.Variable)]:
            natural = {OUTSIDE, holder if holder is OUTSIDE else Given(holder.index, far=True)}  # type: ignore[union-attr]
            self.summary.stored |= {(held, holder) for held in self.holds[holder] - natural}
        return self.summary

    def effect(self, node: tree.Node) -> Iterable[tuple[Thing, Thing]]:
        """Pairs (held, holder) that a store or a call makes."""
        match node:
            case tree.Assign(target=target, value=value):
                return self.pairs(self.points(value), self.memory(target)) if holds_pointers(value.type) else ()
            case tree.Copy(target=target, source=source):
                return self.pairs(self.points(source), self.memory(target)) if holds_pointers(target.type) else ()
            case tree.VolatileWrite(pointer=pointer, value=value):
                return self.pairs(self.points(value), self.points(pointer)) if holds_pointers(value.type) else ()
            case tree.Call(arguments=arguments) | tree.CallPointer(arguments=arguments):
                found = []
                for held, holder in self.called(node).stored:
                    found += self.pairs(self.translate(held, arguments), self.translate(holder, arguments))
                return found
        return ()

    @staticmethod
    def pairs(held: set[Thing], holders: set[Thing]) -> list[tuple[Thing, Thing]]:
        return [(a, b) for b in holders for a in held]

    def called(self, node: tree.Call | tree.CallPointer) -> Summary:
        """What the function, or any target of the function pointer, does."""
        targets = self.program.targets.get(node.kind, []) if isinstance(node, tree.CallPointer) else [node.function]
        known = [self.summaries[t] for t in targets if t in self.summaries]
        if len(known) == 1:
            return known[0]
        return Summary({t for s in known for t in s.result}, {pair for s in known for pair in s.stored})

    def translate(self, thing: Thing, arguments: list[tree.Expression]) -> set[Thing]:
        """A thing of a callee's summary, as this function's things."""
        if not isinstance(thing, Given):
            return {thing}
        near = self.points(arguments[thing.index])
        if not thing.far:
            return near
        reached: set[Thing] = set()
        waiting = [held for t in near for held in self.holds[t]]
        while waiting:
            if (here := waiting.pop()) not in reached:
                reached.add(here)
                waiting += self.holds[here]
        return reached

    def memory(self, place: tree.Expression) -> set[Thing]:
        """The things that a place lies in."""
        while isinstance(place, (tree.Field, tree.Element)) and not isinstance(place.base.type, SpanType):
            place = place.base
        match place:
            case tree.Local(variable=variable):
                return {variable}
            case tree.Deref(pointer=pointer):
                return self.points(pointer)
            case tree.Element(base=base):
                return self.points(base)
            case tree.Global():
                return {OUTSIDE}
        return set()  # A field of a value that is in no memory.

    def points(self, value: tree.Expression | None) -> set[Thing]:
        """What the pointers in a value may point at."""
        if value is None or not holds_pointers(value.type):
            return set()
        return {t for t in self._points(value) if not isinstance(t, tree.Variable) or _may_point(value.type, t.type)}

    def _points(self, value: tree.Expression) -> set[Thing]:
        match value:
            case tree.AddressOf(place=place):
                return self.memory(place)
            case tree.Local() | tree.Global() | tree.Field() | tree.Element() | tree.Deref():
                where = self.memory(value)
                if not where and isinstance(value, (tree.Field, tree.Element)):
                    return self.points(value.base)
                return {held for t in where for held in self.holds[t]}
            case tree.Select():
                return self.points(value.then) | self.points(value.otherwise)
            case tree.Convert() | tree.Some():
                return self.points(value.operand)
            case tree.MakeSpan():
                return self.points(value.base)
            case tree.New():
                return {t for v in value.values for t in self.points(v)}
            case tree.VolatileRead(pointer=pointer):
                return {held for t in self.points(pointer) for held in self.holds[t]}
            case tree.Call(arguments=arguments) | tree.CallPointer(arguments=arguments):
                return {t for thing in self.called(value).result for t in self.translate(thing, arguments)}
            case tree.Text() | tree.Address():
                return {OUTSIDE}
        return set()

    def report(self, diagnostics: Diagnostics) -> None:
        """K303 at the statements and calls that let a local out."""
        for node in self.body.walk():
            if isinstance(node, tree.Return):
                for name in _names(self.points(node.value)):
                    diagnostics.add("K303", node.span, f"`{name}` is local, a pointer to it is returned")
                continue
            if not isinstance(node, (*_STORES, *_CALLS)):
                continue
            out = {held for held, holder in self.effect(node) if not isinstance(holder, tree.Variable)}
            for name in _names(out):
                what = "a pointer to it is stored outside"
                if isinstance(node, tree.Call):
                    what = f"{node.function.name}() stores a pointer to it where it outlives the call"
                elif isinstance(node, tree.CallPointer):
                    what = f"a function behind {node.kind.name} stores a pointer to it where it outlives the call"
                diagnostics.add("K303", node.span, f"`{name}` is local, {what}")


_STORES = (tree.Assign, tree.Copy, tree.VolatileWrite)
_CALLS = (tree.Call, tree.CallPointer)


def _names(things: Iterable[Thing]) -> list[str]:
    return sorted({t.name for t in things if isinstance(t, tree.Variable)})


def check_escape(program: "Program", diagnostics: Diagnostics) -> None:
    """Refuses (K303) pointers to locals that are returned, or stored in memory that outlives the call."""
    summaries: dict[Function, Summary] = {}

    def visit(function: Function) -> None:
        summaries[function] = Summary()  # Recursion, which is refused elsewhere, ends here.
        for callee in program.callees(function):
            if callee not in summaries and callee in program.bodies:
                visit(callee)
        escape = _Escape(program.bodies[function], program, summaries)
        found = escape.run()
        escape.report(diagnostics)
        # What is local here means nothing to callers, and was reported.
        found.result = {t for t in found.result if not isinstance(t, tree.Variable)}
        found.stored = {pair for pair in found.stored if not isinstance(pair[0], tree.Variable)}
        summaries[function] = found

    for function in program.bodies:
        if function not in summaries:
            visit(function)
