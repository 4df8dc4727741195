"""Frontend: expressions. Types every operand, folds what is known at compile time, and refuses implicit conversion.

An expression is either a typed tree node or `Static`, a value known at compile time (see constants.py).
"""

import ast
import enum
import operator
from dataclasses import dataclass
from typing import Any

from kernel.lang import declare, tree, types
from kernel.lang.constants import Constants, Static, Value, describe, did_you_mean
from kernel.lang.declare import Function
from kernel.lang.errors import Refused, Span
from kernel.lang.types import (
    BOOL,
    ArrayType,
    BitField,
    BitsType,
    EnumType,
    FnPtrType,
    HandleType,
    IntType,
    PtrType,
    RegistersType,
    SpanType,
    StructType,
    Type,
)

BINARY = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.BitXor: "^",
    ast.LShift: "<<",
    ast.RShift: ">>",
}
NO_OPERATOR = {
    ast.Div: ("/", "// rounds down"),
    ast.Pow: ("**", "multiply, or shift for a power of two"),
    ast.MatMult: ("@", "call a function"),
}
HEAP = {
    ast.Dict: "dict",
    ast.Set: "set",
    ast.ListComp: "list comprehension",
    ast.SetComp: "set comprehension",
    ast.DictComp: "dict comprehension",
    ast.GeneratorExp: "generator",
    ast.JoinedStr: "f-string",
}
COMPARE = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
FOLD: dict[str, Any] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
    "<<": operator.lshift,
    ">>": operator.rshift,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass
class RegisterRef:
    """`block.name`, or `block.name[i]...`, of a register block: only good for .read(), .write(), .modify()."""

    block: tree.Expression
    register: Any
    indices: list[tree.Expression]
    span: Span


PLACES = (tree.Local, tree.Global, tree.Field, tree.Element, tree.Deref)


class Expressions(Constants):
    """Types the expressions of one function."""

    # Entry points

    def value(self, node: ast.expr, want: Type | None, code: str = "K201") -> tree.Expression:
        """A typed value; of exactly the type `want` where one is given."""
        found = self.expression(node, want)
        if want is None:
            if isinstance(found, Static):
                return self._typed_static(found, node)
            return found
        return self.coerce(found, want, node, code)

    def operand(self, node: ast.expr) -> Value:
        """A value whose type, when Static, the other operand decides."""
        return self.expression(node, None)

    # Expressions by kind of syntax

    def expression(self, node: ast.expr, want: Type | None) -> Value:
        """One expression. `want` guides literals only; the caller still checks the type."""
        found = self.any_expression(node, want)
        if isinstance(found, RegisterRef):
            raise self.refuse("K307", node, ast.unparse(node))
        return found

    def any_expression(self, node: ast.expr, want: Type | None) -> Value | RegisterRef:
        """One expression, or a reference to a register."""
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            code = "K126" if type(node) in HEAP else "K120"
            raise self.refuse(code, node, HEAP.get(type(node), type(node).__name__.lower()))
        return method(node, want)

    def _constant(self, node: ast.Constant, want: Type | None) -> Value:
        if isinstance(node.value, (float, complex)) or node.value is ...:
            raise self.refuse("K120", node, f"{node.value!r} is not an integer")
        return Static(node.value, self.span(node))

    def _name(self, node: ast.Name, want: Type | None) -> Value:
        name = node.id
        if name in self.poisoned:
            raise Refused
        if name in self.locals:
            variable = self.locals[name]
            return tree.Local(self.span(node), variable.type, variable)
        if name in self.assigned and name != "_":
            raise self.refuse("K113", node, name)
        if name not in self.names:
            builtins = self.names.get("__builtins__", {})
            found = builtins if isinstance(builtins, dict) else vars(builtins)
            if name not in found:
                fix = did_you_mean(name, [*self.locals, *self.names])
                raise self.refuse("K110", node, name, fix)
            return self.static(found[name], node)
        return self.static(self.names[name], node)

    def static(self, value: Any, node: ast.AST) -> Value:
        """A captured value; variables of modules become places, what differs by target is chosen."""
        if isinstance(value, declare.ByArch):
            arch = self.arch or "host"
            if arch not in value.choices:
                name = ast.unparse(node)
                raise self.refuse("K107", node, f"{name} has no value for {arch}", f"give its by_arch(...) a {arch}=")
            value = value.choices[arch]
        if isinstance(value, declare.Later):
            value = value.resolve()
        if isinstance(value, declare.Variable):
            return tree.Global(self.span(node), value.type, value)
        return Static(value, self.span(node))

    def _list(self, node: ast.List, want: Type | None) -> Value:
        if not isinstance(want, ArrayType):
            raise self.refuse("K126", node, "list")
        items = [self.value(item, want.element) for item in node.elts]
        return self._array(items, want, self.span(node), node)

    def _attribute(self, node: ast.Attribute, want: Type | None) -> Value | RegisterRef:
        base = self.expression(node.value, None)
        if isinstance(base, Static):
            try:
                value = getattr(base.value, node.attr)
            except AttributeError:
                fix = did_you_mean(node.attr, dir(base.value))
                raise self.refuse("K207", node, f"{describe(base.value)} has no {node.attr}", fix) from None
            return self.static(value, node)
        kind = base.type
        if isinstance(kind, BitsType):
            bits = self.bit_field(kind, node)
            return tree.BitsGet(self.span(node), bits.type, base, bits)
        if isinstance(kind, PtrType):
            if kind.nullable:
                raise self.refuse("K213", node.value, kind.name)
            target = types.target_of(kind)
            if isinstance(target, RegistersType):
                if node.attr not in target.registers:
                    raise self.refuse_field(node, target.name, node.attr, target.registers)
                return RegisterRef(base, target.registers[node.attr], [], self.span(node))
            if node.attr == "value" and not isinstance(target, StructType):
                return tree.Deref(self.span(node), target, base)
            if isinstance(target, BitsType) and node.attr in target.fields:
                fix = f"write {ast.unparse(node.value)}.value.{node.attr}"
                raise self.refuse("K207", node, f"{kind.name} has no fields of its own", fix)
            base, kind = tree.Deref(self.span(node.value), target, base), target
        if isinstance(kind, StructType):
            if node.attr not in self.struct_fields(kind, node):
                raise self.refuse_field(node, kind.name, node.attr, kind.fields)
            return tree.Field(self.span(node), kind.fields[node.attr].type, base, node.attr)
        raise self.refuse("K207", node, f"{kind.name} has no fields")

    def struct_fields(self, kind: StructType, node: ast.AST) -> dict[str, types.Field]:
        """The fields; a bad annotation inside the struct is shown where the struct is used."""
        try:
            return kind.fields
        except TypeError as error:
            raise self.refuse_type(node, error) from None

    def bit_field(self, kind: Type, node: ast.Attribute) -> BitField:
        """The bit field an attribute names."""
        assert isinstance(kind, BitsType)
        if node.attr not in kind.fields:
            raise self.refuse_field(node, kind.name, node.attr, kind.fields)
        return kind.fields[node.attr]

    def fit_bits(self, value: tree.Expression, bits: BitField, node: ast.AST) -> tree.Expression:
        """Refuses a constant that does not fit a bit field."""
        if isinstance(value, tree.Const) and int(value.value) >> bits.width:
            raise self.refuse("K205", node, f"{value.value} does not fit the {bits.width} bits of {bits.name}")
        return value

    def pointed(self, value: Value) -> tree.Expression:
        """Follows a pointer to an array, so that p[i] works like array[i]."""
        assert isinstance(value, tree.Expression)
        if isinstance(value.type, PtrType) and not value.type.nullable:
            return tree.Deref(value.span, types.target_of(value.type), value)
        return value

    def _subscript(self, node: ast.Subscript, want: Type | None) -> Value | RegisterRef:
        base = self.any_expression(node.value, None)
        if isinstance(base, Static):
            return self._static_subscript(base, node)
        if isinstance(base, RegisterRef):
            return RegisterRef(
                base.block, base.register, [*base.indices, self.index(node.slice, None)], self.span(node)
            )
        if isinstance(base.type, PtrType) and base.type.nullable:
            raise self.refuse("K213", node.value, base.type.name)
        array = self.pointed(base)
        if not isinstance(array.type, (ArrayType, SpanType)):
            raise self.refuse("K210", node, array.type.name)
        if isinstance(node.slice, ast.Slice):
            return self._slice(node, array)
        count = array.type.count if isinstance(array.type, ArrayType) else None
        return tree.Element(self.span(node), array.type.element, array, self.index(node.slice, count))

    def index(self, node: ast.expr, count: int | None) -> tree.Expression:
        """An index: any unsigned integer; constants are checked here."""
        found = self.expression(node, types.usize)
        if (
            isinstance(found, Static)
            and isinstance(found.value, int)
            and not isinstance(found.value, (bool, enum.Enum))
        ):
            if found.value < 0 or (count is not None and found.value >= count):
                raise self.refuse("K211", node, f"{found.value} where the length is {count or 'unknown'}")
            return tree.Const(found.span, types.usize, found.value)
        if isinstance(found, tree.Expression) and isinstance(found.type, IntType) and not found.type.signed:
            if isinstance(found, tree.Const) and count is not None and found.value >= count:
                raise self.refuse("K211", node, f"{found.value} where the length is {count}")
            return found
        kind = found.type.name if isinstance(found, tree.Expression) else describe(found.value)
        raise self.refuse("K210", node, f"the index is {kind}")

    def _slice(self, node: ast.Subscript, base: tree.Expression) -> tree.Expression:
        part = node.slice
        assert isinstance(part, ast.Slice)
        if part.step is not None:
            raise self.refuse("K120", part.step, "step of a slice")
        whole = self.whole_span(base, node)
        assert isinstance(whole.type, SpanType)
        start, stop = (None if p is None else self.value(p, types.usize) for p in (part.lower, part.upper))
        kind = whole.type if whole.type is not types.STR else types.View[types.u8]
        return tree.MakeSpan(self.span(node), kind, whole, start, stop)

    def whole_span(self, base: tree.Expression, node: ast.AST) -> tree.Expression:
        """All of an array (Span where it is writable, View of a constant), or the span itself."""
        if isinstance(base.type, SpanType):
            return base
        if not isinstance(base.type, ArrayType) or not is_place(base):
            raise self.refuse("K210", node, base.type.name)
        make = types.View if _read_only(base) else types.Span
        pointer = tree.AddressOf(base.span, types.Ptr[base.type], base)
        return tree.MakeSpan(base.span, make[base.type.element], pointer, None, None)

    def _static_subscript(self, base: Static, node: ast.Subscript) -> Value:
        if isinstance(base.value, str) and not isinstance(base.value, enum.Enum):
            text = tree.Text(base.span, types.STR, base.value.encode())
            if isinstance(node.slice, ast.Slice):
                return self._slice(node, text)
            index = self.index(node.slice, len(text.data))
            if isinstance(index, tree.Const):
                return tree.Const(self.span(node), types.u8, text.data[index.value])
            return tree.Element(self.span(node), types.u8, text, index)
        index = self.expression(node.slice, None) if not isinstance(node.slice, (ast.Slice, ast.Tuple)) else None
        if isinstance(node.slice, ast.Tuple):
            parts = [self.expression(n, None) for n in node.slice.elts]
            if all(isinstance(part, Static) for part in parts):
                index = Static(tuple(part.value for part in parts), base.span)  # type: ignore[union-attr]
        if not isinstance(index, Static) and isinstance(base.value, types.Brackets):
            raise self.refuse(
                "K103", node, f"{ast.unparse(node)} holds a value", "types are made of types and constants"
            )
        if not isinstance(index, Static):
            raise self.refuse(
                "K115", node, f"{describe(base.value)} indexed at run time", "make it constant(Array[T, N], [...])"
            )
        try:
            return self.static(base.value[index.value], node)
        except Exception as error:
            raise self.refuse("K211", node, str(error)) from None

    def _unaryop(self, node: ast.UnaryOp, want: Type | None) -> Value:
        if isinstance(node.op, ast.Not):
            value = self.expression(node.operand, BOOL)
            if isinstance(value, Static) and isinstance(value.value, bool):
                return Static(not value.value, self.span(node))
            if not isinstance(value, tree.Expression) or value.type is not BOOL:
                raise self.refuse("K204", node.operand)
            return tree.Unary(self.span(node), BOOL, "not", value)
        value = self.expression(node.operand, want)
        op = {ast.USub: "-", ast.Invert: "~"}.get(type(node.op))
        if isinstance(value, Static):
            if not isinstance(value.value, int) or isinstance(value.value, (bool, enum.Enum)) or op is None:
                raise self.refuse("K203", node, f"{ast.unparse(node)}")
            return Static(-value.value if op == "-" else ~value.value, self.span(node))
        kind = value.type
        if not isinstance(kind, IntType) or op is None or (op == "-" and not (kind.signed or kind.wrapping)):
            raise self.refuse("K203", node, f"{op or '+'} of {kind.name}")
        return tree.Unary(self.span(node), kind, op, value)

    def _binop(self, node: ast.BinOp, want: Type | None) -> Value:
        shift = isinstance(node.op, (ast.LShift, ast.RShift))
        left, right = self.both(node.left, want, node.right, None if shift else want)
        return self.binary(node, node.op, left, right)

    def both(self, left: ast.expr, want_left: Type | None, right: ast.expr, want_right: Type | None) -> list[Value]:
        """Two operands; errors of both are found."""
        found: list[Value] = []
        for node, want in ((left, want_left), (right, want_right)):
            try:
                found.append(self.expression(node, want))
            except Refused:
                continue
        if len(found) < 2:
            raise Refused
        return found

    def binary(self, node: ast.AST, op: ast.operator, left: Value, right: Value) -> Any:
        """`left op right`; folded when both are Static."""
        symbol = BINARY.get(type(op))
        if symbol is None:
            symbol, fix = NO_OPERATOR[type(op)]
            raise self.refuse("K203", node, symbol, fix)
        span = self.span(node)
        if isinstance(left, Static) and isinstance(right, Static):
            return self._fold(node, symbol, left, right)
        if symbol in ("<<", ">>"):
            return self._shift(node, symbol, left, right)
        kind = left.type if isinstance(left, tree.Expression) else right.type  # type: ignore[union-attr]
        boolean = kind is BOOL and symbol in "&|^"
        if not isinstance(kind, IntType) and not boolean:
            raise self.refuse("K203", node, f"{symbol} of {kind.name}")
        sides = self._same(node, left, right, kind)
        if symbol in ("//", "%") and isinstance(sides[1], tree.Const) and sides[1].value == 0:
            raise self.refuse("K217", node)
        first, second = sides
        if symbol in "&|^" and isinstance(first, tree.Const) and isinstance(second, tree.Const):
            return tree.Const(span, kind, FOLD[symbol](first.value, second.value))
        return tree.Binary(span, kind, symbol, *sides)

    def _same(self, node: ast.AST, left: Value, right: Value, kind: Type) -> tuple[tree.Expression, tree.Expression]:
        if isinstance(left, tree.Expression) and isinstance(right, tree.Expression) and left.type is not right.type:
            if isinstance(left.type, PtrType) and isinstance(right.type, PtrType):
                if left.type.optional() is right.type.optional():  # Equal or not: None is no obstacle.
                    kind = left.type.optional()
                    return self.coerce(left, kind, node), self.coerce(right, kind, node)
            code = "K218" if isinstance(left.type, HandleType) or isinstance(right.type, HandleType) else "K201"
            raise self.refuse(
                code,
                node,
                f"left is {left.type.name}, right is {right.type.name}",
                self._operand_fix(node, left, right),
            )
        first, second = node, node
        if isinstance(node, ast.BinOp):
            first, second = node.left, node.right
        elif isinstance(node, ast.Compare):
            first, second = node.left, node.comparators[0]
        elif isinstance(node, ast.AugAssign):
            first, second = node.target, node.value
        elif isinstance(node, ast.Call):
            first, second = node.args
        return self.coerce(left, kind, first), self.coerce(right, kind, second)

    def _operand_fix(self, node: ast.AST, left: tree.Expression, right: tree.Expression) -> str:
        if not isinstance(node, ast.BinOp) or not isinstance(left.type, IntType) or not isinstance(right.type, IntType):
            return ""
        if left.type.widens_to(right.type):
            return f"write {right.type.name}({ast.unparse(node.left)})"
        if right.type.widens_to(left.type):
            return f"write {left.type.name}({ast.unparse(node.right)})"
        return ""

    def _shift(self, node: ast.AST, symbol: str, left: Value, right: Value) -> tree.Expression:
        if isinstance(left, Static):
            raise self.refuse("K112", node, f"{left.value} is a constant", f"give it a type: u64({left.value})")
        kind = left.type
        if not isinstance(kind, IntType):
            raise self.refuse("K203", node, f"{symbol} of {kind.name}")
        if isinstance(right, Static):
            if not isinstance(right.value, int) or isinstance(right.value, (bool, enum.Enum)):
                raise self.refuse("K203", node, f"shift by {describe(right.value)}", "shift by an unsigned integer")
            if not 0 <= right.value < kind.width:
                raise self.refuse("K216", node, f"{right.value} for {kind.name}")
            count: tree.Expression = tree.Const(right.span, types.u8, right.value)
        else:
            count = right
            if isinstance(count, tree.Const) and not 0 <= int(count.value) < kind.width:
                raise self.refuse("K216", node, f"{count.value} for {kind.name}")
            if not isinstance(count.type, IntType) or count.type.signed:
                raise self.refuse("K203", node, f"shift by {count.type.name}", "shift by an unsigned integer")
        return tree.Binary(self.span(node), kind, symbol, left, count)

    def _fold(self, node: ast.AST, symbol: str, left: Static, right: Static) -> Static:
        for side in (left, right):
            if isinstance(side.value, (enum.Enum, Type, Function)) or not isinstance(side.value, (int, str)):
                raise self.refuse("K203", node, f"{symbol} of {describe(side.value)}")
        if symbol == "<<" and isinstance(right.value, int) and right.value > 4096:
            raise self.refuse("K216", node, f"{right.value}")
        try:
            return Static(FOLD[symbol](left.value, right.value), self.span(node))
        except ZeroDivisionError:
            raise self.refuse("K217", node) from None
        except (TypeError, ValueError) as error:
            raise self.refuse("K203", node, str(error)) from None

    def _boolop(self, node: ast.BoolOp, want: Type | None) -> Value:
        op = "and" if isinstance(node.op, ast.And) else "or"
        values, good = [], True
        for item in node.values:
            try:
                values.append(self._bool(item))
            except Refused:
                good = False
        if not good:
            raise Refused
        result = values[0]
        for right in values[1:]:
            if isinstance(result, tree.Const):  # Decided at compile time.
                result = right if bool(result.value) == (op == "and") else result
            else:
                result = tree.Logic(self.span(node), BOOL, op, result, right)
        return Static(result.value, self.span(node)) if isinstance(result, tree.Const) else result

    def _bool(self, node: ast.expr) -> tree.Expression:
        value = self.expression(node, BOOL)
        if isinstance(value, Static) and isinstance(value.value, bool):
            return tree.Const(value.span, BOOL, value.value)
        if isinstance(value, tree.Expression) and value.type is BOOL:
            return value
        kind = value.type.name if isinstance(value, tree.Expression) else describe(value.value)
        raise self.refuse("K204", node, f"it is {kind}")

    def _ifexp(self, node: ast.IfExp, want: Type | None) -> Value:
        condition = self._bool(node.test)
        if isinstance(condition, tree.Const):
            return self.expression(node.body if condition.value else node.orelse, want)
        left, right = self.both(node.body, want, node.orelse, want)
        kind = want
        for side in (right, left):
            kind = side.type if isinstance(side, tree.Expression) else kind
        if isinstance(kind, PtrType) and any(_may_be_none(side) for side in (left, right)):
            kind = kind.optional()
        if kind is None:
            kind = self._typed_static(left, node.body).type  # type: ignore[arg-type]
        if kind.aggregate:
            raise self.refuse("K206", node, kind.name)
        return tree.Select(
            self.span(node), kind, condition, self.coerce(left, kind, node.body), self.coerce(right, kind, node.orelse)
        )

    def _compare(self, node: ast.Compare, want: Type | None) -> Value:
        if len(node.ops) > 1:
            raise self.refuse("K120", node, "chained comparison", "join two comparisons with `and`")
        op = node.ops[0]
        if isinstance(op, (ast.In, ast.NotIn)):
            raise self.refuse("K120", node, "`in`", "compare with each value")
        left, right = self.both(node.left, None, node.comparators[0], None)
        if isinstance(op, (ast.Is, ast.IsNot)):
            return self._is_none(node, left, right, isinstance(op, ast.IsNot))
        symbol = COMPARE[type(op)]
        if isinstance(left, Static) and isinstance(right, Static):
            if type(left.value) is not type(right.value):
                detail = f"{describe(left.value)} and {describe(right.value)}"
                raise self.refuse("K201", node, detail, "compare values of one type")
            try:
                return Static(bool(FOLD[symbol](left.value, right.value)), self.span(node))
            except TypeError as error:
                raise self.refuse("K203", node, str(error)) from None
        kind = left.type if isinstance(left, tree.Expression) else right.type  # type: ignore[union-attr]
        ordered = isinstance(kind, IntType)
        equal = kind is BOOL or isinstance(kind, (EnumType, HandleType, BitsType, PtrType, FnPtrType))
        if not ordered and not (equal and symbol in ("==", "!=")):
            raise self.refuse("K203", node, f"{symbol} of {kind.name}")
        return tree.Compare(self.span(node), BOOL, symbol, *self._same(node, left, right, kind))

    def _is_none(self, node: ast.Compare, left: Value, right: Value, negated: bool) -> tree.Expression:
        if not isinstance(right, Static) or right.value is not None:
            raise self.refuse("K120", node, "`is`", "`is` compares with None only; use ==")
        if not isinstance(left, tree.Expression) or not isinstance(left.type, PtrType) or not left.type.nullable:
            raise self.refuse("K203", node, "it is never None")
        none = tree.Const(right.span, left.type, None)
        return tree.Compare(self.span(node), BOOL, "!=" if negated else "==", left, none)

    def _call(self, node: ast.Call, want: Type | None) -> Value:
        from kernel.lang import calls

        return calls.call(self, node, want)

    def statement_call(self, node: ast.Call) -> Any:
        """A call that is a statement of its own kind (copy, panic), or None."""
        from kernel.lang import calls

        return calls.statement(self, node)

    # Places

    def place(self, node: ast.expr, code: str) -> tree.Expression:
        """An expression that names memory."""
        found = self.expression(node, None)
        if isinstance(found, Static):
            name = ast.unparse(node)
            raise self.refuse("K114" if isinstance(node, ast.Name) else code, node, name)
        if not is_place(found):
            raise self.refuse(code, node, ast.unparse(node))
        return found

    def check_writable(self, place: tree.Expression, node: ast.AST) -> None:
        """Refuses constants and read-only views."""
        if _read_only(place):
            raise self.refuse("K219", node, ast.unparse(node))


def _may_be_none(value: Value) -> bool:
    if isinstance(value, Static):
        return value.value is None
    return isinstance(value.type, PtrType) and value.type.nullable


def is_place(value: tree.Expression) -> bool:
    """Whether it names memory; a field of a call's result does not."""
    if isinstance(value, tree.Element) and isinstance(value.base.type, SpanType):
        return True
    if isinstance(value, (tree.Field, tree.Element)):
        return is_place(value.base)
    return isinstance(value, PLACES)


def _read_only(place: tree.Expression) -> bool:
    if isinstance(place, tree.Global):
        return place.variable.constant
    if isinstance(place, tree.Element) and isinstance(place.base.type, SpanType):
        return not place.base.type.writable
    if isinstance(place, (tree.Field, tree.Element)):
        return _read_only(place.base)
    return False
