"""Register accesses: `block.register.read()`, `.write(value)`, `.modify(field=value)`.

The block is a register description of rtl/registers/, the same object that makes the hardware's decoder.
"""

import ast

from kernel.lang import tree
from kernel.lang.expressions import Expressions, RegisterRef, Value


def access(front: Expressions, node: ast.Call, ref: RegisterRef, verb: str) -> Value:
    """The typed tree of one access."""
    raise front.refuse("K308", node, verb)


__all__ = ["access", "tree"]
