"""Walks the typed tree along one path. Where a condition is not known, `Path.decide` says which way it goes.

Conditions that cannot panic, call or loop are not forked on: `and`, `or` and `x if c else y` of such parts become
terms. Everything else that branches makes a path.
"""

# Z3's own annotations are unions of everything that a call may give.
# pyright: reportArgumentType=false, reportReturnType=false, reportAttributeAccessIssue=false
# pyright: reportOperatorIssue=false, reportCallIssue=false

import linecache
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import z3

from kernel.lang import tree, types
from kernel.lang.declare import Function
from kernel.lang.symbolic import arithmetic, memory
from kernel.lang.symbolic.values import (
    NULL,
    Cell,
    Pointer,
    Slice,
    constant,
    resize,
    width_of,
    zero_value,
)
from kernel.lang.types import ArrayType, EnumType, IntType, StructType, Type
from kernel.lang.walk import Walker, overwrite


def source_text(node: tree.Node) -> str:
    """How a node is written; of one that spans lines, the first."""
    span = node.span
    return linecache.getline(span.file, span.line)[span.column : span.end_column]


class Executor(Walker):
    """Statements and expressions; `Path` in explore.py adds the decisions and the solver."""

    memory: memory.Memory
    removed: dict[int, bool]
    contracts: dict[Function, Callable[..., Any]]
    cuts: dict[Function, Callable[..., None] | None]
    function: Function | None = None

    def one_of(self, subject: Any, values: Sequence[int]) -> Any:
        """Whether a value is one of some constants."""
        return z3.Or([subject == z3.BitVecVal(value, subject.size()) for value in values])

    @abstractmethod
    def assume(self, condition: Any) -> None:
        """Something that holds."""

    def touch(self, place: Pointer) -> None:
        """A scalar in memory is about to be read or written."""

    @abstractmethod
    def variable_place(self, variable: Any) -> Any:
        """Where a module variable is."""

    # Functions

    def call(self, function: Function, *arguments: Any) -> Any:
        """Calls a function; a contract stands in for it, where there is one."""
        if function in self.contracts:
            return self.contracts[function](self, *arguments)
        caller, self.function = self.function, function
        try:
            return self.run_body(function, arguments)
        finally:
            self.function = caller

    # Statements

    def statement(self, node: tree.Statement, frame: dict[Any, Any]) -> None:
        """Runs a statement that was not taken out."""
        if id(node) not in self.removed:
            super().statement(node, frame)

    def _assign(self, node: tree.Assign, frame: dict[Any, Any]) -> None:
        value = self.value(node.value, frame)
        target = self.place(node.target, frame)
        if isinstance(target, Cell) and isinstance(value, (dict, list)) and target.key in target.container:
            overwrite(target.container[target.key], value)
        else:
            self.store(target, value, node.target.type)

    def _copy(self, node: tree.Copy, frame: dict[Any, Any]) -> None:
        target, source = self.value(node.target, frame), self.value(node.source, frame)
        self.copy_into(target, self.snapshot(source), node.target.type)

    def _for(self, node: tree.For, frame: dict[Any, Any]) -> None:
        start, stop = self.value(node.start, frame), self.value(node.stop, frame)
        kind = node.variable.type
        signed = isinstance(kind, IntType) and kind.signed
        # One bit more: the value after the last round may be out of the type's range.
        width = start.size()
        value, end = (resize(bound, width + 8, signed) for bound in (start, stop))
        if self.function in self.cuts:
            self.cut_for(node, frame, value, end)
            return
        turn = 0
        while self.decide(value < end if node.step > 0 else value > end):
            self.require(turn < node.bound, node)
            turn += 1
            frame[node.variable] = z3.simplify(z3.Extract(width - 1, 0, value))
            if self.round(node.body, frame):
                break
            value = z3.simplify(value + node.step)

    def cut_for(self, node: tree.For, frame: dict[Any, Any], value: Any, end: Any) -> None:
        """Any number of rounds: whatever the loop may write is unknown, but for the invariant that the proof gives.

        One path runs one round, any of them, from such a state, and shows the invariant again; the other one goes on
        behind the loop. Breaks and returns in the round go on as they do.
        """
        assert self.function is not None
        invariant = self.cuts[self.function]
        if node.checked:
            distance = end - value if node.step > 0 else value - end
            self.require(distance <= node.bound * abs(node.step), node)
        if invariant is not None:
            invariant(self, frame, False)
        self.forget(node.body, frame)
        if invariant is not None:
            invariant(self, frame, True)
        if not self.choose("another round"):
            return
        width = node.start.type.size * 8
        here = self.unknown_round(node.variable.type)
        wide = resize(here, value.size(), isinstance(node.variable.type, IntType) and node.variable.type.signed)
        distance = wide - value
        self.assume(z3.And(wide >= value, wide < end) if node.step > 0 else z3.And(wide <= value, wide > end))
        self.assume(z3.SRem(distance, z3.BitVecVal(node.step, distance.size())) == 0)
        assert here.size() == width
        frame[node.variable] = here
        if self.round(node.body, frame):
            return
        if invariant is not None:
            invariant(self, frame, False)
        self.end()

    @abstractmethod
    def choose(self, name: str) -> bool:
        """Both ways, each on a path of its own."""

    @abstractmethod
    def unknown_round(self, kind: Type) -> Any:
        """Any value of a loop variable."""

    @abstractmethod
    def forget(self, body: list[tree.Statement], frame: dict[Any, Any]) -> None:
        """Makes unknown what statements may write."""

    @abstractmethod
    def end(self) -> None:
        """This path has shown what it was for."""

    # Places

    def place(self, node: tree.Expression, frame: dict[Any, Any]) -> Any:
        """Where a place is: a Cell or a Pointer."""
        match node:
            case tree.Local():
                return Cell(frame, node.variable)
            case tree.Global():
                return self.variable_place(node.variable)
            case tree.Field():
                base = self.value(node.base, frame)
                return memory.field(base, node.name) if isinstance(base, Pointer) else Cell(base, node.name)
            case tree.Deref():
                return self.value(node.pointer, frame)
            case tree.Element():
                return self.element(node, self.value(node.base, frame), self.value(node.index, frame))
        raise AssertionError(f"{type(node).__name__} is no place")

    def element(self, node: tree.Element, base: Any, index: Any) -> Any:
        """The place of an element, within bounds."""
        index = resize(index, 64, False)
        if isinstance(base, Slice):
            self.require(z3.ULT(index, base.length), node)
            index = z3.simplify(base.start + index)
            base, kind = base.items, base.element
        else:
            assert isinstance(node.base.type, ArrayType)
            kind = node.base.type.element
            self.require(z3.ULT(index, node.base.type.count), node)
        if isinstance(base, Pointer):
            return memory.element(base, kind, index)
        return Cell(base, self.known(index, len(base)))

    def known(self, index: Any, count: int) -> int:
        """An index into a local: every value makes a path."""
        index = z3.simplify(index)
        for value in range(count):
            if self.decide(index == value):
                return value
        raise AssertionError("an index that was checked")

    def load(self, place: Any, kind: Type) -> Any:
        """What is at a place: a scalar; of a struct or array in memory, the place itself."""
        if isinstance(place, Cell):
            return place.container[place.key]
        if isinstance(kind, (StructType, ArrayType)):
            return place
        if isinstance(kind, types.RegistersType):
            raise NotImplementedError(f"registers ({kind.name}) have no symbolic meaning")
        self.touch(place)
        value = self.memory.load(place)
        known = memory.allowed(kind, value)
        if known is not None:
            self.assume(known)
        return value

    def store(self, place: Any, value: Any, kind: Type) -> None:
        """Puts a value at a place."""
        if isinstance(place, Cell):
            place.container[place.key] = value
        elif isinstance(kind, (StructType, ArrayType)):
            self.copy_into(place, value, kind)
        elif isinstance(value, (Cell, Slice, Function)):
            raise NotImplementedError(f"a pointer to a local, a span or a function in memory: {kind.name}")
        else:
            self.touch(place)
            self.memory.store(place, value)

    def snapshot(self, value: Any) -> Any:
        """A struct or array as a dict or list of its own, so that a copy onto itself is one."""
        if isinstance(value, dict):
            return {key: self.snapshot(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.snapshot(item) for item in value]
        if isinstance(value, Pointer) and isinstance(value.target, StructType):
            fields = value.target.fields
            return {name: self.inside(memory.field(value, name), fields[name].type) for name in fields}
        if isinstance(value, Pointer) and isinstance(value.target, ArrayType):
            kind = value.target.element
            places = (memory.element(value, kind, z3.BitVecVal(i, 64)) for i in range(value.target.count))
            return [self.inside(place, kind) for place in places]
        return value

    def inside(self, place: Pointer, kind: Type) -> Any:
        """A member of a struct or array in memory, for a copy."""
        value = self.load(place, kind)
        return self.snapshot(value) if isinstance(kind, (StructType, ArrayType)) else value

    def copy_into(self, target: Any, source: Any, kind: Type) -> None:
        """Stores a dict or list into a struct or array."""
        if not isinstance(target, Pointer):
            overwrite(target, source)
        elif isinstance(kind, StructType):
            for name, member in kind.fields.items():
                self.store(memory.field(target, name), source[name], member.type)
        else:
            assert isinstance(kind, ArrayType)
            for i in range(kind.count):
                self.store(memory.element(target, kind.element, z3.BitVecVal(i, 64)), source[i], kind.element)

    # Expressions

    def value(self, node: tree.Expression, frame: dict[Any, Any]) -> Any:
        """The value of an expression."""
        if id(node) in self.removed:
            return z3.BoolVal(self.removed[id(node)])
        found = getattr(self, f"_{type(node).__name__.lower()}_value", None)
        if found is None:
            raise NotImplementedError(f"{type(node).__name__} (line {node.span.line}) has no symbolic meaning")
        made = found(node, frame)
        return z3.simplify(made) if isinstance(made, z3.ExprRef) else made

    def _place_value(self, node: tree.Expression, frame: dict[Any, Any]) -> Any:
        return self.load(self.place(node, frame), node.type)

    _local_value = _global_value = _field_value = _element_value = _deref_value = _place_value

    def _const_value(self, node: tree.Const, frame: dict[Any, Any]) -> Any:
        return constant(node.type, node.value)

    def _text_value(self, node: tree.Text, frame: dict[Any, Any]) -> Any:
        items = [z3.BitVecVal(byte, 8) for byte in node.data]
        return Slice(items, z3.BitVecVal(0, 64), z3.BitVecVal(len(items), 64), types.u8)

    def _fnref_value(self, node: tree.FnRef, frame: dict[Any, Any]) -> Any:
        return node.function

    def _addressof_value(self, node: tree.AddressOf, frame: dict[Any, Any]) -> Any:
        return self.place(node.place, frame)

    def _unary_value(self, node: tree.Unary, frame: dict[Any, Any]) -> Any:
        value, good = arithmetic.unary(node.type, node.op, self.value(node.operand, frame))
        if good is not None:
            self.require(good, node)
        return value

    def _binary_value(self, node: tree.Binary, frame: dict[Any, Any]) -> Any:
        left = self.value(node.left, frame)
        value, good = arithmetic.binary(node.type, node.op, left, self.value(node.right, frame))
        if good is not None:
            self.require(good, node)
        return value

    def _compare_value(self, node: tree.Compare, frame: dict[Any, Any]) -> Any:
        left = self.value(node.left, frame)
        right = self.value(node.right, frame)
        if isinstance(left, (Cell, Pointer)):
            return self.same(left, right) if node.op == "==" else z3.Not(self.same(left, right))
        if isinstance(left, Function):
            return z3.BoolVal((left is right) == (node.op == "=="))
        kind = node.left.type
        return arithmetic.compare(node.op, left, right, isinstance(kind, IntType) and kind.signed)

    def same(self, left: Any, right: Any) -> Any:
        """Whether two pointers are equal. A local is nowhere in memory."""
        if isinstance(left, Cell) or isinstance(right, Cell):
            return z3.BoolVal(isinstance(left, Cell) and isinstance(right, Cell) and left.same(right))
        return left.address == right.address

    def _logic_value(self, node: tree.Logic, frame: dict[Any, Any]) -> Any:
        left = self.value(node.left, frame)
        if self.plain(node.right):
            right = self.value(node.right, frame)
            return z3.And(left, right) if node.op == "and" else z3.Or(left, right)
        if self.decide(left) == (node.op == "or"):
            return z3.BoolVal(node.op == "or")
        return self.value(node.right, frame)

    def _select_value(self, node: tree.Select, frame: dict[Any, Any]) -> Any:
        condition = self.value(node.condition, frame)
        if self.plain(node.then) and self.plain(node.otherwise):
            then, otherwise = self.value(node.then, frame), self.value(node.otherwise, frame)
            if isinstance(then, z3.ExprRef):
                return z3.If(condition, then, otherwise)
        return self.value(node.then if self.decide(condition) else node.otherwise, frame)

    def plain(self, node: tree.Expression) -> bool:
        """Whether evaluating it changes nothing, cannot panic and makes no path."""
        match node:
            case tree.Const() | tree.Local() | tree.Global():
                return True
            case tree.Field():
                return self.plain(node.base)
            case tree.Deref():
                return self.plain(node.pointer)
            case tree.Compare() | tree.Logic():
                return self.plain(node.left) and self.plain(node.right)
            case tree.Binary():
                return node.op in "&|^" and self.plain(node.left) and self.plain(node.right)
            case tree.Unary():
                return node.op in ("not", "~") and self.plain(node.operand)
            case tree.Convert():
                return node.kind in ("widen", "trunc", "raw") and self.plain(node.operand)
            case tree.BitsGet():
                return not isinstance(node.type, EnumType) and self.plain(node.operand)
        return False

    def _convert_value(self, node: tree.Convert, frame: dict[Any, Any]) -> Any:
        value, source, kind = self.value(node.operand, frame), node.operand.type, node.type
        if not isinstance(value, z3.ExprRef):  # a pointer as one that may be None
            return value
        if source is types.BOOL:
            return value if kind is types.BOOL else z3.If(value, constant(kind, 1), constant(kind, 0))
        if node.kind == "exact":
            assert isinstance(kind, IntType)
            self.require(arithmetic.fits(source, kind, value), node)
        if node.kind == "member":
            assert isinstance(kind, EnumType)
            self.require(self.one_of(value, sorted(set(kind.members.values()))), node)
        return resize(value, width_of(kind), isinstance(source, IntType) and source.signed)

    def _some_value(self, node: tree.Some, frame: dict[Any, Any]) -> Any:
        pointer = self.value(node.operand, frame)
        if isinstance(pointer, Pointer):
            self.require(pointer.address != 0, node)
        return pointer

    def _bitsget_value(self, node: tree.BitsGet, frame: dict[Any, Any]) -> Any:
        value, bits = self.value(node.operand, frame), node.bits
        part = z3.Extract(bits.lsb + bits.width - 1, bits.lsb, value)
        if node.type is types.BOOL:
            return part == 1
        part = resize(part, width_of(node.type), False)
        if isinstance(node.type, EnumType):
            self.require(self.one_of(part, sorted(set(node.type.members.values()))), node)
        return part

    def _bitsset_value(self, node: tree.BitsSet, frame: dict[Any, Any]) -> Any:
        value, old = self.value(node.value, frame), self.value(node.operand, frame)
        if isinstance(value, z3.BoolRef):
            value = z3.If(value, z3.BitVecVal(1, 1), z3.BitVecVal(0, 1))
        lsb, width, maximum = node.bits.lsb, node.bits.width, (1 << node.bits.width) - 1
        if value.size() > width:
            self.require(z3.ULE(value, maximum), node)
        mask = z3.BitVecVal(~(maximum << lsb), old.size())
        return old & mask | resize(value, old.size(), False) << lsb

    def _new_value(self, node: tree.New, frame: dict[Any, Any]) -> Any:
        made = zero_value(node.type)
        for key, item in zip(node.keys, node.values, strict=True):
            made[key] = self.value(item, frame)
        return made

    def _makespan_value(self, node: tree.MakeSpan, frame: dict[Any, Any]) -> Any:
        base = self.value(node.base, frame)
        zero = z3.BitVecVal(0, 64)
        if isinstance(base, (Pointer, Cell)):
            target = node.base.type
            assert isinstance(target, types.PtrType) and isinstance(target.target, ArrayType)
            items = base if isinstance(base, Pointer) else base.container[base.key]
            return Slice(items, zero, z3.BitVecVal(target.target.count, 64), target.target.element)
        start = zero if node.start is None else self.value(node.start, frame)
        stop = base.length if node.stop is None else self.value(node.stop, frame)
        self.require(z3.And(z3.ULE(start, stop), z3.ULE(stop, base.length)), node)
        return Slice(base.items, z3.simplify(base.start + start), z3.simplify(stop - start), base.element)

    def _spanlength_value(self, node: tree.SpanLength, frame: dict[Any, Any]) -> Any:
        return self.value(node.operand, frame).length

    def _checked_value(self, node: tree.Checked, frame: dict[Any, Any]) -> Any:
        index = self.value(node.operand, frame)
        self.require(z3.ULT(resize(index, 64, False), node.length), node)
        return resize(index, 64, False)

    def _call_value(self, node: tree.Call, frame: dict[Any, Any]) -> Any:
        arguments = [self.value(a, frame) for a in node.arguments]
        if not isinstance(node.function, Function):
            raise NotImplementedError(f"assembly {node.function.name} has no symbolic meaning")
        return self.call(node.function, *arguments)

    def _callpointer_value(self, node: tree.CallPointer, frame: dict[Any, Any]) -> Any:
        target = self.value(node.pointer, frame)
        if not isinstance(target, Function):
            raise NotImplementedError(f"a function pointer from memory (line {node.span.line})")
        return self.call(target, *[self.value(a, frame) for a in node.arguments])

    def _volatileread_value(self, node: tree.VolatileRead, frame: dict[Any, Any]) -> Any:
        return self.load(self.value(node.pointer, frame), node.type)

    def _volatilewrite_value(self, node: tree.VolatileWrite, frame: dict[Any, Any]) -> Any:
        pointer = self.value(node.pointer, frame)
        self.store(pointer, self.value(node.value, frame), node.value.type)

    def _address_value(self, node: tree.Address, frame: dict[Any, Any]) -> Any:
        operand = self.value(node.operand, frame)
        if node.kind != "pointer":
            if isinstance(operand, Cell):
                raise NotImplementedError(f"the address of a local (line {node.span.line})")
            return operand.address
        assert isinstance(node.type, types.PtrType)
        return memory.pointer(operand, types.target_of(node.type))

    def initial(self, kind: Type, node: tree.Expression | None) -> Any:
        """The value of a constant of a module."""
        return zero_value(kind) if node is None else self.value(node, {})

    def arguments_of(self, function: Function, values: Sequence[Any]) -> list[Any]:
        """Python numbers as arguments."""
        parameters = self.program.bodies[function].parameters
        return [constant(p.type, v) for p, v in zip(parameters, values, strict=True)]


__all__ = ["NULL", "Executor", "source_text"]
