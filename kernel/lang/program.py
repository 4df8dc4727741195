"""A program: everything that a set of root functions reaches, typed and checked."""

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from kernel.lang import checks, tree
from kernel.lang.constants import Static
from kernel.lang.declare import Assembly, Function, Variable
from kernel.lang.errors import Diagnostics, Refused
from kernel.lang.escape import check_escape
from kernel.lang.expressions import Expressions
from kernel.lang.frontend import Frontend, Signature, signature
from kernel.lang.types import FnPtrType, Type


@dataclass
class Program:
    """What the emitters read.

    Members
    -------
    roots : list[Function]
        Functions that something outside calls.
    bodies : dict[Function, tree.Body]
        Every function of the program, in order of discovery.
    signatures : dict[Function | Assembly, Signature]
    variables : dict[Variable, tree.Expression or None]
        Variables and typed constants with their initial values (None: zero).
    targets : dict[FnPtrType, list[Function]]
        The functions that may hide behind each function pointer type.
    """

    roots: list[Function]
    bodies: dict[Function, tree.Body] = field(default_factory=dict)
    signatures: dict[Any, Signature] = field(default_factory=dict)
    variables: dict[Variable, tree.Expression | None] = field(default_factory=dict)
    targets: dict[FnPtrType, list[Function]] = field(default_factory=dict)
    _callees: dict[Function, list[Function]] = field(default_factory=dict, init=False)

    def callees(self, function: Function) -> list[Function]:
        """Functions that `function` may call, also through pointers; of a program that is whole."""
        if function not in self._callees:
            found: dict[Function, None] = {}
            for node in self.bodies[function].walk() if function in self.bodies else ():
                if isinstance(node, tree.Call) and isinstance(node.function, Function):
                    found[node.function] = None
                elif isinstance(node, tree.CallPointer):
                    found.update(dict.fromkeys(self.targets.get(node.kind, [])))
            self._callees[function] = list(found)
        return self._callees[function]


@dataclass
class Typed:
    """Functions in which no error was found, for programs of one target that are compiled one after another."""

    signatures: dict[Any, Signature] = field(default_factory=dict)
    bodies: dict[Function, tree.Body] = field(default_factory=dict)


class _Builder:
    """Follows calls from the roots until nothing new turns up."""

    def __init__(self, roots: list[Function], arch: str | None, typed: Typed):
        self.program = Program(roots)
        self.diagnostics = Diagnostics()
        self.arch = arch
        self.typed = typed
        self.refused: set[Any] = set()
        self.kinds: set[Type] = set()
        self.pending: list[Function] = list(roots)

    def signature_of(self, function: Function | Assembly) -> Signature:
        if function in self.refused:
            raise Refused
        if function not in self.program.signatures:
            try:
                known = self.typed.signatures.get(function) or signature(function, self.diagnostics)
            except Refused:
                self.refused.add(function)
                raise
            self.program.signatures[function] = known
            if known.good:
                self.typed.signatures[function] = known
        if not self.program.signatures[function].good:
            raise Refused
        return self.program.signatures[function]

    def build(self) -> Program:
        program = self.program
        while self.pending:
            function = self.pending.pop(0)
            if function in program.bodies:
                continue
            try:
                self.signature_of(function)
            except Refused:  # Its body may hold more errors.
                if function in self.refused:
                    continue
            program.bodies[function] = body = self.body(function)
            self.collect(body.walk())
            self.kinds |= {variable.type for variable in (*body.parameters, *body.locals)} | {body.result}
        checks.check_recursion(program, self.diagnostics)
        self.check_pointers()
        check_escape(program, self.diagnostics)
        checks.check_fields(self.kinds, self.diagnostics)
        self.diagnostics.check()
        return program

    def body(self, function: Function) -> tree.Body:
        """The function's typed tree, its flow checked."""
        if function in self.typed.bodies:
            return self.typed.bodies[function]
        errors = len(self.diagnostics.found)
        front = Frontend(function, self.program.signatures[function], self.diagnostics, self.signature_of)
        front.arch = self.arch
        body = front.compile()
        checks.check_flow(body, self.diagnostics)
        if len(self.diagnostics.found) == errors:
            self.typed.bodies[function] = body
        return body

    def collect(self, nodes: Iterable[tree.Node]) -> None:
        """Notes functions, variables and pointer targets that the nodes use."""
        for node in nodes:
            if isinstance(node, tree.Call):
                if isinstance(node.function, Function):
                    self.pending.append(node.function)
                    continue
                self.signature_of(node.function)
                if self.arch is not None and node.function.arch != self.arch:
                    detail = f"{node.function.name} is {node.function.arch} assembly, the target is {self.arch}"
                    self.diagnostics.add("K107", node.span, detail)
            elif isinstance(node, tree.FnRef):
                known = self.program.targets.setdefault(node.type, [])  # type: ignore[arg-type]
                if node.function not in known:
                    known.append(node.function)
                self.pending.append(node.function)
            elif isinstance(node, tree.Global) and node.variable not in self.program.variables:
                self.program.variables[node.variable] = None
                self.kinds.add(node.variable.type)
                self.program.variables[node.variable] = initial = self.initial_value(node.variable)
                if initial is not None:
                    self.collect(initial.walk())

    def initial_value(self, variable: Variable) -> tree.Expression | None:
        if variable.initial is None:
            return None
        file = SimpleNamespace(file=variable.file, name=variable.name, captured=dict)
        site = Expressions(file, self.diagnostics)  # type: ignore[arg-type]
        site.signature_of = self.signature_of
        site.raw_values = True
        site.arch = self.arch
        node = ast.Name(variable.name, lineno=variable.line, col_offset=0, end_col_offset=10**6)
        try:
            return site.constant_of(Static(variable.initial, site.span(node)), variable.type, node)
        except Refused:
            return None

    def check_pointers(self) -> None:
        for body in self.program.bodies.values():
            for node in body.walk():
                if isinstance(node, tree.CallPointer) and not self.program.targets.get(node.kind):
                    self.diagnostics.add("K309", node.span, node.kind.name)


def compile_program(roots: Iterable[Function], arch: str | None = None, typed: Typed | None = None) -> Program:
    """Types and checks everything the roots reach; raises CompileError with every error found.

    `arch` is the target's architecture, or None for the host, where assembly is replaced by its Python model.
    `typed` has what earlier programs for the same target share with this one, and gets what is new.
    """
    wanted = list(dict.fromkeys(roots))
    for root in wanted:
        if not isinstance(root, Function):
            raise TypeError(f"{root!r} is not a kernel function")
    return _Builder(wanted, arch, typed or Typed()).build()
