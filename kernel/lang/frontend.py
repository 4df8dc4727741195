"""Frontend: statements. Turns one function's Python `ast` into the typed tree.

Errors are recorded and the statement that holds one is left, so that one run finds all of them. A local whose
assignment was refused becomes *poisoned*: later uses of it are refused silently instead of adding noise.
"""

import ast
import inspect
from typing import Any

from kernel.lang import tree, types
from kernel.lang.constants import Static
from kernel.lang.declare import Assembly, Function
from kernel.lang.declare import Variable as ModuleVariable
from kernel.lang.emit_expressions import EFFECTS
from kernel.lang.errors import Diagnostics, Refused
from kernel.lang.expressions import Expressions
from kernel.lang.source import function_ast
from kernel.lang.types import BOOL, NEVER, VOID, ArrayType, EnumType, IntType, Type

_REFUSED_STATEMENTS: dict[type[ast.AST], tuple[str, str]] = {
    ast.Raise: ("K125", "raise"),
    ast.Try: ("K125", "try"),
    ast.TryStar: ("K125", "try"),
    ast.With: ("K120", "with"),
    ast.FunctionDef: ("K120", "function inside a kernel function"),
    ast.ClassDef: ("K120", "class inside a kernel function"),
    ast.Import: ("K120", "import inside a kernel function"),
    ast.ImportFrom: ("K120", "import inside a kernel function"),
    ast.Delete: ("K126", "del"),
    ast.AsyncFor: ("K120", "async"),
    ast.AsyncWith: ("K120", "async"),
}


class Signature:
    """Parameter names and types, and the result type, of a kernel function."""

    def __init__(self, parameters: list[tuple[str, Type]], result: Type, poisoned: set[str], good: bool):
        self.parameters = parameters
        self.result = result
        self.poisoned = poisoned
        self.good = good


def signature(function: Function | Assembly, diagnostics: Diagnostics) -> Signature:
    """Reads and checks the annotations of a function; `good` is False when an error was recorded."""
    node = function_ast(function.file, function.line, function.name, diagnostics)
    site = Expressions(function, diagnostics)
    good = True
    arguments = node.args
    if arguments.vararg or arguments.kwarg or arguments.kwonlyargs or arguments.defaults or arguments.posonlyargs:
        diagnostics.add("K104", site.span(node), function.name)
        good = False
    annotations = inspect.get_annotations(function.python)
    parameters = []
    poisoned = {a.arg for a in ast.walk(arguments) if isinstance(a, ast.arg)}
    for argument in arguments.args:
        if argument.annotation is None:
            diagnostics.add("K101", site.span(argument), argument.arg)
            good = False
            continue
        try:
            kind = site.annotation(argument.annotation, annotations.get(argument.arg))
        except Refused:
            good = False
            continue
        if kind.aggregate or kind in (VOID, NEVER):
            diagnostics.add("K105", site.span(argument), f"{argument.arg} is {kind.name}")
            good = False
        else:
            poisoned.discard(argument.arg)
        parameters.append((argument.arg, kind))
    result: Type = VOID
    if node.returns is None:
        diagnostics.add("K102", site.span(node), function.name)
        good = False
    else:
        try:
            result = site.annotation(node.returns, annotations.get("return"))
        except Refused:
            good = False
    return Signature(parameters, result, poisoned, good)


class Frontend(Expressions):
    """Compiles one function."""

    def __init__(self, function: Function, signature: Signature, diagnostics: Diagnostics, signatures: Any):
        super().__init__(function, diagnostics)
        self.signature_of = signatures
        self.node = function_ast(function.file, function.line, function.name, diagnostics)
        parameters = [tree.Variable(name, kind, parameter=True) for name, kind in signature.parameters]
        self.locals = {v.name: v for v in parameters if v.name not in signature.poisoned}
        self.poisoned |= signature.poisoned
        self.good_signature = signature.good
        self.body = tree.Body(function, parameters, signature.result)
        self.declared_global = _declared_outside(self.node)
        self.assigned = set(function.python.__code__.co_varnames) - {name for name, _ in signature.parameters}
        self.loop_variables: list[str] = []  # of the loops around this statement
        self.loop_names: set[str] = set()  # of all loops so far
        self.entered: set[int] = set()  # statements whose blocks were compiled

    def compile(self) -> tree.Body:
        """The typed tree; errors are in the diagnostics."""
        self.body.statements = self.block(self.node.body, docstring=True)
        return self.body

    def block(self, nodes: list[ast.stmt], docstring: bool = False) -> list[tree.Statement]:
        """A list of statements, refused ones left out."""
        result: list[tree.Statement] = []
        for index, node in enumerate(nodes):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and docstring and index == 0:
                continue
            try:
                made = self.statement(node)
            except Refused:
                self._poison(node)
                result.append(tree.Hole(self.span(node), self.nested_blocks(node)))
                continue
            result.extend(made if isinstance(made, list) else [made])
        return result

    def nested_blocks(self, node: ast.stmt) -> list[tree.Statement]:
        """The blocks inside a refused statement, a Hole each, unless they were compiled: their errors count too."""
        if id(node) in self.entered:
            return []
        blocks = [getattr(node, name, []) for name in ("body", "orelse")]
        blocks += [case.body for case in getattr(node, "cases", [])]
        return [tree.Hole(self.span(node), self.block(block)) for block in blocks]

    def _poison(self, node: ast.stmt) -> None:
        """Marks locals that a refused statement would have set."""
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for part in (part for target in targets if target is not None for part in ast.walk(target)):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store) and part.id not in self.locals:
                self.poisoned.add(part.id)

    def statement(self, node: ast.stmt) -> tree.Statement | list[tree.Statement]:
        """One statement."""
        if type(node) in _REFUSED_STATEMENTS:
            code, detail = _REFUSED_STATEMENTS[type(node)]
            raise self.refuse(code, node, detail)
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            raise self.refuse("K120", node, type(node).__name__.lower())
        return method(node)

    def _pass(self, node: ast.Pass) -> list[tree.Statement]:
        return []

    def _global(self, node: ast.Global) -> list[tree.Statement]:
        return []

    _nonlocal = _global

    def _break(self, node: ast.Break) -> tree.Statement:
        return tree.Break(self.span(node))

    def _continue(self, node: ast.Continue) -> tree.Statement:
        return tree.Continue(self.span(node))

    def _expr(self, node: ast.Expr) -> tree.Statement | list[tree.Statement]:
        if isinstance(node.value, ast.Call):
            special = self.statement_call(node.value)
            if special is not None:
                return special
            value = self.expression(node.value, None)
            if isinstance(value, tree.Expression) and value.type in (VOID, NEVER):
                return tree.Evaluate(self.span(node), value)
            kind = value.type.name if isinstance(value, tree.Expression) else "constant"
            raise self.refuse("K124", node, f"{ast.unparse(node.value.func)}() gives {kind}")
        if isinstance(node.value, (ast.Yield, ast.YieldFrom, ast.Await)):
            raise self.refuse("K120", node, type(node.value).__name__.lower())
        raise self.refuse("K127", node)

    def _assert(self, node: ast.Assert) -> list[tree.Statement]:
        condition = self.condition(node.test)
        message = f"assertion failed: {ast.unparse(node.test)}"
        if node.msg is not None:
            text = self.expression(node.msg, None)
            if not isinstance(text, Static) or not isinstance(text.value, str):
                raise self.refuse("K208", node.msg, "the message must be a string literal", 'assert condition, "text"')
            message = text.value
        if isinstance(condition, tree.Const):
            return [] if condition.value else [tree.Panic(self.span(node), message)]
        return [tree.If(self.span(node), condition, [], [tree.Panic(self.span(node), message)])]

    def _return(self, node: ast.Return) -> tree.Statement:
        result = self.body.result
        if not self.good_signature:
            _ = node.value is None or self.expression(node.value, None)
            raise Refused
        if node.value is None or (isinstance(node.value, ast.Constant) and node.value.value is None and result is VOID):
            if result is not VOID:
                raise self.refuse("K123", node, f"the function gives {result.name}")
            return tree.Return(self.span(node), None)
        if result is VOID or result is NEVER:
            raise self.refuse("K123", node, f"the function gives {result.name}")
        value = self.value(node.value, result, code="K123")
        if result.aggregate and not isinstance(value, (tree.New, tree.Call, tree.CallPointer)):
            raise self.refuse("K206", node.value, "returning it would copy", f"return {result.name}(...) or use a Ptr")
        return tree.Return(self.span(node), value)

    # Assignments

    def _annassign(self, node: ast.AnnAssign) -> list[tree.Statement]:
        if not isinstance(node.target, ast.Name):
            raise self.refuse("K120", node, "annotation of something that is not a local", "leave the annotation out")
        name = node.target.id
        kind = self.annotation(node.annotation, inspect.Parameter.empty)
        if not types.is_storable(kind):
            raise self.refuse("K103", node.annotation, kind.name)
        if name in self.locals and self.locals[name].type is not kind:
            raise self.refuse("K111", node, f"{name} is {self.locals[name].type.name}, not {kind.name}")
        if node.value is None:
            if kind.aggregate:
                raise self.refuse("K112", node, "it has no value", f"{name} = zero({ast.unparse(node.annotation)})")
            self._target_local(node.target, kind)
            return []
        try:
            value = self.value(node.value, kind)
        except Refused:
            self._target_local(node.target, kind)  # The type is known: later lines can still be checked.
            raise
        return [self._store_local(node, node.target, value)]

    def _assign(self, node: ast.Assign) -> list[tree.Statement]:
        if len(node.targets) != 1 or isinstance(node.targets[0], (ast.Tuple, ast.List)):
            raise self.refuse("K120", node, "several targets in one assignment", "write one assignment each")
        target = node.targets[0]
        if isinstance(target, ast.Name) and target.id == "_":
            value = self.expression(node.value, None)
            if isinstance(value, Static):
                raise self.refuse("K127", node)
            return [tree.Evaluate(self.span(node), value)]
        if isinstance(target, ast.Name) and target.id not in self.declared_global:
            known = self.locals.get(target.id)
            value = self.value(node.value, known.type if known else None, code="K111" if known else "K201")
            return [self._store_local(node, target, value)]
        return [self._store(node, target, node.value, None)]

    def _augassign(self, node: ast.AugAssign) -> list[tree.Statement]:
        return [self._store(node, node.target, node.value, node.op)]

    def _target_local(self, node: ast.Name, kind: Type) -> tuple[tree.Local, bool]:
        name = node.id
        if name in self.loop_variables or name in self.loop_names:
            raise self.refuse("K116", node, name)
        if name not in self.locals and isinstance(self.names.get(name), ModuleVariable):
            raise self.refuse("K117", node, name, f"say `global {name}` first, or use another name")
        declares = name not in self.locals
        if declares:
            self.locals[name] = tree.Variable(name, kind)
            self.body.locals.append(self.locals[name])
            self.poisoned.discard(name)
        variable = self.locals[name]
        return tree.Local(self.span(node), variable.type, variable), declares

    def _store_local(self, node: ast.stmt, name: ast.Name, value: tree.Expression) -> tree.Statement:
        if value.type in (VOID, NEVER):
            raise self.refuse("K112", node, f"the value is {value.type.name}", "call it as a statement of its own")
        target, declares = self._target_local(name, value.type)
        assert target.type is value.type  # The value was made for the type of the local.
        if value.type.aggregate:
            if not isinstance(value, (tree.New, tree.Call, tree.CallPointer)) or not declares:
                raise self.refuse("K206", node, f"{name.id} is {value.type.name}")
        return tree.Assign(self.span(node), target, value, declares)

    def _store(self, node: ast.stmt, target: ast.expr, value: ast.expr, op: ast.operator | None) -> tree.Statement:
        """Assignment to an existing place, plain (`op` None) or augmented."""
        if isinstance(target, ast.Attribute):
            base = self.expression(target.value, None)
            if isinstance(base, tree.Expression) and isinstance(base.type, types.BitsType):
                return self._store_bits(node, target, base, value, op)
        place = self.place(target, "K209")
        if isinstance(place, tree.Local) and place.variable.name in self.loop_variables:
            raise self.refuse("K116", target, place.variable.name)
        self.check_writable(place, target)
        if place.type.aggregate:
            raise self.refuse("K206", node, f"the target is {place.type.name}")
        if op is None:
            return tree.Assign(self.span(node), place, self.value(value, place.type))
        self._no_calls(place, target)
        return tree.Assign(self.span(node), place, self.binary(node, op, place, self.operand(value)))

    def _store_bits(
        self, node: ast.stmt, target: ast.Attribute, base: tree.Expression, value: ast.expr, op: ast.operator | None
    ) -> tree.Statement:
        place = self.place(target.value, "K209")
        self.check_writable(place, target)
        self._no_calls(place, target)
        bits = self.bit_field(base.type, target)
        if op is None:
            new = self.value(value, bits.type)
        else:
            old = tree.BitsGet(self.span(target), bits.type, base, bits)
            new = self.binary(node, op, old, self.operand(value))
        return tree.Assign(
            self.span(node),
            place,
            tree.BitsSet(self.span(node), base.type, self.fit_bits(new, bits, value), bits, base),
        )

    def _no_calls(self, place: tree.Expression, node: ast.expr) -> None:
        if any(isinstance(n, EFFECTS) for n in place.walk()):
            raise self.refuse("K120", node, "the target would be evaluated twice", "call first, into a local")

    # Branches and loops

    def _if(self, node: ast.If) -> tree.Statement | list[tree.Statement]:
        condition = self.condition(node.test)
        self.entered.add(id(node))
        if isinstance(condition, tree.Const):  # Decided at compile time: the other branch is not compiled.
            return self.block(node.body if condition.value else node.orelse)
        return tree.If(self.span(node), condition, self.block(node.body), self.block(node.orelse))

    def _while(self, node: ast.While) -> tree.Statement:
        if node.orelse:
            raise self.refuse("K120", node, "else of a loop", "note in a local whether the loop was left by `break`")
        test, bound = self.bounded(node.test)
        condition = self.condition(test)
        if bound is None:
            forever = isinstance(condition, tree.Const) and condition.value
            if not (forever and self.body.result is NEVER):
                raise self.refuse("K301", node.test)
        self.entered.add(id(node))
        return tree.While(self.span(node), condition, bound, self.block(node.body))

    def _for(self, node: ast.For) -> tree.Statement:
        if node.orelse:
            raise self.refuse("K120", node, "else of a loop", "note in a local whether the loop was left by `break`")
        if not isinstance(node.target, ast.Name):
            raise self.refuse("K120", node.target, "several loop variables", "loop with one, and index with it")
        iterable, bound = self.bounded(node.iter)
        if isinstance(iterable, ast.Call):
            function = self.expression(iterable.func, None)
            if isinstance(function, Static) and function.value is range:
                return self._for_range(node, iterable, bound)
        place = self.expression(iterable, None)
        if isinstance(place, tree.Expression) and isinstance(self.pointed(place).type, ArrayType):
            return self._for_array(node, self.pointed(place))
        name = ast.unparse(iterable)
        fix = f"for i in bounded(range(len({name})), N): {name}[i]" if isinstance(place, tree.Expression) else ""
        raise self.refuse("K120", node.iter, "loops run over range(...) or an array", fix)

    def _loop_variable(self, name: ast.Name, kind: Type) -> tree.Variable:
        if name.id in self.loop_variables:
            raise self.refuse("K116", name, name.id)
        if name.id == "_":
            return tree.Variable("_", kind)
        known = self.locals.get(name.id)
        if known is not None and name.id not in self.loop_names:
            raise self.refuse("K116", name, f"{name.id} is a local already")
        self.loop_names.add(name.id)
        if known is not None and known.type is not kind:
            raise self.refuse("K111", name, f"{name.id} is {known.type.name}, the loop gives {kind.name}")
        if known is None:
            known = self.locals[name.id] = tree.Variable(name.id, kind)
            self.body.locals.append(known)
        return known

    def _for_range(self, node: ast.For, call: ast.Call, bound: int | None) -> tree.Statement:
        assert isinstance(node.target, ast.Name)
        if call.keywords or not 1 <= len(call.args) <= 3:
            usage = "range(stop), range(start, stop) or range(start, stop, step)"
            raise self.refuse("K208", call, f"{len(call.args)} for range", f"write {usage}")
        given = [self.operand(a) for a in call.args]
        step = 1
        if len(given) == 3:
            last = given.pop()
            if not isinstance(last, Static) or not isinstance(last.value, int) or last.value == 0:
                raise self.refuse("K208", call.args[2], "the step must be a constant other than 0", "write 1, 2, -1")
            step = last.value
        kinds = [g.type for g in given if isinstance(g, tree.Expression)]
        kind = kinds[0] if kinds else types.usize
        if not isinstance(kind, IntType):
            raise self.refuse("K203", call, f"range of {kind.name}")
        limits = [self.coerce(g, kind, a) for g, a in zip(given, call.args, strict=False)]
        start = limits[0] if len(limits) == 2 else tree.Const(self.span(call), kind, 0)
        stop = limits[-1]
        checked = bound is not None
        if isinstance(start, tree.Const) and isinstance(stop, tree.Const):
            rounds = tree.rounds(start.value, stop.value, step)
            checked = bound is not None and rounds > bound
            bound = rounds if bound is None else bound
        if bound is None:
            raise self.refuse("K301", node.iter)
        variable = self._loop_variable(node.target, kind)
        body = self._loop_body(node)
        return tree.For(self.span(node), variable, start, stop, step, bound, checked, body)

    def _for_array(self, node: ast.For, array: tree.Expression) -> tree.Statement:
        """`for x in array`: x is each element, or a pointer to it where the element is a struct."""
        kind = array.type
        assert isinstance(kind, ArrayType) and isinstance(node.target, ast.Name)
        self._no_calls(array, node.iter)
        span = self.span(node)
        index = tree.Variable(f"{node.target.id}_index", types.usize)
        element = tree.Element(span, kind.element, array, tree.Local(span, types.usize, index))
        value: tree.Expression = element
        if kind.element.aggregate:
            self.check_writable(array, node.iter)
            value = tree.AddressOf(span, types.Ptr[kind.element], element)
        variable = self._loop_variable(node.target, value.type)
        first = tree.Assign(span, tree.Local(span, value.type, variable), value, True)
        zero, stop = (tree.Const(span, types.usize, n) for n in (0, kind.count))
        return tree.For(span, index, zero, stop, 1, kind.count, False, [first, *self._loop_body(node)])

    def _loop_body(self, node: ast.For) -> list[tree.Statement]:
        self.entered.add(id(node))
        assert isinstance(node.target, ast.Name)
        self.loop_variables.append(node.target.id if node.target.id != "_" else "")
        body = self.block(node.body)
        self.loop_variables.pop()
        return body

    def _match(self, node: ast.Match) -> tree.Statement:
        subject = self.value(node.subject, None)
        kind = subject.type
        if not isinstance(kind, (EnumType, IntType)):
            fix = "use if and else" if kind is BOOL else "match on an integer or an enum"
            raise self.refuse("K203", node.subject, f"match on {kind.name}", fix)
        self.entered.add(id(node))
        cases: list[tree.MatchCase] = []
        seen: set[int] = set()
        default = False
        for case in node.cases:
            values = self._pattern(case.pattern, kind)
            if case.guard is not None:
                raise self.refuse("K120", case.guard, "guard of a case", "write an `if` inside of the case")
            if default or seen & set(values):
                self.diagnostics.add("K122", self.span(case.pattern), "an earlier case takes it")
                continue
            default = default or not values
            seen |= set(values)
            cases.append(tree.MatchCase(values, self.block(case.body)))
        if not default:
            wanted = {v: n for n, v in kind.members.items()} if isinstance(kind, EnumType) else {}
            missing = [name for value, name in wanted.items() if value not in seen]
            if missing or not wanted:
                raise self.refuse("K220", node, f"missing {', '.join(missing) or 'the other values'}")
        return tree.Match(self.span(node), subject, kind if isinstance(kind, EnumType) else None, cases)

    def _pattern(self, pattern: ast.pattern, kind: Type) -> list[int]:
        if isinstance(pattern, ast.MatchAs) and pattern.pattern is None and pattern.name is None:
            return []
        if isinstance(pattern, ast.MatchOr):
            return [value for p in pattern.patterns for value in self._pattern(p, kind)]
        if isinstance(pattern, ast.MatchValue):
            value = self.value(pattern.value, kind)
            if isinstance(value, tree.Const):
                return [value.value]
        raise self.refuse("K120", pattern, "a case is a constant, constants joined by |, or _")

    def condition(self, node: ast.expr) -> tree.Expression:
        """A bool expression; a compile-time one comes back as Const."""
        value = self.expression(node, BOOL)
        if isinstance(value, Static) and isinstance(value.value, bool):
            return tree.Const(self.span(node), BOOL, value.value)
        if not isinstance(value, tree.Expression) or value.type is not BOOL:
            kind = value.type.name if isinstance(value, tree.Expression) else repr(value.value)
            raise self.refuse("K204", node, f"it is {kind}")
        return value

    def bounded(self, node: ast.expr) -> tuple[ast.expr, int | None]:
        """Takes `bounded(inner, N)` apart; (node, None) for anything else."""
        from kernel.lang import declare

        if isinstance(node, ast.Call):
            function = self.expression(node.func, None)
            if isinstance(function, Static) and function.value is declare.bounded:
                if len(node.args) != 2 or node.keywords:
                    raise self.refuse("K208", node, "for bounded", "write bounded(condition or range, N)")
                limit = self.expression(node.args[1], None)
                value = limit.value if isinstance(limit, Static) else None
                if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < 1 << 64:
                    raise self.refuse("K301", node.args[1], "the bound must be a constant of 1 .. 2**64 - 1")
                return node.args[0], int(value)
        return node, None


def _declared_outside(node: ast.FunctionDef) -> set[str]:
    """Names that the function declares global or nonlocal."""
    found: set[str] = set()
    waiting: list[ast.AST] = [node]
    while waiting:
        for child in ast.iter_child_nodes(waiting.pop()):
            if isinstance(child, (ast.Global, ast.Nonlocal)):
                found.update(child.names)
            elif isinstance(child, (ast.stmt, ast.match_case)):
                waiting.append(child)
    return found
