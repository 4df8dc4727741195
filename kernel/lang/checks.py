"""Rules that need a whole function or a whole program: flow of control, locals set before use, escaping pointers,
recursion.
"""

from typing import TYPE_CHECKING

from kernel.lang import tree
from kernel.lang.declare import Function
from kernel.lang.errors import Diagnostics
from kernel.lang.types import NEVER, VOID, PtrType, SpanType, Type

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


def check_escape(body: tree.Body, diagnostics: Diagnostics) -> None:
    """A pointer to a local may go down into calls, never up or into memory that outlives the call.

    Works on names, not paths: a local that ever holds such a pointer counts as holding it always.
    """
    owned = set(body.locals) | set(body.parameters)
    tainted: set[tree.Variable] = set()

    def points_home(value: tree.Expression | None) -> bool:
        match value:
            case tree.AddressOf(place=place):
                root = _root(place)
                return isinstance(root, tree.Local) and root.variable in owned
            case tree.Local(variable=variable):
                return variable in tainted
            case tree.Field() | tree.Element():
                root = _root(value)
                return _refers(value.type) and isinstance(root, tree.Local) and root.variable in tainted
            case tree.Select():
                return points_home(value.then) or points_home(value.otherwise)
            case tree.Convert() | tree.Some():
                return points_home(value.operand)
            case tree.MakeSpan():
                return points_home(value.base)
            case tree.New():
                return any(points_home(v) for v in value.values)
        return False

    statements = [n for n in body.walk() if isinstance(n, tree.Statement)]
    grown = True
    while grown:
        grown = False
        for node in statements:
            if isinstance(node, (tree.Assign, tree.Copy)):
                value = node.value if isinstance(node, tree.Assign) else node.source
                root = _root(node.target)
                if isinstance(root, tree.Local) and root.variable not in tainted and points_home(value):
                    tainted.add(root.variable)
                    grown = True
    for node in statements:
        if isinstance(node, tree.Return) and points_home(node.value):
            diagnostics.add("K303", node.span, "it is returned")
        elif isinstance(node, (tree.Assign, tree.Copy)):
            value = node.value if isinstance(node, tree.Assign) else node.source
            if not isinstance(_root(node.target), tree.Local) and points_home(value):
                diagnostics.add("K303", node.span, "it is stored outside")


def _refers(kind: Type) -> bool:
    return isinstance(kind, (PtrType, SpanType)) or kind.aggregate


def _root(place: tree.Expression) -> tree.Expression:
    """The local, variable or dereference that a place lies in."""
    while isinstance(place, (tree.Field, tree.Element)):
        if isinstance(place, tree.Element) and isinstance(place.base.type, SpanType):
            return place
        place = place.base
    return place


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


def _call_site(program: "Program", caller: Function, callee: Function):
    for node in program.bodies[caller].walk():
        if isinstance(node, tree.Call) and node.function is callee:
            return node.span
        if isinstance(node, tree.CallPointer) and callee in program.targets.get(node.kind, []):
            return node.span
    raise AssertionError("no call found")
