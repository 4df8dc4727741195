"""C for the statements of one function."""

from typing import TYPE_CHECKING, Any

from kernel.lang import tree
from kernel.lang.emit_expressions import EmitExpressions
from kernel.lang.emit_types import local_name, number
from kernel.lang.errors import Span

if TYPE_CHECKING:
    from kernel.lang.emit_c import Emitter


class Statements(EmitExpressions):
    """Emits the body of one function (None: only constant expressions, for initial values)."""

    def __init__(self, emitter: "Emitter", body: tree.Body | None):
        super().__init__(emitter)
        self.body = body
        self.lines: list[str] = []
        self.indent = 1
        self.last_line: tuple[str, int] | None = None
        taken = set(emitter.types.claimed)  # All that a local could hide: see `local_name`.
        for variable in [*body.parameters, *body.locals] if body else []:
            name = local_name(variable.name)
            while name in taken:
                name += "_"
            taken.add(name)
            self.names[variable] = name

    def parameter_names(self) -> list[str]:
        """C names of the parameters."""
        assert self.body is not None
        return [self.names[v] for v in self.body.parameters]

    def emit(self) -> str:
        """The lines between the braces."""
        body = self.body
        assert body is not None
        self.read = {n.variable for n in body.walk() if isinstance(n, tree.Local)} - self._only_written()
        self.in_place = _declarable(body)
        for variable in body.parameters:
            if variable not in self.read:
                self.add(f"(void){self.names[variable]};")
        for variable in body.locals:
            if variable not in self.in_place and variable not in self._loop_only():
                self.add(f"{self.types.declare(variable.type, self.names[variable])};")
                self._mark_unused(variable)
        self.block(body.statements)
        return "".join(f"{line}\n" for line in self.lines)

    def _only_written(self) -> set[tree.Variable]:
        """Locals that are assigned but never read: C would warn."""
        assert self.body is not None
        written: dict[tree.Variable, int] = {}
        seen: dict[tree.Variable, int] = {}
        for node in self.body.walk():
            if isinstance(node, tree.Local):
                seen[node.variable] = seen.get(node.variable, 0) + 1
            elif isinstance(node, (tree.Assign, tree.Copy)):
                root = node.target
                while isinstance(root, (tree.Field, tree.Element)):
                    root = root.base
                if isinstance(root, tree.Local):
                    written[root.variable] = written.get(root.variable, 0) + 1
        return {v for v, count in seen.items() if written.get(v, 0) == count}

    def _loop_only(self) -> set[tree.Variable]:
        assert self.body is not None
        loops = {n.variable for n in self.body.walk() if isinstance(n, tree.For)}
        assigned = {n.target.variable for n in self.body.walk() if isinstance(n, tree.Assign)
                    and isinstance(n.target, tree.Local)}  # fmt: skip
        return loops - assigned

    def _mark_unused(self, variable: tree.Variable) -> None:
        if variable not in self.read:
            self.add(f"(void){self.names[variable]};")

    def add(self, text: str) -> None:
        """One line of C."""
        self.lines.append("    " * self.indent + text)

    def at(self, span: Span) -> None:
        """A `#line`, where the next line of C does not already follow from the last one."""
        here = (span.short_file, span.line)
        self.lines.append(f'#line {here[1]} "{here[0]}"')

    def block(self, statements: list[tree.Statement]) -> None:
        """Statements in order."""
        for statement in statements:
            self.at(statement.span)
            getattr(self, f"_{type(statement).__name__.lower()}")(statement)

    def nested(self, statements: list[tree.Statement]) -> None:
        """Statements one level deeper."""
        self.indent += 1
        self.block(statements)
        self.indent -= 1

    def _assign(self, node: tree.Assign) -> None:
        target, value = node.target, node.value
        if isinstance(target, tree.Local):
            empty = isinstance(value, tree.New) and not value.values
            text = self.bare(value)
            if self.in_place.get(target.variable) is node:
                declared = self.types.declare(target.type, self.names[target.variable])
                self.add(f"{declared} = {'{0}' if empty else text};")
                self._mark_unused(target.variable)
            else:
                self.store(self.names[target.variable], text)
            return
        if self.effects(value) and not _fixed_place(target) or self.effects(target):
            name = self.temporary()
            self.add(f"{{ {self.types.declare(value.type, name)} = {self.bare(value)};")
            self.add(f"  {self.expression(target)} = {name}; }}")
        else:
            self.store(self.expression(target), self.bare(value))

    def _copy(self, node: tree.Copy) -> None:
        target, source = self.expression(node.target), self.bare(node.source)
        if self.effects(node.target) or self.effects(node.source):
            pointer = self.temporary()
            self.add(f"{{ {self.types.name(node.target.type)} *{pointer} = &{target}; *{pointer} = {source}; }}")
        else:
            self.store(target, source)

    def store(self, target: str, value: str) -> None:
        """`target = value;`; a value stored to itself only has its checks made, since clang warns about it."""
        self.add(f"(void)({value});" if target == value else f"{target} = {value};")

    def _evaluate(self, node: tree.Evaluate) -> None:
        text = self.bare(node.value)
        returns = isinstance(node.value, (tree.Call, tree.CallPointer, tree.RegisterWrite, tree.VolatileWrite))
        self.add(f"{text};" if returns else f"(void)({text});")

    def _if(self, node: tree.If) -> None:
        if not node.then and not node.otherwise:
            self.add(f"(void)({self.bare(node.condition)});")
            return
        if not node.then:
            self.add(f"if (!({self.bare(node.condition)})) {{")
            self.nested(node.otherwise)
        else:
            self.add(f"if ({self.bare(node.condition)}) {{")
            self.nested(node.then)
            if node.otherwise:
                self.add("} else {")
                self.nested(node.otherwise)
        self.add("}")

    def _for(self, node: tree.For) -> None:
        kind = node.variable.type
        name = self.names.get(node.variable)
        if name is None:
            name = self.names[node.variable] = self.temporary()
        declared = f"{self.types.name(kind)} {name}"
        start, stop, step = node.start, node.stop, node.step
        unused = f"(void){name};" if node.variable not in self.read else ""
        constant = isinstance(start, tree.Const) and isinstance(stop, tree.Const) and not node.checked
        rounds = tree.rounds(start.value, stop.value, step) if constant else 0  # type: ignore[attr-defined]
        end = start.value + rounds * step if constant else 0  # type: ignore[attr-defined]
        if constant and rounds and kind.holds(end):  # type: ignore[attr-defined]
            compare, move = ("<", "+=") if step > 0 else (">", "-=")
            first, last = number(start.value, kind), number(end, kind)  # type: ignore[attr-defined]
            if step < 0 and end < 0 and not kind.signed:  # type: ignore[attr-defined]
                raise AssertionError("held above")
            self.add(f"for ({declared} = {first}; {name} {compare} {last}; {name} {move} {abs(step)}) {{")
            if unused:
                self.add("    " + unused)
            self.nested(node.body)
            self.add("}")
            return
        if constant and not rounds:
            self.add(f"/* no rounds: range({start.value}, {stop.value}, {step}) */")  # type: ignore[attr-defined]
            self.add("while (false) {")
            self.add(f"    {declared} = 0; (void){name};")
            self.nested(node.body)
            self.add("}")
            return
        # The distance is counted in u64, so that no end value of the variable's own type can overflow.
        first, last, count, turn = (self.temporary() for _ in range(4))
        self.add(f"{{ {self.types.declare(kind, first)} = {self.bare(start)};")
        self.add(f"  {self.types.declare(kind, last)} = {self.bare(stop)};")
        low, high = (first, last) if step > 0 else (last, first)
        text = f"more than {node.bound} rounds of `for {node.variable.name}`"
        site = self.emitter.site(node.span, text, 1)
        distance = f"{low} < {high} ? (u64){high} - (u64){low} : 0"
        self.add(f"  u64 {count} = kp_rounds({distance}, {abs(step)}, {number(node.bound)}, {site});")
        self.add(f"  for (u64 {turn} = 0; {turn} < {count}; {turn}++) {{")
        sign = "+" if step > 0 else "-"
        self.add(f"    {declared} = ({self.types.name(kind)})((u64){first} {sign} {turn} * {abs(step)}u); {unused}")
        self.nested(node.body)
        self.add("} }")

    def _while(self, node: tree.While) -> None:
        if node.bound is None:
            self.add("while (true) {")
            self.nested(node.body)
            self.add("}")
            return
        turn = self.temporary()
        site = self.emitter.site(node.span, f"more than {node.bound} rounds of `while`", 0)
        self.add(f"{{ u64 {turn} = 0; while ({self.bare(node.condition)}) {{")
        self.add(f"    if (KP_UNLIKELY({turn}++ == {number(node.bound)})) kernel_panic({site}, 0, 0);")
        self.add("    KP_ROUND;")
        self.nested(node.body)
        self.add("} }")

    def _match(self, node: tree.Match) -> None:
        subject = self.temporary()
        self.add(f"{{ {self.types.declare(node.subject.type, subject)} = {self.bare(node.subject)};")
        word = "if"
        for case in node.cases:
            test = " || ".join(f"{subject} == {number(v, node.subject.type)}" for v in case.values)
            if not case.values:
                test = ""
            self.add(f"{word} ({test}) {{" if test else ("else {" if word != "if" else f"(void){subject}; {{"))
            self.nested(case.body)
            self.add("}")
            word = "else if"
        if all(case.values for case in node.cases):
            name = node.kind.name if node.kind else "case"
            site = self.emitter.site(node.span, f"match: the value is no {name}", 1)
            self.add(f"else kernel_panic({site}, (u64){subject}, 0);")
        self.add("}")

    def _return(self, node: tree.Return) -> None:
        self.add(f"return {self.bare(node.value)};" if node.value is not None else "return;")

    def _break(self, node: tree.Break) -> None:
        self.add("break;")

    def _continue(self, node: tree.Continue) -> None:
        self.add("continue;")

    def _panic(self, node: tree.Panic) -> None:
        self.add(f"kernel_panic({self.emitter.site(node.span, node.message, 0)}, 0, 0);")


def _fixed_place(place: tree.Expression) -> bool:
    """Whether evaluating the value first cannot change which place this is."""
    while isinstance(place, tree.Field):
        place = place.base
    return isinstance(place, (tree.Local, tree.Global))


def _declarable(body: tree.Body) -> dict[tree.Variable, tree.Statement]:
    """Locals that can be declared where they are first assigned: every use lies in the same block or below it."""
    first: dict[tree.Variable, tuple[tree.Statement, int]] = {}
    good: dict[tree.Variable, tree.Statement] = {}
    open_blocks: list[int] = []

    def use(node: Any) -> None:
        for part in node.walk():
            if isinstance(part, tree.Local) and part.variable in first:
                if first[part.variable][1] not in open_blocks:
                    good.pop(part.variable, None)
            elif isinstance(part, tree.Local):
                first[part.variable] = (part, -1)  # type: ignore[assignment]

    def block(statements: list[tree.Statement]) -> None:
        open_blocks.append(id(statements))
        for node in statements:
            if isinstance(node, tree.Assign) and isinstance(node.target, tree.Local):
                if isinstance(node, tree.Assign):
                    use(node.value)
                if node.target.variable not in first:
                    first[node.target.variable] = (node, id(statements))
                    good[node.target.variable] = node
                use(node.target)
                continue
            for child in node.children():
                if not isinstance(child, tree.Statement):
                    use(child)
            for part in _blocks(node):
                block(part)
        open_blocks.pop()

    block(body.statements)
    return {v: n for v, n in good.items() if v in body.locals}


def _blocks(node: tree.Statement) -> list[list[tree.Statement]]:
    if isinstance(node, tree.If):
        return [node.then, node.otherwise]
    if isinstance(node, (tree.For, tree.While)):
        return [node.body]
    if isinstance(node, tree.Match):
        return [case.body for case in node.cases]
    return []
