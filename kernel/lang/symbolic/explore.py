"""Goes through all paths of a proof: a Python function that sets up a state, calls kernel functions, and asks.

A path is run from the start with a list of decisions; where the list ends, the solver says which ways are possible. The
solver's scopes are kept from path to path, so what two paths share is asserted and checked once.
"""

# Z3's own annotations are unions of everything that a call may give.
# pyright: reportArgumentType=false, reportReturnType=false, reportAttributeAccessIssue=false
# pyright: reportOperatorIssue=false, reportCallIssue=false

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import z3

from kernel.lang import tree, types
from kernel.lang.declare import Function
from kernel.lang.program import Program
from kernel.lang.symbolic import writes
from kernel.lang.symbolic.execute import Executor, source_text
from kernel.lang.symbolic.memory import FIRST_VARIABLE, Memory, pointer, region_name
from kernel.lang.symbolic.values import Cell, Pointer, sort_of
from kernel.lang.types import Type

SOLVER_MILLISECONDS = 600_000  # of the wall's clock, which a busy machine is slower than


class Failed(Exception):
    """A goal does not follow; the text has a counterexample."""


class Panicked(Exception):
    """This path ends in a panic, where panics are outcomes."""

    def __init__(self, node: tree.Node):
        self.line = node.span.line
        super().__init__(f"line {self.line}")


class Ended(Exception):
    """Nothing is left to do on this path."""


@dataclass(frozen=True)
class Removed:
    """A check that is taken out of the source: `text` is how the condition (or statement) is written in `function`.

    A condition becomes `value`; a statement is left out. That it exists is checked: a proof's list of the checks it
    depends on cannot go stale.
    """

    function: Function
    text: str
    value: bool = False

    def nodes(self, program: Program) -> dict[int, bool]:
        """The nodes, by identity."""
        found = {}
        for node in program.bodies[self.function].walk():
            good = isinstance(node, tree.Statement) or getattr(node, "type", None) is types.BOOL
            if good and source_text(node) == self.text:
                found[id(node)] = self.value
        if not found:
            raise LookupError(
                f"{self.function.module}.{self.function.name} has no condition or statement `{self.text}`"
            )
        return found

    def __str__(self) -> str:
        return f"`{self.text}` in {self.function.name}"


@dataclass
class _Decision:
    value: bool
    scope: bool  # it was a choice: a scope of the solver belongs to it
    open: bool  # the other way is still to be run


@dataclass
class Statistics:
    """What a proof took."""

    paths: int = 0
    queries: int = 0
    goals: int = 0
    reached: dict[str, int] = field(default_factory=dict)


class Explorer:
    """All paths of one proof.

    Parameters
    ----------
    program : Program
        Everything that the proof's functions reach.
    removed : Removed or None
        A check to take out.
    panics : bool
        Panics are outcomes (Panicked) instead of failures.
    """

    def __init__(self, program: Program, removed: Removed | None = None, *, panics: bool = False):
        self.program = program
        self.removed = {} if removed is None else removed.nodes(program)
        self.panics = panics
        self.solver = z3.Solver()
        self.solver.set("timeout", SOLVER_MILLISECONDS)
        self.decisions: list[_Decision] = []
        self.statistics = Statistics()

    def explore(self, proof: Callable[["Path"], None]) -> Statistics:
        """Runs the proof once for every path; raises Failed at the first goal that does not follow."""
        self.decisions.clear()
        self.solver.reset()
        while True:
            path = Path(self)
            try:
                proof(path)
            except Ended:
                pass
            self.statistics.paths += 1
            while self.decisions and not self.decisions[-1].open:
                if self.decisions.pop().scope:
                    self.solver.pop()
            if not self.decisions:
                return self.statistics
            self.solver.pop()
            self.decisions[-1].value, self.decisions[-1].open = False, False

    def check(self, *conditions: Any) -> z3.CheckSatResult:
        """One question to the solver."""
        self.statistics.queries += 1
        return self.solver.check(*conditions)


class Path(Executor):
    """One path: the state of memory, and what is known."""

    def __init__(self, explorer: Explorer):
        self.explorer = explorer
        self.program = explorer.program
        self.removed = explorer.removed
        self.memory = Memory()
        self.contracts = {}
        self.cuts = {}
        self.position = 0
        self.live = not explorer.decisions  # else what is known was asserted by an earlier path
        self.labels: dict[Any, str] = {}
        self.shown: dict[str, Any] = {}
        self.names: dict[str, int] = {}
        self.variables: dict[Any, Any] = {}
        self.next_variable = FIRST_VARIABLE
        self.watchers: dict[Type, Callable[[Any], None]] = {}
        self.touched: dict[Type, dict[int, Any]] = {}

    # Unknown values

    def name(self, text: str) -> str:
        """A name that this path has not used."""
        self.names[text] = self.names.get(text, 0) + 1
        return text if self.names[text] == 1 else f"{text}'{self.names[text] - 1}"

    def unknown(self, kind: Any, name: str) -> Any:
        """Any value of a scalar type, or any pointer that is not None."""
        kind = types.as_type(kind)
        name = self.name(name)
        made = z3.Const(name, sort_of(kind))
        self.shown[name] = made
        if isinstance(kind, types.PtrType):
            self.assume(made != 0)
            self.labels[made.get_id()] = name
            return pointer(made, types.target_of(kind))
        if isinstance(kind, types.EnumType):
            self.assume(z3.Or([made == member for member in sorted(set(kind.members.values()))]))
        return made

    def variable_place(self, variable: Any) -> Any:
        """A constant is a value; a variable lies in memory, at a fixed address."""
        if variable not in self.variables:
            if variable.constant:
                self.variables[variable] = self.initial(variable.type, self.program.variables.get(variable))
            else:
                self.variables[variable] = z3.BitVecVal(self.next_variable, 64)
                self.labels[self.variables[variable].get_id()] = variable.name
                self.next_variable += (variable.type.size + 0xFFFF) & ~0xFFFF
        if variable.constant:
            return Cell(self.variables, variable)
        address = self.variables[variable]
        place = pointer(address, variable.type)
        if place.region is not None:
            place = Pointer(address, variable.type, ("variable", variable.name), address)
        return place

    # What is known

    def assume(self, condition: Any) -> None:
        """A precondition, or an instance of an invariant."""
        if self.live:
            self.explorer.solver.add(condition)

    def decide(self, condition: Any) -> bool:
        """Which way this path goes; the other way, where it is possible, is another path's."""
        condition = z3.simplify(condition)
        if z3.is_true(condition) or z3.is_false(condition):
            return z3.is_true(condition)
        decisions, solver = self.explorer.decisions, self.explorer.solver
        if self.position < len(decisions):
            made = decisions[self.position]
            self.position += 1
            if self.position == len(decisions):
                self.live = True
                solver.push()
                solver.add(condition if made.value else z3.Not(condition))
            return made.value
        self.position += 1
        then = self.explorer.check(condition) != z3.unsat
        otherwise = self.explorer.check(z3.Not(condition)) != z3.unsat
        if not then and not otherwise:
            decisions.append(_Decision(False, False, False))
            raise Ended
        decisions.append(_Decision(then, then and otherwise, then and otherwise))
        if then and otherwise:
            solver.push()
            solver.add(condition)
        return then

    def require(self, condition: Any, node: tree.Node, *values: Any) -> None:
        """A check of the language. It must hold on every path, unless panics are outcomes."""
        if isinstance(condition, bool):
            condition = z3.BoolVal(condition)
        if self.explorer.panics:
            if not self.decide(condition):
                raise Panicked(node)
            return
        self.prove(condition, f"{node.span.short_file}:{node.span.line} `{source_text(node)}` does not panic")

    def choose(self, name: str) -> bool:
        """Both ways, each on a path of its own."""
        return self.decide(z3.Bool(self.name(name)))

    def unknown_round(self, kind: Type) -> Any:
        """Any value of a loop variable."""
        return self.unknown(kind, "round")

    def end(self) -> None:
        """This path has shown what it was for."""
        raise Ended

    def forget(self, body: list[tree.Statement], frame: dict[Any, Any]) -> None:
        """Makes unknown what statements may write: memory by regions, and locals."""
        regions, variables = writes.of(self.program, body)
        for region in sorted(regions, key=region_name):
            self.memory.havoc(region, self.name(f"{region_name(region)} (loop)"))
        for variable in variables:
            if variable in frame:
                frame[variable] = self.unknown(variable.type, variable.name)

    def prove(self, condition: Any, text: str) -> None:
        """A goal: what is known implies it."""
        condition = z3.simplify(condition)
        if not self.live or z3.is_true(condition):
            return
        self.explorer.statistics.goals += 1
        answer = self.explorer.check(z3.Not(condition))
        if answer == z3.unsat:
            return
        if answer == z3.unknown:
            raise Failed(f"{text}: no answer ({self.explorer.solver.reason_unknown()})")
        raise Failed(f"{text}\n{self.counterexample(self.explorer.solver.model())}")

    def prove_each(self, goals: list[tuple[str, Any]]) -> None:
        """Several goals, by themselves: one question for all of them is harder than all questions together."""
        for text, condition in goals:
            self.prove(condition, text)

    def reach(self, label: str) -> None:
        """Notes that a feasible path comes here: a proof whose goals are never reached proves nothing."""
        if self.live and self.explorer.check() == z3.sat:
            reached = self.explorer.statistics.reached
            reached[label] = reached.get(label, 0) + 1

    # What memory was looked at

    def watch(self, kind: Any, callback: Callable[[Any], None]) -> None:
        """Calls back with every new address at which a struct of this type is used: to instantiate invariants."""
        self.watchers[kind] = callback
        self.touched[kind] = {}

    def touch(self, place: Pointer) -> None:
        owner = place.region[0] if place.region else None
        if owner in self.watchers:
            self.see(owner, place.index)
        if isinstance(place.target, (types.ArrayType, types.StructType)):
            return
        label = self.labels.get(place.index.get_id())
        name = region_name(place.region)
        if label is not None:
            text = f"{label}.{place.region[1]}"
            initial = z3.Select(z3.Array(name, z3.BitVecSort(64), sort_of(place.target)), place.index)
            self.shown.setdefault(text, initial)
            if isinstance(place.target, types.PtrType):
                self.labels.setdefault(self.memory.load(place).address.get_id(), text)

    def see(self, kind: Any, address: Any) -> None:
        """An address of a watched type."""
        seen = self.touched[kind]
        if address.get_id() not in seen:
            seen[address.get_id()] = address
            self.watchers[kind](address)

    def counterexample(self, model: z3.ModelRef) -> str:
        """The state before the call, in field names."""
        lines = []
        for text, term in self.shown.items():
            value = model.eval(term, model_completion=True)
            if z3.is_bv_value(value):
                number = value.as_long()
                lines.append(f"    {text} = {number if number < 256 else hex(number)}")
            else:
                lines.append(f"    {text} = {value}")
        return "\n".join(lines)
