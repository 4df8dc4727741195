"""Frontend: what is known at compile time, and how a value meets the type that is wanted.

`Static` is a Python value without a kernel type: a captured name, a literal, a type, a module. Its context
gives it one.
"""

import ast
import difflib
import enum
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kernel.lang import tree, types
from kernel.lang.declare import Assembly, Function
from kernel.lang.errors import Diagnostics, Refused, Span
from kernel.lang.source import span_of
from kernel.lang.types import (
    BOOL,
    ArrayType,
    BitsType,
    BoolType,
    EnumType,
    FnPtrType,
    HandleType,
    IntType,
    PtrType,
    StructType,
    Type,
)


@dataclass
class Static:
    """A value known at compile time."""

    value: Any
    span: Span


Value = tree.Expression | Static


class Constants:
    """Errors, annotations and constants of one function."""

    def __init__(self, function: Function | Assembly, diagnostics: Diagnostics):
        self.function = function
        self.diagnostics = diagnostics
        self.names = function.captured()
        self.locals: dict[str, tree.Variable] = {}
        self.poisoned: set[str] = set()
        self.assigned: set[str] = set()
        self.signature_of: Any = None
        self.arch: str | None = None  # None: the host
        self.raw_values = False  # Initial values of variables: ints for handles and bit fields, dicts for structs.

    # Errors and annotations

    def span(self, node: ast.AST) -> Span:
        """Where the node stands."""
        return span_of(node, self.function.file, self.function.name)

    def refuse(self, code: str, node: ast.AST, detail: str = "", fix: str = "") -> Refused:
        """Records an error at a node; raise the result."""
        return self.diagnostics.refuse(code, self.span(node), detail, fix)

    def annotation(self, node: ast.expr, value: object) -> Type:
        """The type an annotation means; `value` is what Python evaluated it to (`Parameter.empty`: not evaluated)."""
        try:
            if value is inspect.Parameter.empty:
                code = compile(ast.Expression(node), self.function.file, "eval")
                value = eval(code, dict(self.names))  # noqa: S307 - the programmer's own annotation
            return types.resolve(value, self.names)
        except Exception as error:
            raise self.refuse_type(node, error) from None

    def refuse_type(self, node: ast.AST, error: Exception) -> Refused:
        """K103, with what Python said."""
        name, is_type, _ = str(error).partition(" is not a kernel type")
        text = name.removeprefix("<class '").removesuffix("'>") if is_type else str(error)
        return self.refuse("K103", node, text)

    def refuse_field(self, node: ast.AST, kind: str, name: str, known: Iterable[str]) -> Refused:
        """K207, with what there is."""
        names = list(known)
        return self.refuse("K207", node, f"{kind} has no {name}: it has {', '.join(names)}", did_you_mean(name, names))

    def coerce(self, found: Value, want: Type, node: ast.AST, code: str = "K201") -> tree.Expression:
        """`found` as `want`: a Static becomes a constant of that type; anything else must have the type already."""
        if isinstance(found, Static):
            return self.constant_of(found, want, node)
        if found.type is want:
            return found
        if isinstance(want, PtrType) and want.nullable and found.type is want.required():
            return tree.Convert(found.span, want, "widen", found)
        if isinstance(found.type, PtrType) and found.type.nullable and want is found.type.required():
            raise self.refuse("K213", node, found.type.name)
        detail = f"{found.type.name} where {want.name} is wanted"
        if isinstance(want, HandleType) or isinstance(found.type, HandleType):
            raise self.refuse("K218", node, detail)
        raise self.refuse(code, node, detail, self._conversion_fix(found.type, want, node))

    def _conversion_fix(self, have: Type, want: Type, node: ast.AST) -> str:
        text = ast.unparse(node) if isinstance(node, ast.expr) else "x"
        if isinstance(have, IntType) and isinstance(want, IntType):
            return (
                f"write {want.name}({text})"
                if have.widens_to(want)
                else f"write trunc({text}, {want.name}) or exact(...)"
            )
        if isinstance(want, PtrType) and want.target is have:
            return f"write ptr({text})"
        if isinstance(have, PtrType) and have.target is want and not want.aggregate:
            return f"write {text}.value"
        if isinstance(have, IntType) and want is BOOL:
            return f"compare: {text} != 0"
        if isinstance(have, (BoolType, EnumType, BitsType)) and isinstance(want, IntType):
            return f"write {want.name}({text})"
        if isinstance(want, (EnumType, BitsType)) and have is want.base:
            return f"write {want.name}({text}), a {want.name} of that value"
        return ""

    def _typed_static(self, found: Static, node: ast.AST) -> tree.Expression:
        kind = getattr(found.value, "__kernel_type__", None) if isinstance(found.value, enum.Enum) else None
        if kind is None and isinstance(found.value, enum.Enum):
            try:
                kind = types.as_type(type(found.value))
            except TypeError:
                kind = None
        if isinstance(found.value, bool):
            kind = BOOL
        elif isinstance(found.value, str) and not isinstance(found.value, enum.Enum):
            kind = types.STR
        if kind is None:
            if found.value is None or (isinstance(found.value, int) and not isinstance(found.value, enum.Enum)):
                fix = "annotate it: `name: Ptr[T] | None = None`" if found.value is None else ""
                raise self.refuse("K112", node, f"{found.value} is a constant", fix)
            raise self.refuse("K115", node, describe(found.value))
        return self.constant_of(found, kind, node)

    def constant_of(self, found: Static, want: Type, node: ast.AST) -> tree.Expression:
        """A compile-time value as a constant of type `want`."""
        value, span = found.value, found.span
        if isinstance(value, enum.Enum):
            kind = types.as_type(type(value)) if _is_kernel_enum(value) else None
            if kind is None:
                raise self.refuse("K115", node, f"{describe(value)} is not a kernel enum", "decorate it with @enum(u8)")
            if kind is not want:
                detail = f"{kind.name} where {want.name} is wanted"
                raise self.refuse("K201", node, detail, self._conversion_fix(kind, want, node))
            return tree.Const(span, want, int(value.value))
        if isinstance(want, IntType) and isinstance(value, int) and not isinstance(value, bool):
            if not want.holds(value):
                raise self.refuse("K205", node, f"{value} is not a {want.name} ({want.minimum}..{want.maximum})")
            return tree.Const(span, want, value)
        if want is BOOL and isinstance(value, bool):
            return tree.Const(span, want, value)
        if want is types.STR and isinstance(value, (str, bytes)):
            return tree.Text(span, want, value.encode() if isinstance(value, str) else value)
        if isinstance(want, PtrType) and value is None:
            if not want.nullable:
                raise self.refuse("K213", node, f"None where {want.name} is wanted", f"declare it {want.name} | None")
            return tree.Const(span, want, None)
        if isinstance(want, FnPtrType) and isinstance(value, Function):
            signature = self.signature_of(value)
            if tuple(k for _, k in signature.parameters) != want.parameters or signature.result is not want.result:
                wanted = f"({', '.join(k.name for k in want.parameters)}) -> {want.result.name}"
                detail = f"{value.name} does not have the signature of {want.name}"
                raise self.refuse("K201", node, detail, f"its signature must be {wanted}")
            return tree.FnRef(span, want, value)
        if isinstance(value, (list, tuple, bytes)) and isinstance(want, ArrayType):
            items = [self.constant_of(Static(v, span), want.element, node) for v in value]
            return self._array(items, want, span, node)
        if self.raw_values and isinstance(value, dict) and isinstance(want, StructType):
            return self._initial_struct(value, want, span, node)
        if self.raw_values and isinstance(want, (HandleType, BitsType)) and isinstance(value, int):
            raw = self.constant_of(found, want.base, node)
            return tree.Const(span, want, raw.value)  # type: ignore[attr-defined]
        if isinstance(value, (int, str, bool)) or value is None:
            raise self.refuse("K201", node, f"{describe(value)} where {want.name} is wanted")
        raise self.refuse("K115", node, describe(value))

    def _initial_struct(self, value: dict[str, Any], want: StructType, span: Span, node: ast.AST) -> tree.Expression:
        for name in value:
            if name not in want.fields:
                raise self.refuse_field(node, want.name, name, want.fields)
        for name, field in want.fields.items():
            if name not in value and not field.type.has_zero:
                raise self.refuse("K214", node, f"{want.name}.{name} is {field.type.name}")
        values = [self.constant_of(Static(v, span), want.fields[n].type, node) for n, v in value.items()]
        return tree.New(span, want, list(value), values)

    def _array(self, items: list[tree.Expression], want: ArrayType, span: Span, node: ast.AST) -> tree.Expression:
        if len(items) != want.count:
            raise self.refuse("K208", node, f"{len(items)} elements for {want.name}")
        return tree.New(span, want, list(range(len(items))), items)


def _is_kernel_enum(value: enum.Enum) -> bool:
    try:
        types.as_type(type(value))
    except TypeError:
        return False
    return True


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A fix that names what is spelt alike; empty when nothing is."""
    found = difflib.get_close_matches(name, list(known), 1)
    return f"did you mean {found[0]}?" if found else ""


def describe(value: object) -> str:
    """A compile-time value, for messages."""
    if isinstance(value, (int, str, bool)) or value is None:
        return repr(value)
    name = getattr(value, "__name__", None) or getattr(value, "name", None)
    return f"{type(value).__name__} {name}" if isinstance(name, str) else type(value).__name__
