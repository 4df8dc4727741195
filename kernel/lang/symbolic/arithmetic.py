"""Operators on bit-vectors: each gives the value, and the condition under which it does not panic (None: never).

The rules are those of docs/kernel-python.md, written a third time: evaluate.py and the emitted C have them too, and the
tests compare all three.
"""

# Z3's own annotations are unions of everything that a call may give.
# pyright: reportArgumentType=false, reportReturnType=false, reportAttributeAccessIssue=false
# pyright: reportOperatorIssue=false, reportCallIssue=false

from typing import Any

import z3

from kernel.lang.symbolic.values import resize, width_of
from kernel.lang.types import IntType, Type

Result = tuple[Any, Any]


def binary(kind: Type, op: str, left: Any, right: Any) -> Result:
    """`left op right` of one type (a shift count may be of another, unsigned)."""
    if op in ("&", "|", "^"):
        if isinstance(left, z3.BoolRef):
            made = {"&": z3.And(left, right), "|": z3.Or(left, right), "^": z3.Xor(left, right)}
            return made[op], None
        return (left & right if op == "&" else left | right if op == "|" else left ^ right), None
    assert isinstance(kind, IntType)
    if op in ("min", "max"):
        smaller = left <= right if kind.signed else z3.ULE(left, right)
        return (z3.If(smaller, left, right) if op == "min" else z3.If(smaller, right, left)), None
    if op in ("<<", ">>"):
        return _shift(kind, op, left, right)
    if op in ("//", "%"):
        return _divide(kind, op, left, right)
    value = left + right if op == "+" else left - right if op == "-" else left * right
    return value, None if kind.wrapping else _fits(kind, op, left, right, value)


def _fits(kind: IntType, op: str, left: Any, right: Any, value: Any) -> Any:
    """Whether `+ - *` stay in the range of the type."""
    if op == "+":
        if not kind.signed:
            return z3.UGE(value, left)
        return z3.And(z3.BVAddNoOverflow(left, right, True), z3.BVAddNoUnderflow(left, right))
    if op == "-":
        if not kind.signed:
            return z3.UGE(left, right)
        return z3.And(z3.BVSubNoOverflow(left, right), z3.BVSubNoUnderflow(left, right, True))
    no_underflow = [z3.BVMulNoUnderflow(left, right)] if kind.signed else []
    return z3.And(z3.BVMulNoOverflow(left, right, kind.signed), *no_underflow)


def _shift(kind: IntType, op: str, left: Any, count: Any) -> Result:
    good = (
        z3.ULT(count, z3.BitVecVal(kind.width, count.size())) if kind.width >> count.size() == 0 else z3.BoolVal(True)
    )
    count = resize(count, kind.width, False)
    if op == "<<":
        return left << count, good
    return (left >> count if kind.signed else z3.LShR(left, count)), good


def _divide(kind: IntType, op: str, left: Any, right: Any) -> Result:
    """Rounds down, as Python's; the remainder has the divisor's sign."""
    nonzero = right != 0
    if not kind.signed:
        return (z3.UDiv(left, right) if op == "//" else z3.URem(left, right)), nonzero
    remainder = left % right  # bvsmod: the divisor's sign
    if op == "%":
        return remainder, nonzero
    lowest = z3.BitVecVal(kind.minimum, kind.width)
    quotient = left / right  # rounds towards zero
    inexact = z3.And(z3.SRem(left, right) != 0, (left < 0) != (right < 0))
    return z3.If(inexact, quotient - 1, quotient), z3.And(nonzero, z3.Not(z3.And(left == lowest, right == -1)))


def unary(kind: Type, op: str, value: Any) -> Result:
    """`not ~ -` and the bit counts."""
    if op == "not":
        return z3.Not(value), None
    assert isinstance(kind, IntType)
    if op == "~":
        return ~value, None
    if op == "-":
        if kind.wrapping:
            return -value, None
        lowest = z3.BitVecVal(kind.minimum, kind.width)
        return -value, value != lowest if kind.signed else value == 0
    width = value.size()
    bits = [z3.Extract(i, i, value) == 1 for i in range(width)]
    if op == "popcount":
        return z3.Sum([z3.ZeroExt(width - 1, z3.Extract(i, i, value)) for i in range(width)]), None
    if op == "byteswap":
        parts = [z3.Extract(i + 7, i, value) for i in range(0, width, 8)]
        return (z3.Concat(*parts) if len(parts) > 1 else value), None
    result = z3.BitVecVal(width, width)
    for n in reversed(range(width)):  # The last one that is built decides first.
        result = z3.If(bits[n] if op == "ctz" else bits[width - 1 - n], z3.BitVecVal(n, width), result)
    return result, None


def compare(op: str, left: Any, right: Any, signed: bool) -> Any:
    """`left op right` of bit-vectors or Bools."""
    if op in ("==", "!="):
        return left == right if op == "==" else left != right
    if isinstance(left, z3.BoolRef):
        left, right = (z3.If(side, z3.BitVecVal(1, 8), z3.BitVecVal(0, 8)) for side in (left, right))
    if signed:
        return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[op]
    made = {"<": z3.ULT, "<=": z3.ULE, ">": z3.UGT, ">=": z3.UGE}
    return made[op](left, right)


def fits(source: Type, kind: IntType, value: Any) -> Any:
    """Whether an integer is in the range of another type."""
    signed = isinstance(source, IntType) and source.signed
    wide = resize(value, max(width_of(source), kind.width) + 1, signed)
    low, high = (z3.BitVecVal(limit, wide.size()) for limit in (kind.minimum, kind.maximum))
    return z3.And(wide >= low, wide <= high)
