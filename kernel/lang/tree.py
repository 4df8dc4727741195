"""The typed tree: what a kernel function is after the frontend, and all that later stages see.

Every expression carries its type and its place in the source. The tree is meant to be walked by small programs: the
C emitter, the Python evaluator that judges it, the checks, and a symbolic executor. So it has few nodes, no implicit
conversion, no overloading and no names to look up; evaluation is left to right, the assigned value before its target.

Integers are Python ints in range of their type, bools are bools, enum, handle and bit-field values are their raw ints.
A *place* is an expression that names memory: Local, Global, Field, Element, Deref.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, get_args

from kernel.lang.errors import Span
from kernel.lang.types import BitField, EnumType, FnPtrType, Type


@dataclass(eq=False)
class Variable:
    """A parameter or local of one function."""

    name: str
    type: Type
    parameter: bool = False


@dataclass(eq=False)
class Node:
    """Base of expressions and statements."""

    span: Span

    def children(self) -> list["Node"]:
        """Direct sub-nodes, in evaluation order."""
        found: list[Node] = []
        for name in _node_fields(type(self)):
            value = getattr(self, name)
            if isinstance(value, (list, tuple)):
                for child in value:
                    if isinstance(child, MatchCase):
                        found += child.body
                    else:
                        found.append(child)
            elif value is not None:
                found.append(value)
        return found

    def walk(self) -> Iterator["Node"]:
        """This node and everything below it, in the order of the text."""
        waiting: list[Node] = [self]
        while waiting:
            node = waiting.pop()
            yield node
            if _node_fields(node.__class__):
                waiting += node.children()[::-1]


@cache
def _node_fields(kind: type[Node]) -> tuple[str, ...]:
    """The fields of a kind of node that hold nodes, by their annotations: walks are most of what a build does."""

    def holds_nodes(annotation: Any) -> bool:
        if isinstance(annotation, type) and issubclass(annotation, (Node, MatchCase)):
            return True
        return any(holds_nodes(part) for part in get_args(annotation))

    return tuple(item.name for item in fields(kind) if holds_nodes(item.type))


@dataclass(eq=False)
class Expression(Node):
    """A value or a place."""

    type: Type


@dataclass(eq=False)
class Const(Expression):
    """A number, bool, enum member, handle, bit-field value, or None (null pointer)."""

    value: Any


@dataclass(eq=False)
class Text(Expression):
    """A string literal, of type Str."""

    data: bytes


@dataclass(eq=False)
class FnRef(Expression):
    """A function stored as a function pointer."""

    function: Any


@dataclass(eq=False)
class Local(Expression):
    """A parameter or local."""

    variable: Variable


@dataclass(eq=False)
class Global(Expression):
    """A variable or typed constant of a module."""

    variable: Any


@dataclass(eq=False)
class Field(Expression):
    """`base.name` of a struct place."""

    base: Expression
    name: str


@dataclass(eq=False)
class Element(Expression):
    """`base[index]`: base is an Array place, or a Span, View or Str value. Panics when the index is out of bounds."""

    base: Expression
    index: Expression


@dataclass(eq=False)
class Deref(Expression):
    """What a pointer points at."""

    pointer: Expression


@dataclass(eq=False)
class AddressOf(Expression):
    """Pointer to a place."""

    place: Expression


@dataclass(eq=False)
class Unary(Expression):
    """op: `-` (panics on overflow), `~`, `not`, and the bit counts `clz`, `ctz`, `popcount`, and `byteswap`."""

    op: str
    operand: Expression


@dataclass(eq=False)
class Binary(Expression):
    """op: `+ - * // % & | ^ << >> min max`; both sides have the result's type, but a shift count is any unsigned type.

    `+ - *` panic on overflow unless the type wraps; `// %` panic on zero and round down; shifts panic when the count
    reaches the width, and `<<` drops the bits that leave on top.
    """

    op: str
    left: Expression
    right: Expression


@dataclass(eq=False)
class Compare(Expression):
    """op: `== != < <= > >=`; both sides have one type."""

    op: str
    left: Expression
    right: Expression


@dataclass(eq=False)
class Logic(Expression):
    """`and` / `or`: the right side is evaluated only when it decides."""

    op: str
    left: Expression
    right: Expression


@dataclass(eq=False)
class Select(Expression):
    """`then if condition else otherwise`."""

    condition: Expression
    then: Expression
    otherwise: Expression


@dataclass(eq=False)
class Convert(Expression):
    """kind: `widen` (value kept), `trunc` (low bits kept), `exact` (panics when the value does not fit), `raw`
    (between a bit-field, handle or enum value and its integer), `member` (integer to enum, panics when not a member).
    """

    kind: str
    operand: Expression


@dataclass(eq=False)
class Some(Expression):
    """A nullable pointer as a pointer; panics when it is None."""

    operand: Expression


@dataclass(eq=False)
class BitsGet(Expression):
    """A field of a bit-field value."""

    operand: Expression
    bits: BitField


@dataclass(eq=False)
class BitsSet(Expression):
    """A bit-field value with one field replaced; panics when the value does not fit the field."""

    value: Expression
    bits: BitField
    operand: Expression


@dataclass(eq=False)
class New(Expression):
    """A struct or array value: `values` by field name or index, in evaluation order; the rest is zero."""

    keys: list[str | int]
    values: list[Expression]


@dataclass(eq=False)
class MakeSpan(Expression):
    """A Span or View of an array behind a pointer (`start` and `stop` None), or part of another span; checked."""

    base: Expression
    start: Expression | None
    stop: Expression | None


@dataclass(eq=False)
class SpanLength(Expression):
    """Number of elements."""

    operand: Expression


@dataclass(eq=False)
class Checked(Expression):
    """An index as w64; panics unless it is below `length`."""

    operand: Expression
    length: int


@dataclass(eq=False)
class Call(Expression):
    """A call of a kernel function or an assembly intrinsic."""

    function: Any
    arguments: list[Expression]


@dataclass(eq=False)
class CallPointer(Expression):
    """A call through a function pointer; panics unless it is one of the type's targets."""

    pointer: Expression
    kind: FnPtrType
    arguments: list[Expression]


@dataclass(eq=False)
class RegisterRead(Expression):
    """One volatile access of `width` bits at `offset` bytes from a register block."""

    block: Expression
    offset: Expression
    width: int
    register: str


@dataclass(eq=False)
class RegisterWrite(Expression):
    """One volatile store; the value is an unsigned integer of `width` bits."""

    block: Expression
    offset: Expression
    width: int
    register: str
    value: Expression


@dataclass(eq=False)
class VolatileRead(Expression):
    """One load through a pointer, which happens exactly once: memory that a device or another hart writes."""

    pointer: Expression


@dataclass(eq=False)
class VolatileWrite(Expression):
    """One store through a pointer, which happens exactly once."""

    pointer: Expression
    value: Expression


@dataclass(eq=False)
class Address(Expression):
    """A pointer's address as usize, or (kind `pointer`) an address as a pointer: only under kernel/arch."""

    kind: str
    operand: Expression


@dataclass(eq=False)
class Statement(Node):
    """Base of statements."""


@dataclass(eq=False)
class Assign(Statement):
    """Stores a value; `declares` marks the first assignment in the text of a local."""

    target: Expression
    value: Expression
    declares: bool = False


@dataclass(eq=False)
class Copy(Statement):
    """Copies a whole struct or array between places."""

    target: Expression
    source: Expression


@dataclass(eq=False)
class Evaluate(Statement):
    """An expression for its effect."""

    value: Expression


@dataclass(eq=False)
class If(Statement):
    """Two branches."""

    condition: Expression
    then: list[Statement]
    otherwise: list[Statement]


@dataclass(eq=False)
class For(Statement):
    """`for variable in range(start, stop, step)`; at most `bound` rounds, a panic when there would be more."""

    variable: Variable
    start: Expression
    stop: Expression
    step: int
    bound: int
    checked: bool
    body: list[Statement]


def rounds(start: int, stop: int, step: int) -> int:
    """Rounds of `for _ in range(start, stop, step)`; len() of a range refuses more than 2^63."""
    distance = stop - start if step > 0 else start - stop
    return max(0, -(-distance // abs(step)))


@dataclass(eq=False)
class While(Statement):
    """A loop of at most `bound` rounds (a panic after that), or without end (`bound` None) in a function `-> Never`."""

    condition: Expression
    bound: int | None
    body: list[Statement]


@dataclass(eq=False)
class MatchCase:
    """One case: the constants that select it (none: `case _`)."""

    values: list[int]
    body: list[Statement]


@dataclass(eq=False)
class Match(Statement):
    """Selects a case by an integer or enum value. `kind` is the enum, when it is one."""

    subject: Expression
    kind: EnumType | None
    cases: list[MatchCase]


@dataclass(eq=False)
class Return(Statement):
    """Leaves the function."""

    value: Expression | None


@dataclass(eq=False)
class Break(Statement):
    """Leaves the innermost loop."""


@dataclass(eq=False)
class Continue(Statement):
    """Next round of the innermost loop."""


@dataclass(eq=False)
class Panic(Statement):
    """Stops with a message."""

    message: str


@dataclass(eq=False)
class Hole(Statement):
    """A refused statement; `parts` are what could be compiled of it. Only in programs that have errors."""

    parts: list[Statement]


@dataclass(eq=False)
class Body:
    """A compiled function: what the frontend makes of one @fn.

    Members
    -------
    function : declare.Function
    parameters : list[Variable]
    locals : list[Variable]
        Everything assigned, in order of appearance, without the parameters.
    result : Type
    statements : list[Statement]
    """

    function: Any
    parameters: list[Variable]
    result: Type
    locals: list[Variable] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)

    nodes: tuple[Node, ...] | None = field(default=None, init=False)

    def walk(self) -> tuple[Node, ...]:
        """Every node of the function, which from here on stays as it is: walks are most of what a build does."""
        if self.nodes is None:
            self.nodes = tuple(node for statement in self.statements for node in statement.walk())
        return self.nodes
