"""Frontend: calls. Kernel functions, conversions by naming a type, struct values, builtins, register accesses."""

import ast
from collections.abc import Callable
from typing import Any

from kernel.lang import declare, tree, types
from kernel.lang.constants import Static, Value, describe
from kernel.lang.declare import Assembly, Builtin, Function, in_arch
from kernel.lang.errors import Refused, short_file
from kernel.lang.expressions import Expressions, RegisterRef, is_place
from kernel.lang.types import (
    ArrayType,
    BitsType,
    EnumType,
    FnPtrType,
    HandleType,
    IntType,
    PtrType,
    SpanType,
    StructType,
    Type,
)

Handler = Callable[[Expressions, ast.Call], Value]
BUILTINS: dict[object, Handler] = {}


def call(front: Expressions, node: ast.Call, want: Type | None) -> Value:
    """A call expression."""
    if isinstance(node.func, ast.Attribute) and node.func.attr in ("read", "write", "modify"):
        base = front.any_expression(node.func.value, None)
        if isinstance(base, RegisterRef):
            from kernel.lang import registers

            return registers.access(front, node, base, node.func.attr)
    target = front.expression(node.func, None)
    if isinstance(target, tree.Expression):
        if isinstance(target.type, FnPtrType):
            arguments = _arguments(front, node, list(enumerate(target.type.parameters)), target.type.name)
            return tree.CallPointer(front.span(node), target.type.result, target, target.type, arguments)
        raise front.refuse("K215", node, f"{target.type.name}")
    value = target.value
    if isinstance(value, (Function, Assembly)):
        return _call_function(front, node, value)
    handler = BUILTINS.get(value) if isinstance(value, (Builtin, type)) or callable(value) else None
    if handler is not None:
        return handler(front, node)
    try:
        kind = types.as_type(value)
    except TypeError:
        fix = ""
        if getattr(value, "__module__", "") == "builtins":
            fix = "what Python has built in is for import time; in kernel code: len, min, max, range"
        raise front.refuse("K215", node, f"{describe(value)}", fix) from None
    return _construct(front, node, kind)


def statement(front: Expressions, node: ast.Call) -> Any:
    """copy(...) and panic(...): statements that look like calls; None for any other call."""
    if isinstance(node.func, (ast.Attribute, ast.Name)):
        base = node.func if isinstance(node.func, ast.Name) else node.func.value
        if isinstance(node.func, ast.Attribute) and not isinstance(base, ast.Name):
            return None
        if isinstance(base, ast.Name) and (base.id in front.locals or base.id in front.poisoned):
            return None
        if isinstance(node.func, ast.Attribute):
            return None
        target = front.expression(node.func, None)
        if isinstance(target, Static) and target.value is declare.copy:
            return _copy(front, node)
        if isinstance(target, Static) and target.value is declare.panic:
            return _panic(front, node)
    return None


def _call_function(front: Expressions, node: ast.Call, function: Function | Assembly) -> tree.Expression:
    signature = front.signature_of(function)
    if isinstance(function, Assembly) and not in_arch(function.file):
        raise front.refuse("K305", node, f"{function.name} is declared in {short_file(function.file)}")
    return tree.Call(
        front.span(node),
        signature.result,
        function,
        _arguments(front, node, signature.parameters, function.name),
    )


def _arguments(front: Expressions, node: ast.Call, parameters: list[Any], name: str) -> list[tree.Expression]:
    """Typed arguments in parameter order; every bad one is reported."""
    given: dict[object, ast.expr] = dict(enumerate(node.args))
    names = {n: i for i, (n, _) in enumerate(parameters)}
    for keyword in node.keywords:
        position = names.get(keyword.arg)
        if position is None or position in given:
            raise front.refuse("K208", keyword, f"{name}() has no free parameter {keyword.arg}")
        if position < len(given):
            raise front.refuse("K208", keyword, "arguments out of order", "write them in the order of the signature")
        given[position] = keyword.value
    if len(given) != len(parameters) or any(i not in given for i in range(len(parameters))):
        wanted = ", ".join(f"{n}: {k.name}" for n, k in parameters)
        raise front.refuse("K208", node, f"{name}({wanted}) got {len(given)}")
    result, good = [], True
    for index, (_, kind) in enumerate(parameters):
        try:
            result.append(front.value(given[index], kind))
        except Refused:
            good = False
    if not good:
        raise Refused
    return result


def _one(front: Expressions, node: ast.Call, usage: str, count: int = 1) -> list[ast.expr]:
    if len(node.args) != count or node.keywords:
        given = len(node.args) + len(node.keywords)
        raise front.refuse("K208", node, f"{given} for {ast.unparse(node.func)}", f"write {usage}")
    return node.args


def _construct(front: Expressions, node: ast.Call, kind: Type) -> Value:
    """`T(...)`: a conversion, a struct, or a bit-field value."""
    span = front.span(node)
    if isinstance(kind, StructType):
        return _new_struct(front, node, kind)
    if isinstance(kind, BitsType):
        return _new_bits(front, node, kind)
    if isinstance(kind, ArrayType):
        return front.constant_of(Static((), span), kind, node) if not node.args else _array(front, node, kind)
    (argument,) = _one(front, node, f"{kind.name}(x)")
    found = front.expression(argument, kind if isinstance(kind, IntType) else None)
    if isinstance(kind, IntType):
        return _widen(front, node, kind, found)
    if isinstance(kind, (EnumType, HandleType)):
        value = front.coerce(found, kind.base, argument)
        if isinstance(kind, HandleType):
            return tree.Convert(span, kind, "raw", value)
        if isinstance(value, tree.Const) and value.value not in kind.members.values():
            raise front.refuse("K205", argument, f"{value.value} is no member of {kind.name}")
        return tree.Convert(span, kind, "member", value)
    raise front.refuse("K215", node, kind.name)


def _array(front: Expressions, node: ast.Call, kind: ArrayType) -> tree.Expression:
    if len(node.args) != kind.count or node.keywords:
        raise front.refuse("K208", node, f"{len(node.args)} elements for {kind.name}")
    values = [front.value(a, kind.element) for a in node.args]
    return tree.New(front.span(node), kind, list(range(kind.count)), values)


def _widen(front: Expressions, node: ast.Call, kind: IntType, found: Value) -> tree.Expression:
    """u64(x): a constant, a wider integer, or the raw value of an enum, handle, bit-field struct or bool."""
    argument, span = node.args[0], front.span(node)
    if isinstance(found, Static):
        value = found.value
        raw = types.as_type(type(value)) if hasattr(value, "__kernel_type__") else None
        if isinstance(raw, EnumType) and raw.base.widens_to(kind):
            return tree.Const(span, kind, int(value.value))
        if isinstance(value, bool):
            return tree.Const(span, kind, int(value))
        return front.constant_of(found, kind, argument)
    have = found.type
    if have is types.BOOL:
        return tree.Convert(span, kind, "widen", found)
    if isinstance(have, (EnumType, HandleType, BitsType)):
        found = tree.Convert(span, have.base, "raw", found)
        have = found.type
    if not isinstance(have, IntType):
        fix = "address_of(pointer) is the address, a usize" if isinstance(have, PtrType) else ""
        raise front.refuse("K202", node, f"{have.name} to {kind.name}", fix)
    if not have.widens_to(kind):
        text = ast.unparse(argument)
        fix = f"trunc({text}, {kind.name}) keeps the low bits, exact({text}, {kind.name}) panics when it does not fit"
        raise front.refuse("K202", node, f"{have.name} to {kind.name}", fix)
    return tree.Convert(span, kind, "widen", found)


def _new_struct(front: Expressions, node: ast.Call, kind: StructType) -> tree.Expression:
    fields = front.struct_fields(kind, node)
    if node.args or any(k.arg is None for k in node.keywords):
        raise front.refuse(
            "K208", node, f"{kind.name}(...) takes fields by name", f"{kind.name}({next(iter(fields))}=...)"
        )
    keys, values = [], []
    for keyword in node.keywords:
        if keyword.arg not in fields or keyword.arg in keys:
            raise front.refuse("K207", keyword, f"{kind.name} has no (further) {keyword.arg}")
        value = front.value(keyword.value, fields[keyword.arg].type)
        if value.type.aggregate and not isinstance(value, tree.New):
            raise front.refuse("K206", keyword.value, f"{keyword.arg} is {value.type.name}")
        keys.append(keyword.arg)
        values.append(value)
    for name, field in fields.items():
        if name not in keys and not field.type.has_zero:
            raise front.refuse("K214", node, f"{kind.name}.{name} is {field.type.name}")
    return tree.New(front.span(node), kind, keys, values)


def _new_bits(front: Expressions, node: ast.Call, kind: BitsType) -> tree.Expression:
    span = front.span(node)
    if node.args:
        (argument,) = _one(front, node, f"{kind.name}(raw) or {kind.name}(field=value, ...)")
        return tree.Convert(span, kind, "raw", front.value(argument, kind.base))
    if not kind.has_zero and len(node.keywords) < len(kind.fields):
        raise front.refuse("K214", node, kind.name)
    return bits_value(front, node, kind, tree.Const(span, kind, 0))


def bits_value(front: Expressions, node: ast.Call, kind: BitsType, base: tree.Expression) -> tree.Expression:
    """`base` with the fields of the call's keyword arguments replaced."""
    result = base
    for keyword in node.keywords:
        if keyword.arg not in kind.fields:
            raise front.refuse_field(keyword, kind.name, keyword.arg or "**", kind.fields)
        bits = kind.fields[keyword.arg]
        value = front.fit_bits(front.value(keyword.value, bits.type), bits, keyword.value)
        result = tree.BitsSet(front.span(keyword), kind, value, bits, result)
    return result


def _builtin(*keys: object) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        BUILTINS.update(dict.fromkeys(keys, handler))
        return handler

    return register


def _type_argument(front: Expressions, node: ast.expr) -> Type:
    found = front.expression(node, None)
    try:
        if not isinstance(found, Static):
            raise TypeError(f"{ast.unparse(node)} is a value")
        return types.resolve(found.value, front.names)
    except TypeError as error:
        raise front.refuse_type(node, error) from None


@_builtin(declare.trunc, declare.exact)
def _narrow(front: Expressions, node: ast.Call) -> Value:
    name = ast.unparse(node.func)
    value_node, type_node = _one(front, node, f"{name}(x, T)", 2)
    kind = _type_argument(front, type_node)
    value = front.expression(value_node, None)
    if isinstance(value, Static):
        raise front.refuse("K205", value_node, f"{describe(value.value)} is a constant", f"write {kind.name}(...)")
    if not isinstance(value.type, IntType) or not isinstance(kind, IntType):
        raise front.refuse("K203", node, f"{name} of {value.type.name} to {kind.name}")
    target = front.expression(node.func, None)
    mode = "trunc" if isinstance(target, Static) and target.value is declare.trunc else "exact"
    if mode == "exact" and value.type.widens_to(kind):
        mode = "widen"
    return tree.Convert(front.span(node), kind, mode, value)


@_builtin(declare.ptr)
def _ptr(front: Expressions, node: ast.Call) -> Value:
    (argument,) = _one(front, node, "ptr(place)")
    place = front.place(argument, "K212")
    if _loop_variable(front, place):
        raise front.refuse("K116", argument, "a pointer to it could change it")
    front.check_writable(place, argument)
    return tree.AddressOf(front.span(node), types.Ptr[place.type], place)


def _loop_variable(front: Expressions, place: tree.Expression) -> bool:
    return isinstance(place, tree.Local) and place.variable.name in getattr(front, "loop_variables", [])


@_builtin(declare.some)
def _some(front: Expressions, node: ast.Call) -> Value:
    (argument,) = _one(front, node, "some(pointer)")
    value = front.value(argument, None)
    if not isinstance(value.type, PtrType) or not value.type.nullable:
        raise front.refuse("K212", argument, f"{value.type.name} is never None")
    return tree.Some(front.span(node), value.type.required(), value)


@_builtin(declare.span, declare.view)
def _span(front: Expressions, node: ast.Call) -> Value:
    (argument,) = _one(front, node, "span(array) or view(array)")
    found = front.expression(argument, types.STR)
    base = front.constant_of(found, types.STR, argument) if isinstance(found, Static) else front.pointed(found)
    whole = front.whole_span(base, argument)
    assert isinstance(whole.type, SpanType)
    target = front.expression(node.func, None)
    if isinstance(target, Static) and target.value is declare.view:
        return tree.MakeSpan(front.span(node), types.View[whole.type.element], whole, None, None)
    if not whole.type.writable:
        raise front.refuse("K219", argument, ast.unparse(argument), "use view(...)")
    return whole


@_builtin(len)
def _len(front: Expressions, node: ast.Call) -> Value:
    (argument,) = _one(front, node, "len(array)")
    found = front.expression(argument, None)
    if isinstance(found, Static):
        try:
            return Static(len(found.value), front.span(node))
        except TypeError as error:
            raise front.refuse("K203", node, str(error)) from None
    place = front.pointed(found)
    if isinstance(place.type, ArrayType):
        return Static(place.type.count, front.span(node))
    if isinstance(place.type, SpanType):
        return tree.SpanLength(front.span(node), types.usize, place)
    raise front.refuse("K210", argument, place.type.name)


@_builtin(min, max)
def _extreme(front: Expressions, node: ast.Call) -> Value:
    left, right = (front.operand(a) for a in _one(front, node, "min(a, b) or max(a, b)", 2))
    target = front.expression(node.func, None)
    assert isinstance(target, Static)
    if isinstance(left, Static) and isinstance(right, Static):
        try:
            return Static(target.value(left.value, right.value), front.span(node))
        except TypeError as error:
            raise front.refuse("K203", node, str(error)) from None
    kind = left.type if isinstance(left, tree.Expression) else right.type  # type: ignore[union-attr]
    if not isinstance(kind, IntType):
        raise front.refuse("K203", node, f"{target.value.__name__} of {kind.name}")
    sides = front._same(node, left, right, kind)
    return tree.Binary(front.span(node), kind, target.value.__name__, *sides)


@_builtin(declare.clz, declare.ctz, declare.popcount, declare.byteswap)
def _bit_count(front: Expressions, node: ast.Call) -> Value:
    (argument,) = _one(front, node, f"{ast.unparse(node.func)}(x)")
    value = front.value(argument, None)
    if not isinstance(value.type, IntType) or value.type.signed:
        raise front.refuse("K203", node, f"{ast.unparse(node.func)} of {value.type.name}", "use an unsigned integer")
    target = front.expression(node.func, None)
    assert isinstance(target, Static)
    return tree.Unary(front.span(node), value.type, target.value.name, value)


@_builtin(declare.zero)
def _zero(front: Expressions, node: ast.Call) -> Value:
    (argument,) = _one(front, node, "zero(T)")
    kind = _type_argument(front, argument)
    if not types.is_storable(kind) or not kind.has_zero:
        raise front.refuse("K214", node, kind.name)
    if kind.aggregate:
        return tree.New(front.span(node), kind, [], [])
    if isinstance(kind, SpanType):
        raise front.refuse("K203", node, f"zero of {kind.name}", "take a span or view of an array")
    value = None if isinstance(kind, PtrType) else False if kind is types.BOOL else 0
    return tree.Const(front.span(node), kind, value)


@_builtin(declare.size_of)
def _size_of(front: Expressions, node: ast.Call) -> Value:
    (argument,) = _one(front, node, "size_of(T)")
    return Static(_type_argument(front, argument).size, front.span(node))


@_builtin(declare.offset_of)
def _offset_of(front: Expressions, node: ast.Call) -> Value:
    first, second = _one(front, node, 'offset_of(T, "field")', 2)
    kind, name = _type_argument(front, first), front.expression(second, None)
    if not isinstance(kind, StructType) or not isinstance(name, Static) or name.value not in kind.fields:
        raise front.refuse("K207", node, f"{kind.name}.{ast.unparse(second)}")
    return Static(kind.fields[name.value].offset, front.span(node))


@_builtin(declare.read_volatile, declare.write_volatile)
def _volatile(front: Expressions, node: ast.Call) -> Value:
    target = front.expression(node.func, None)
    write = isinstance(target, Static) and target.value is declare.write_volatile
    arguments = _one(front, node, "write_volatile(pointer, value)" if write else "read_volatile(pointer)", 1 + write)
    pointer = front.value(arguments[0], None)
    if not isinstance(pointer.type, PtrType) or pointer.type.nullable:
        raise front.refuse("K212", arguments[0], pointer.type.name)
    kind = types.target_of(pointer.type)
    if kind.aggregate or isinstance(kind, (SpanType, types.RegistersType)):
        raise front.refuse("K203", node, f"volatile access to {kind.name}", "access one scalar field or element")
    if write:
        return tree.VolatileWrite(front.span(node), types.VOID, pointer, front.value(arguments[1], kind))
    return tree.VolatileRead(front.span(node), kind, pointer)


@_builtin(declare.address_of)
def _address_of(front: Expressions, node: ast.Call) -> Value:
    (argument,) = _one(front, node, "address_of(pointer)")
    value = front.value(argument, None)
    if not isinstance(value.type, (PtrType, FnPtrType)):
        raise front.refuse("K212", argument, value.type.name)
    return tree.Address(front.span(node), types.usize, "address", value)


@_builtin(declare.pointer_at)
def _pointer_at(front: Expressions, node: ast.Call) -> Value:
    address, kind = _one(front, node, "pointer_at(address, T)", 2)
    if not in_arch(front.function.file):
        raise front.refuse("K306", node)
    value = front.value(address, types.usize)
    try:
        type_value = front.expression(kind, None)
        pointer = types.Ptr[type_value.value]  # type: ignore[union-attr]
    except (TypeError, AttributeError) as error:
        raise front.refuse_type(kind, error) from None
    return tree.Address(front.span(node), pointer, "pointer", value)


@_builtin(declare.bounded)
def _bounded(front: Expressions, node: ast.Call) -> Value:
    raise front.refuse("K120", node, "bounded(...) outside of a loop's head")


@_builtin(declare.copy, declare.panic)
def _as_statement(front: Expressions, node: ast.Call) -> Value:
    raise front.refuse("K120", node, f"{ast.unparse(node.func)}(...) is a statement")


@_builtin(range)
def _range(front: Expressions, node: ast.Call) -> Value:
    raise front.refuse("K120", node, "range(...) outside of a loop's head")


def _copy(front: Expressions, node: ast.Call) -> tree.Statement:
    first, second = _one(front, node, "copy(destination, source)", 2)
    target = front.pointed(front.place(first, "K209") if _names_place(front, first) else front.value(first, None))
    if not is_place(target) or not target.type.aggregate:
        raise front.refuse("K209", first, f"{target.type.name} is not a struct or array in memory")
    front.check_writable(target, first)
    found = front.expression(second, target.type)
    source = front.constant_of(found, target.type, second) if isinstance(found, Static) else front.pointed(found)
    if source.type is not target.type:
        detail = f"{source.type.name} where {target.type.name} is wanted"
        raise front.refuse("K201", second, detail, "copy between places of one type")
    return tree.Copy(front.span(node), target, source)


def _names_place(front: Expressions, node: ast.expr) -> bool:
    return not isinstance(node, ast.Call)


def _panic(front: Expressions, node: ast.Call) -> tree.Statement:
    (argument,) = _one(front, node, 'panic("text")')
    found = front.expression(argument, None)
    if not isinstance(found, Static) or not isinstance(found.value, str):
        raise front.refuse("K208", argument, "the message must be a string literal", 'panic("text")')
    return tree.Panic(front.span(node), found.value)
