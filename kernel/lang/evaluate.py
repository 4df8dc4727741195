"""Runs the typed tree in Python: the judge of generated C, and the plainest statement of what the tree means.

Slow and simple on purpose. Structs are dicts, arrays are lists, a pointer is a (container, key) pair, a span is a list
with a start and a length. A failed check raises Stopped with its line and values, where C calls kernel_panic.
"""

import copy as python_copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kernel.lang import tree, types
from kernel.lang.declare import Function, Variable
from kernel.lang.program import Program
from kernel.lang.types import ArrayType, BitsType, EnumType, IntType, StructType, Type
from kernel.lang.walk import Walker, overwrite


class Stopped(Exception):
    """A check failed: the line, and the values that the panic carries."""

    def __init__(self, node: tree.Node, *values: int):
        self.line = node.span.line
        self.values = values
        super().__init__(f"line {self.line}: {values}")


@dataclass(frozen=True)
class Pointer:
    """Points at container[key]."""

    container: Any
    key: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pointer) and self.container is other.container and self.key == other.key

    def __hash__(self) -> int:
        return hash((id(self.container), self.key))


@dataclass
class Slice:
    """A Span, View or Str."""

    items: Any
    start: int
    length: int


def zero_value(kind: Type) -> Any:
    """The all-zero value of a type."""
    if isinstance(kind, StructType):
        return {name: zero_value(field.type) for name, field in kind.fields.items()}
    if isinstance(kind, ArrayType):
        return [zero_value(kind.element) for _ in range(kind.count)]
    if isinstance(kind, types.PtrType):
        return None
    if isinstance(kind, types.SpanType):
        return Slice([], 0, 0)
    return False if kind is types.BOOL else 0


class Evaluator(Walker):
    """Evaluates functions of one program; module variables keep their values between calls."""

    def __init__(self, program: Program):
        self.program = program
        self.globals: dict[Variable, Any] = {}
        for variable, initial in program.variables.items():
            self.globals[variable] = zero_value(variable.type) if initial is None else self.value(initial, {})

    def call(self, function: Function, arguments: Sequence[Any]) -> Any:
        """Calls a function with evaluated arguments."""
        return self.run_body(function, arguments)

    def decide(self, condition: Any) -> bool:
        """Which way a condition goes."""
        return condition

    def require(self, condition: Any, node: tree.Node, *values: int) -> None:
        """A check of the language."""
        if not condition:
            raise Stopped(node, *values)

    def one_of(self, subject: Any, values: Sequence[int]) -> Any:
        """Whether a value is one of some constants."""
        return subject in values

    # Statements

    def _assign(self, node: tree.Assign, frame: dict[Any, Any]) -> None:
        value = self.value(node.value, frame)
        target = self.place(node.target, frame)
        if isinstance(value, (dict, list)) and target.key in target.container:
            overwrite(target.container[target.key], value)  # A local has one place, whatever points at it.
        else:
            target.container[target.key] = value

    def _copy(self, node: tree.Copy, frame: dict[Any, Any]) -> None:
        target = self.value(node.target, frame)
        source = self.value(node.source, frame)
        overwrite(target, python_copy.copy(source) if source is target else source)

    def _for(self, node: tree.For, frame: dict[Any, Any]) -> None:
        start, stop = self.value(node.start, frame), self.value(node.stop, frame)
        count = tree.rounds(start, stop, node.step)
        if count > node.bound:
            raise Stopped(node, count)
        for value in range(start, stop, node.step):
            frame[node.variable] = value
            if self.round(node.body, frame):
                break

    # Places

    def place(self, node: tree.Expression, frame: dict[Any, Any]) -> Pointer:
        """The container and key of a place."""
        match node:
            case tree.Local():
                return Pointer(frame, node.variable)
            case tree.Global():
                return Pointer(self.globals, node.variable)
            case tree.Field():
                return Pointer(self.value(node.base, frame), node.name)
            case tree.Deref():
                return self.value(node.pointer, frame)
            case tree.Element():
                base = self.value(node.base, frame)
                index = self.value(node.index, frame)
                length = base.length if isinstance(base, Slice) else len(base)
                if index >= length:
                    raise Stopped(node, index, length)
                return Pointer(base.items, base.start + index) if isinstance(base, Slice) else Pointer(base, index)
        raise AssertionError(f"{type(node).__name__} is no place")

    # Expressions

    def value(self, node: tree.Expression, frame: dict[Any, Any]) -> Any:
        """The value of an expression."""
        match node:
            case tree.Local() | tree.Global() | tree.Field() | tree.Element() | tree.Deref():
                place = self.place(node, frame)
                return place.container[place.key]
            case tree.Const():
                return node.value
            case tree.Text():
                return Slice(node.data, 0, len(node.data))
            case tree.FnRef():
                return node.function
            case tree.AddressOf():
                return self.place(node.place, frame)
            case tree.Unary():
                return self.unary(node, self.value(node.operand, frame))
            case tree.Binary():
                left = self.value(node.left, frame)
                return self.binary(node, left, self.value(node.right, frame))
            case tree.Compare():
                left = self.value(node.left, frame)
                return compare(node.op, left, self.value(node.right, frame))
            case tree.Logic():
                left = self.value(node.left, frame)
                return left if left == (node.op == "or") else self.value(node.right, frame)
            case tree.Select():
                return self.value(node.then if self.value(node.condition, frame) else node.otherwise, frame)
            case tree.Convert():
                return self.convert(node, self.value(node.operand, frame))
            case tree.Some():
                pointer = self.value(node.operand, frame)
                if pointer is None:
                    raise Stopped(node)
                return pointer
            case tree.BitsGet():
                bits = self.value(node.operand, frame) >> node.bits.lsb & (1 << node.bits.width) - 1
                if isinstance(node.type, EnumType) and bits not in node.type.members.values():
                    raise Stopped(node, bits)
                return bool(bits) if node.type is types.BOOL else bits
            case tree.BitsSet():
                return self.set_bits(node, frame)
            case tree.New():
                made = zero_value(node.type)
                for key, item in zip(node.keys, node.values, strict=True):
                    made[key] = self.value(item, frame)
                return made
            case tree.MakeSpan():
                return self.make_span(node, frame)
            case tree.SpanLength():
                return self.value(node.operand, frame).length
            case tree.Checked():
                index = self.value(node.operand, frame)
                if index >= node.length:
                    raise Stopped(node, index, node.length)
                return index
            case tree.Call():
                arguments = [self.value(a, frame) for a in node.arguments]
                if isinstance(node.function, Function):
                    return self.call(node.function, arguments)
                return node.function(*arguments)
            case tree.CallPointer():
                target = self.value(node.pointer, frame)
                return self.call(target, [self.value(a, frame) for a in node.arguments])
            case tree.VolatileRead():
                pointer = self.value(node.pointer, frame)
                return pointer.container[pointer.key]
            case tree.VolatileWrite():
                pointer = self.value(node.pointer, frame)
                pointer.container[pointer.key] = self.value(node.value, frame)
                return None
            case tree.RegisterRead():
                block = self.value(node.block, frame)
                return block.read(self.value(node.offset, frame), node.width)
            case tree.RegisterWrite():
                block = self.value(node.block, frame)
                offset = self.value(node.offset, frame)
                return block.write(offset, node.width, self.value(node.value, frame))
        raise NotImplementedError(f"{type(node).__name__} has no meaning outside of a machine")

    def unary(self, node: tree.Unary, operand: Any) -> Any:
        """`not - ~` and the bit counts."""
        if node.op == "not":
            return not operand
        kind = node.type
        assert isinstance(kind, IntType)
        if node.op == "~":
            return kind.wrap(~operand)
        if node.op == "-":
            return self.checked(node, kind, -operand, 0, operand)
        text = f"{operand:0{kind.width}b}"
        if node.op == "clz":
            return len(text) - len(text.lstrip("0"))
        if node.op == "ctz":
            return len(text) - len(text.rstrip("0"))
        if node.op == "popcount":
            return text.count("1")
        return int.from_bytes(operand.to_bytes(kind.size, "little"), "big")

    def checked(self, node: tree.Node, kind: IntType, result: int, *operands: int) -> int:
        """A result that must fit, unless the type wraps."""
        if kind.wrapping:
            return kind.wrap(result)
        if not kind.holds(result):
            raise Stopped(node, *operands)
        return result

    def binary(self, node: tree.Binary, left: Any, right: Any) -> Any:
        """Arithmetic, bits, shifts."""
        kind, op = node.type, node.op
        if op in ("&", "|", "^"):
            return left & right if op == "&" else left | right if op == "|" else left ^ right
        assert isinstance(kind, IntType)
        if op in ("min", "max"):
            return min(left, right) if op == "min" else max(left, right)
        if op in ("<<", ">>"):
            if right >= kind.width:
                raise Stopped(node, left, right)
            return kind.wrap(left << right) if op == "<<" else left >> right
        if op in ("//", "%"):
            if right == 0:
                raise Stopped(node, left, right)
            return self.checked(node, kind, left // right, left, right) if op == "//" else left % right
        result = left + right if op == "+" else left - right if op == "-" else left * right
        return self.checked(node, kind, result, left, right)

    def convert(self, node: tree.Convert, operand: Any) -> Any:
        """Conversions between scalar types."""
        kind = node.type
        if node.kind == "trunc":
            assert isinstance(kind, IntType)
            return kind.wrap(operand)
        if node.kind == "exact":
            assert isinstance(kind, IntType)
            if not kind.holds(operand):
                raise Stopped(node, operand)
        if node.kind == "member":
            assert isinstance(kind, EnumType)
            if operand not in kind.members.values():
                raise Stopped(node, operand)
        return int(operand) if isinstance(kind, IntType) else operand

    def set_bits(self, node: tree.BitsSet, frame: dict[Any, Any]) -> int:
        """A bit-field value with one field replaced."""
        value, old = int(self.value(node.value, frame)), self.value(node.operand, frame)
        maximum = (1 << node.bits.width) - 1
        if value > maximum:
            raise Stopped(node, value, maximum)
        assert isinstance(node.type, BitsType)
        return old & ~(maximum << node.bits.lsb) | value << node.bits.lsb

    def make_span(self, node: tree.MakeSpan, frame: dict[Any, Any]) -> Slice:
        """All of an array, or part of a span."""
        base = self.value(node.base, frame)
        if isinstance(base, Pointer):
            items = base.container[base.key]
            return Slice(items, 0, len(items))
        start = 0 if node.start is None else self.value(node.start, frame)
        stop = base.length if node.stop is None else self.value(node.stop, frame)
        if start > stop or stop > base.length:
            raise Stopped(node, start, stop)
        return Slice(base.items, base.start + start, stop - start)


def compare(op: str, left: Any, right: Any) -> bool:
    """`left op right`."""
    if op in ("==", "!="):
        return (left == right) == (op == "==")
    if op in ("<", ">="):
        return (left < right) == (op == "<")
    return (left > right) == (op == ">")
