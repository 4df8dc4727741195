"""Register accesses: `uart.lsr.read().thr_empty`, `uart.thr.write(byte)`, `uart.mcr.modify(loop=True)`.

The block is a register file of rtl/registers/, the same object that makes the hardware's decoder;
`Ptr[ns16550.Registers]` points at it. A register with fields reads as a bit-field value, another one as an unsigned
integer. Registers are not memory: each read() and write() is one access of exactly the register's width, and modify()
is one of each.
"""

import ast
import enum

from kernel.lang import calls, tree, types
from kernel.lang.constants import Value
from kernel.lang.expressions import Expressions, RegisterRef
from kernel.lang.types import BitField, BitsType, EnumType, RegistersType, Type
from rtl.registers.description import Access, Register, RegisterFile

_blocks: dict[type, RegistersType] = {}
_enums: dict[type, EnumType] = {}
_by_id: dict[int, Type] = {}  # Register descriptions hold dicts and so have no hash.
_keep: list[Register] = []


@types.type_converter
def block_type(value: object) -> Type | None:
    """The kernel type of a register file, or of an enum that one of its fields has."""
    if isinstance(value, type) and issubclass(value, RegisterFile) and value is not RegisterFile:
        if value not in _blocks:
            name = f"{value.__module__.rsplit('.', 1)[-1]}.{value.__name__}"
            _blocks[value] = RegistersType(name, value.registers())
            for register in value.registers().values():
                value_type(register)
        return _blocks[value]
    return _enums.get(value) if isinstance(value, type) else None


def value_type(register: Register) -> Type:
    """What a read of the register gives: named bits, or an integer of its width."""
    key = id(register)
    if key not in _by_id:
        base = types.storage_for(register.width)
        fields = {
            name: BitField(name, _field_type(field.width, field.enum), field.lsb, field.width)
            for name, field in register.fields.items()
        }
        _by_id[key] = BitsType(f"{register.name}_value", base, fields) if fields else base
        _keep.append(register)
    return _by_id[key]


def _field_type(width: int, names: type[enum.IntEnum] | None) -> Type:
    if names is None:
        return types.BOOL if width == 1 else types.storage_for(width)
    own = getattr(names, "__kernel_type__", None)
    return own or _enums.setdefault(names, EnumType(names, width))


def access(front: Expressions, node: ast.Call, ref: RegisterRef, verb: str) -> Value:
    """The typed tree of one read(), write(...) or modify(...)."""
    register: Register = ref.register
    name = register.name
    if len(ref.indices) != len(register.array):
        raise front.refuse("K207", node, f"{name} has {len(register.array)} dimensions, {len(ref.indices)} given")
    kind = value_type(register)
    readable = register.access.readable
    writable = register.access.writable or any(
        register.field_access(f) in (Access.RW, Access.WO, Access.W1C) for f in register.fields
    )
    if verb in ("read", "modify") and not readable:
        raise front.refuse("K308", node, f"{name} is write-only")
    if verb in ("write", "modify") and not writable:
        raise front.refuse("K308", node, f"{name} is read-only")
    if verb == "modify" and not isinstance(kind, BitsType):
        raise front.refuse("K308", node, f"{name} has no fields", f"read(), then write(...) {name}")
    if verb == "modify" and register.access is not Access.RW:
        raise front.refuse("K308", node, f"{name} is {register.access.value}: reading it does not give what to write")
    span = front.span(node)
    offset = _offset(front, ref, node)
    read = tree.RegisterRead(span, kind, ref.block, offset, register.width, name)
    if verb == "read":
        if node.args or node.keywords:
            raise front.refuse("K208", node, "read() takes nothing")
        return read
    if verb == "modify":
        _check_fields(front, node, register)
        if node.args or not node.keywords:
            raise front.refuse("K208", node, "modify(field=value, ...)")
        value = calls.bits_value(front, node, kind, read)  # type: ignore[arg-type]
    else:
        value = _written(front, node, register, kind)
    return tree.RegisterWrite(span, types.VOID, ref.block, offset, register.width, name, value)


def _written(front: Expressions, node: ast.Call, register: Register, kind: Type) -> tree.Expression:
    """The value of write(value) or write(field=value, ...), where fields that are not named keep the reset value."""
    if len(node.args) == 1 and not node.keywords:
        return front.value(node.args[0], kind)
    if node.args or not node.keywords or not isinstance(kind, BitsType):
        usage = f"{register.name}.write(value)" + (" or write(field=value, ...)" if register.fields else "")
        raise front.refuse("K208", node, usage)
    _check_fields(front, node, register)
    base = tree.Const(front.span(node), kind, register.reset)
    return calls.bits_value(front, node, kind, base)


def _check_fields(front: Expressions, node: ast.Call, register: Register) -> None:
    for keyword in node.keywords:
        name = keyword.arg or ""
        if name in register.fields and not register.field_access(name).writable:
            raise front.refuse("K308", keyword, f"{register.name}.{name} is read-only")


def _offset(front: Expressions, ref: RegisterRef, node: ast.AST) -> tree.Expression:
    """Bytes from the start of the block; every index is checked against its dimension."""
    span, offset = front.span(node), ref.register.offset
    parts: list[tree.Expression] = []
    for index, dimension in zip(ref.indices, ref.register.array, strict=True):
        if isinstance(index, tree.Const):
            if index.value >= dimension.count:
                raise front.refuse("K211", node, f"{index.value} where {ref.register.name} has {dimension.count}")
            offset += index.value * dimension.stride
            continue
        checked = tree.Checked(span, types.w64, index, dimension.count)
        parts.append(tree.Binary(span, types.w64, "*", checked, tree.Const(span, types.w64, dimension.stride)))
    result: tree.Expression = tree.Const(span, types.w64 if parts else types.usize, offset)
    for part in parts:
        result = tree.Binary(span, types.w64, "+", part, result)
    return result
