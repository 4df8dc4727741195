"""Rules that need a whole function or a whole program: flow of control, locals set before use, recursion,
names of fields."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kernel.lang import layout, tree, types
from kernel.lang.declare import Function
from kernel.lang.errors import Diagnostics
from kernel.lang.source import field_span
from kernel.lang.types import NEVER, VOID, ArrayType, PtrType, SpanType, StructType, Type

if TYPE_CHECKING:
    from kernel.lang.program import Program


class _Flow:
    """Walks statements in order with the set of locals that are surely set; None means "not reached"."""

    def __init__(self, body: tree.Body, diagnostics: Diagnostics):
        self.body = body
        self.diagnostics = diagnostics
        self.everything = {*body.parameters, *body.locals}

    def block(self, statements: list[tree.Statement], known: set[tree.Variable] | None) -> set[tree.Variable] | None:
        for statement in statements:
            if known is None:
                self.diagnostics.add("K122", statement.span)
                return None
            known = self.statement(statement, set(known))
        return known

    def uses(self, node: tree.Node | None, known: set[tree.Variable]) -> None:
        for part in node.walk() if node is not None else ():
            if isinstance(part, tree.Local) and part.variable not in known:
                self.diagnostics.add("K113", part.span, part.variable.name)

    def statement(self, node: tree.Statement, known: set[tree.Variable]) -> set[tree.Variable] | None:
        match node:
            case tree.Assign(target=tree.Local(variable=variable), value=value):
                self.uses(value, known)
                return known | {variable}
            case tree.Assign():
                self.uses(node.value, known)
                self.uses(node.target, known)
            case tree.Copy():
                self.uses(node.source, known)
                self.uses(node.target, known)
            case tree.Evaluate():
                self.uses(node.value, known)
                if node.value.type is NEVER:
                    return None
            case tree.Return():
                self.uses(node.value, known)
                return None
            case tree.If():
                self.uses(node.condition, known)
                return _join([self.block(node.then, known), self.block(node.otherwise, known)])
            case tree.For():
                self.uses(node.start, known)
                self.uses(node.stop, known)
                self.block(node.body, known | {node.variable})
            case tree.While():
                self.uses(node.condition, known)
                self.block(node.body, known)
                if node.bound is None and not _breaks(node.body):
                    return None
            case tree.Match():
                self.uses(node.subject, known)
                return _join([self.block(case.body, known) for case in node.cases])
            case tree.Hole():  # What it would have done is unknown: assume the best.
                self.block(node.parts, set(self.everything))
                return set(self.everything)
            case tree.Break() | tree.Continue() | tree.Panic():
                return None
        return known


def _join(states: list[set[tree.Variable] | None]) -> set[tree.Variable] | None:
    reached = [s for s in states if s is not None]
    return set.intersection(*reached) if reached else None


def _breaks(statements: list[tree.Statement]) -> bool:
    """Whether a `break` leaves the loop that has this body."""
    for statement in statements:
        if isinstance(statement, tree.Break):
            return True
        if isinstance(statement, tree.If) and (_breaks(statement.then) or _breaks(statement.otherwise)):
            return True
        if isinstance(statement, tree.Match) and any(_breaks(case.body) for case in statement.cases):
            return True
    return False


def check_flow(body: tree.Body, diagnostics: Diagnostics) -> None:
    """Locals are set before use, every path returns, nothing is unreachable."""
    end = _Flow(body, diagnostics).block(body.statements, set(body.parameters))
    holes = any(isinstance(node, tree.Hole) for node in body.walk())
    if end is not None and body.result is not VOID and not holes:
        last = body.statements[-1].span if body.statements else None
        from kernel.lang.frontend import function_ast
        from kernel.lang.source import span_of

        function = body.function
        node = function_ast(function.file, function.line, function.name, diagnostics)
        span = last or span_of(node, function.file, function.name)
        detail = f"{function.name} ends without a {body.result.name}"
        if body.result is NEVER:
            detail = f"{function.name} is `-> Never` and ends"
        diagnostics.add("K121", span, detail)


def check_recursion(program: "Program", diagnostics: Diagnostics) -> None:
    """The call graph has no cycle, also not through function pointers."""
    state: dict[Function, int] = {}
    path: list[Function] = []

    def visit(function: Function) -> None:
        state[function] = 1
        path.append(function)
        for callee in program.callees(function):
            if state.get(callee) == 1:
                circle = path[path.index(callee) :] + [callee]
                diagnostics.add("K302", _call_site(program, function, callee), " -> ".join(f.name for f in circle))
            elif callee not in state and callee in program.bodies:
                visit(callee)
        path.pop()
        state[function] = 2

    for function in program.bodies:
        if function not in state:
            visit(function)


def check_fields(kinds: Iterable[Type], diagnostics: Diagnostics) -> None:
    """Fields of structs do not have the names that views in Python have (K118): `view.address` is one of the two."""
    seen: set[Type] = set()
    waiting = list(kinds)
    while waiting:
        kind = waiting.pop()
        if kind in seen:
            continue
        seen.add(kind)
        if isinstance(kind, PtrType):
            waiting.append(types.target_of(kind))
        elif isinstance(kind, (ArrayType, SpanType)):
            waiting.append(kind.element)
        elif isinstance(kind, StructType):
            try:
                fields = kind.fields
            except TypeError:  # A bad annotation: K103 where the struct is used.
                continue
            waiting += [field.type for field in fields.values()]
            for name in fields:
                if name in layout.VIEW_NAMES or name.startswith("__"):
                    span = field_span(kind.file, kind.line, kind.name, name)
                    diagnostics.add("K118", span, f"{kind.name}.{name}", f"rename it: {kind.name.lower()}_{name}")


def _call_site(program: "Program", caller: Function, callee: Function):
    for node in program.bodies[caller].walk():
        if isinstance(node, tree.Call) and node.function is callee:
            return node.span
        if isinstance(node, tree.CallPointer) and callee in program.targets.get(node.kind, []):
            return node.span
    raise AssertionError("no call found")
