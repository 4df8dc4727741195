"""What statements may write, read off the tree: regions of memory (see memory.py), and locals. Never too little.

A scalar behind a pointer may be any scalar of its type whose address is taken somewhere in the program.
"""

# Z3's own annotations are unions of everything that a call may give.
# pyright: reportArgumentType=false, reportReturnType=false, reportAttributeAccessIssue=false
# pyright: reportOperatorIssue=false, reportCallIssue=false

from collections.abc import Iterable
from typing import Any

from kernel.lang import tree, types
from kernel.lang.declare import Function
from kernel.lang.program import Program
from kernel.lang.types import ArrayType, StructType, Type


def of(
    program: Program, statements: Iterable[tree.Statement], *, calls: bool = True
) -> tuple[set[Any], list[tree.Variable]]:
    """(regions, locals of the function itself) that the statements may write, and all that they call unless `calls` is
    False."""
    regions: set[Any] = set()
    variables: dict[tree.Variable, None] = {}
    done: set[Function] = set()
    pending = [(list(statements), True)]
    while pending:
        body, own = pending.pop()
        for statement in body:
            for node in statement.walk():
                if isinstance(node, (tree.Assign, tree.Copy)):
                    target = node.target
                    if isinstance(target, tree.Local):
                        if own:
                            variables[target.variable] = None
                    else:
                        regions |= regions_of(program, target)
                elif isinstance(node, tree.VolatileWrite):
                    regions |= behind_pointer(program, node.value.type)
                elif isinstance(node, tree.For) and own:
                    variables[node.variable] = None
                for called in called_by(program, node) if calls else ():
                    if called not in done:
                        done.add(called)
                        pending.append((program.bodies[called].statements, False))
    return regions, list(variables)


def called_by(program: Program, node: tree.Node) -> list[Function]:
    """Functions that a node may call."""
    if isinstance(node, tree.Call) and isinstance(node.function, Function):
        return [node.function]
    if isinstance(node, tree.CallPointer):
        return program.targets.get(node.kind, [])
    return []


def scalar(kind: Type) -> Type:
    """What an array is made of in the end."""
    while isinstance(kind, ArrayType):
        kind = kind.element
    return kind


def leaves(kind: Type, region: Any) -> set[Any]:
    """The regions of a whole struct, array or scalar."""
    kind = scalar(kind)
    if not isinstance(kind, StructType):
        return {region}
    return {r for name, member in kind.fields.items() for r in leaves(member.type, (kind, name))}


def behind_pointer(program: Program, kind: Type) -> set[Any]:
    """The regions that a pointer of this target may point into."""
    kind = scalar(kind)
    if isinstance(kind, StructType):
        return leaves(kind, None)
    found: set[Any] = {("raw", kind.name)}
    for body in program.bodies.values():
        for node in body.walk():
            if isinstance(node, tree.AddressOf) and scalar(node.place.type) is kind:
                found |= regions_of(program, node.place, follow=False)
    return found


def regions_of(program: Program, place: tree.Expression, *, follow: bool = True) -> set[Any]:
    """The regions that a place may be in; without `follow`, those behind pointers are left to their own AddressOf."""
    match place:
        case tree.Local():
            return set()
        case tree.Global():
            return leaves(place.type, ("variable", place.variable.name))
        case tree.Field():
            assert isinstance(place.base.type, StructType)
            return leaves(place.type, (place.base.type, place.name))
        case tree.Element():
            if isinstance(place.base.type, types.SpanType):
                return behind_pointer(program, place.type)
            if isinstance(scalar(place.type), StructType):
                return leaves(place.type, None)
            return regions_of(program, place.base, follow=follow)
        case tree.Deref():
            return behind_pointer(program, place.type) if follow else set()
    return behind_pointer(program, place.type)
