"""The word graph: the design's logic as operations on words of at most 64 bits, equal ones made once.

Every value is unsigned and below 2**width; what an operation gives is cut to its width. `Graph` folds constants and
a few identities while it builds; what the C++ compiler does as well is left to it.
"""

from collections.abc import Sequence

WORD = 64


class Node:
    """One operation.

    op       see the methods of `Graph`; `state` and `input` are what a cycle starts from
    args     its operands
    width    bits of the result, 1 to 64
    value    what else it needs: a constant, a bit position, a name, a table
    """

    __slots__ = ("args", "id", "op", "value", "width")

    def __init__(self, op: str, args: tuple["Node", ...], width: int, value: object, number: int):
        self.op, self.args, self.width, self.value, self.id = op, args, width, value, number

    @property
    def constant(self) -> int | None:
        """The value of a constant."""
        return self.value if self.op == "const" else None  # type: ignore[return-value]

    def __repr__(self) -> str:
        return f"n{self.id}={self.op}/{self.width} {self.value} {[arg.id for arg in self.args]}"


def ones(width: int) -> int:
    """The greatest value of a width."""
    return (1 << width) - 1


def signed(value: int, width: int) -> int:
    """A value as two's complement."""
    return value - (1 << width) if value >> width - 1 & 1 else value


class Graph:
    """Makes nodes."""

    def __init__(self):
        self.nodes: list[Node] = []
        self._known: dict[tuple[object, ...], Node] = {}

    def make(self, op: str, args: Sequence[Node], width: int, value: object = None) -> Node:
        """The node of an operation, without folding."""
        assert 1 <= width <= WORD, f"{op} of {width} bits"
        key = (op, width, value, *(arg.id for arg in args))
        node = self._known.get(key)
        if node is None:
            node = self._known[key] = Node(op, tuple(args), width, value, len(self.nodes))
            self.nodes.append(node)
        return node

    def const(self, value: int, width: int) -> Node:
        """A constant, cut to the width."""
        return self.make("const", (), width, value & ones(width))

    # --- bits --------------------------------------------------------------------------------------------------------

    def not_(self, a: Node) -> Node:
        """~a"""
        if a.constant is not None:
            return self.const(~a.constant, a.width)
        if a.op == "not":
            return a.args[0]
        if a.op == "ult":  # the complement of a comparison is one
            return self.ule(a.args[1], a.args[0])
        if a.op == "ule":
            return self.ult(a.args[1], a.args[0])
        return self.make("not", (a,), a.width)

    def and_(self, a: Node, b: Node) -> Node:
        """a & b"""
        if a.id > b.id:
            a, b = b, a
        for x, y in ((a, b), (b, a)):
            if x.constant is not None:
                if x.constant == 0:
                    return x
                if x.constant == ones(x.width):
                    return y
            if y.op == "not" and y.args[0] is x:
                return self.const(0, x.width)
            if x.op == "sext" and x.args[0].width == 1:
                return self.mux(x.args[0], y, self.const(0, y.width))
        if a is b:
            return a
        return self.make("and", (a, b), a.width)

    def or_(self, a: Node, b: Node) -> Node:
        """a | b"""
        if a.id > b.id:
            a, b = b, a
        for x, y in ((a, b), (b, a)):
            if x.constant is not None:
                if x.constant == 0:
                    return y
                if x.constant == ones(x.width):
                    return x
            if y.op == "not" and y.args[0] is x:
                return self.const(-1, x.width)
        if a is b:
            return a
        return self.make("or", (a, b), a.width)

    def xor(self, a: Node, b: Node) -> Node:
        """a ^ b"""
        if a.id > b.id:
            a, b = b, a
        for x, y in ((a, b), (b, a)):
            if x.constant == 0:
                return y
            if x.constant == ones(x.width):
                return self.not_(y)
        if a is b:
            return self.const(0, a.width)
        return self.make("xor", (a, b), a.width)

    def mux(self, c: Node, a: Node, b: Node) -> Node:
        """c ? a : b"""
        if c.constant is not None:
            return a if c.constant else b
        if a is b:
            return a
        if c.op == "not":
            return self.mux(c.args[0], b, a)
        if a.op == "mux" and a.args[0] is c:
            return self.mux(c, a.args[1], b)
        if b.op == "mux" and b.args[0] is c:
            return self.mux(c, a, b.args[2])
        if a.width == 1:
            if a.constant is not None:
                return self.or_(c, b) if a.constant else self.and_(self.not_(c), b)
            if b.constant is not None:
                return self.or_(self.not_(c), a) if b.constant else self.and_(c, a)
        return self.make("mux", (c, a, b), a.width)

    def parity(self, a: Node) -> Node:
        """The exclusive or of all bits."""
        if a.constant is not None:
            return self.const(a.constant.bit_count() & 1, 1)
        return a if a.width == 1 else self.make("parity", (a,), 1)

    # --- parts -------------------------------------------------------------------------------------------------------

    def slice(self, a: Node, low: int, width: int) -> Node:
        """`width` bits of `a` from bit `low` up."""
        assert low + width <= a.width
        if width == a.width:
            return a
        if a.constant is not None:
            return self.const(a.constant >> low, width)
        if a.op == "slice":
            return self.slice(a.args[0], a.value + low, width)  # type: ignore[operator]
        if a.op == "sext":
            inner = a.args[0]
            if low + width <= inner.width:
                return self.slice(inner, low, width)
            if low >= inner.width - 1:
                return self.sext(self.slice(inner, inner.width - 1, 1), width)
        if a.op == "cat":
            parts, position = [], 0
            for part in a.args:
                start, end = max(low, position), min(low + width, position + part.width)
                if start < end:
                    parts.append(self.slice(part, start - position, end - start))
                position += part.width
            return self.cat(parts)
        return self.make("slice", (a,), width, low)

    def cat(self, parts: Sequence[Node]) -> Node:
        """Parts side by side, the lowest first."""
        flat: list[Node] = []
        for part in parts:
            for piece in part.args if part.op == "cat" else (part,):
                last = flat[-1] if flat else None
                bit = _repeated(piece)
                if last is not None and bit is not None and bit is _repeated(last):
                    flat[-1] = self.sext(bit, last.width + piece.width)
                    continue
                if last is not None and last.constant is not None and piece.constant is not None:
                    width = last.width + piece.width
                    flat[-1] = self.const(last.constant | piece.constant << last.width, width)
                elif (
                    last is not None
                    and last.op == piece.op == "slice"
                    and last.args[0] is piece.args[0]
                    and last.value + last.width == piece.value  # type: ignore[operator]
                ):
                    flat[-1] = self.slice(last.args[0], last.value, last.width + piece.width)  # type: ignore[arg-type]
                else:
                    flat.append(piece)
        if len(flat) == 1:
            return flat[0]
        return self.make("cat", flat, sum(part.width for part in flat))

    def zext(self, a: Node, width: int) -> Node:
        """`a` with zeros above, or cut."""
        if width <= a.width:
            return self.slice(a, 0, width)
        return self.cat([a, self.const(0, width - a.width)])

    def sext(self, a: Node, width: int) -> Node:
        """`a` with copies of its highest bit above."""
        if width == a.width:
            return a
        if a.constant is not None:
            return self.const(signed(a.constant, a.width), width)
        if a.op == "sext":
            a = a.args[0]
        return self.make("sext", (a,), width)

    # --- numbers -----------------------------------------------------------------------------------------------------

    def add(self, a: Node, b: Node) -> Node:
        """a + b"""
        if a.constant is not None and b.constant is not None:
            return self.const(a.constant + b.constant, a.width)
        for x, y in ((a, b), (b, a)):
            if x.constant == 0:
                return y
        return self.make("add", (a, b), a.width)

    def sub(self, a: Node, b: Node) -> Node:
        """a - b"""
        if a.constant is not None and b.constant is not None:
            return self.const(a.constant - b.constant, a.width)
        if b.constant == 0:
            return a
        return self.make("sub", (a, b), a.width)

    def mul(self, a: Node, b: Node) -> Node:
        """a * b"""
        if a.constant is not None and b.constant is not None:
            return self.const(a.constant * b.constant, a.width)
        return self.make("mul", (a, b), a.width)

    def high(self, a: Node, b: Node) -> Node:
        """The upper word of the product of two words."""
        if a.constant is not None and b.constant is not None:
            return self.const(a.constant * b.constant >> WORD, WORD)
        return self.make("high", (a, b), WORD)

    def divide(self, op: str, a: Node, b: Node) -> Node:
        """`udiv`, `umod`, `sdiv`, `smod`: towards minus infinity; what is divided by zero is zero."""
        return self.make(op, (a, b), a.width)

    def eq(self, a: Node, b: Node) -> Node:
        """a == b"""
        if a is b:
            return self.const(1, 1)
        if a.constant is not None:
            a, b = b, a
        if b.constant is not None:
            return self.masked(a, ones(a.width), b.constant)
        if a.width == 1:
            return self.not_(self.xor(a, b))
        return self.make("eq", (a, b) if a.id < b.id else (b, a), 1)

    def masked(self, a: Node, mask: int, value: int) -> Node:
        """(a & mask) == value"""
        if value & ~mask:
            return self.const(0, 1)
        if mask == 0:
            return self.const(1, 1)
        if a.constant is not None:
            return self.const(a.constant & mask == value, 1)
        if a.op == "slice":
            return self.masked(a.args[0], mask << a.value, value << a.value)  # type: ignore[operator]
        if a.op == "sext":
            return self.masked(*_extended(a, mask, value))
        if a.op == "cat":
            # What comes from one word is compared at once.
            wanted: dict[Node, tuple[int, int]] = {}
            for part in a.args:
                m, v = mask & ones(part.width), value & ones(part.width)
                mask, value = mask >> part.width, value >> part.width
                if part.op == "sext" and m:
                    part, m, v = _extended(part, m, v)
                    if v & ~m:
                        return self.const(0, 1)
                source, low = (part.args[0], part.value) if part.op == "slice" else (part, 0)
                before = wanted.get(source, (0, 0))
                m, v = m << low, v << low  # type: ignore[operator]
                if (before[1] ^ v) & before[0] & m:
                    return self.const(0, 1)
                wanted[source] = (before[0] | m, before[1] | v)
            result = self.const(1, 1)
            for source, (m, v) in wanted.items():
                result = self.and_(result, self.masked(source, m, v))
            return result
        if a.width == 1:
            return a if value else self.not_(a)
        if mask.bit_count() == 1:
            bit = self.slice(a, mask.bit_length() - 1, 1)
            return bit if value else self.not_(bit)
        return self.make("masked", (a,), 1, (mask, value))

    def member(self, a: Node, table: int) -> Node:
        """Bit `a` of a constant of 64 bits; `a` has 6 bits at most."""
        if a.constant is not None:
            return self.const(table >> a.constant, 1)
        if table & ones(1 << a.width) == ones(1 << a.width):
            return self.const(1, 1)
        return self.make("member", (a,), 1, table)

    def any(self, a: Node) -> Node:
        """a != 0"""
        return self.not_(self.masked(a, ones(a.width), 0))

    def ult(self, a: Node, b: Node) -> Node:
        """a < b"""
        if a.constant is not None and b.constant is not None:
            return self.const(a.constant < b.constant, 1)
        return self.const(0, 1) if a is b or b.constant == 0 else self.make("ult", (a, b), 1)

    def ule(self, a: Node, b: Node) -> Node:
        """a <= b"""
        if a.constant is not None and b.constant is not None:
            return self.const(a.constant <= b.constant, 1)
        return self.const(1, 1) if a is b or a.constant == 0 else self.make("ule", (a, b), 1)

    def slt(self, a: Node, b: Node) -> Node:
        """a < b, as two's complement"""
        if a.constant is not None and b.constant is not None:
            return self.const(signed(a.constant, a.width) < signed(b.constant, b.width), 1)
        return self.const(0, 1) if a is b else self.make("slt", (a, b), 1)

    def shl(self, a: Node, n: Node) -> Node:
        """a << n; 0 when n is 64 or more"""
        if n.constant is not None:
            n_ = n.constant
            if n_ >= a.width:
                return self.const(0, a.width)
            return self.cat([self.const(0, n_), self.slice(a, 0, a.width - n_)]) if n_ else a
        return a if a.constant == 0 else self.make("shl", (a, n), a.width)

    def shr(self, a: Node, n: Node) -> Node:
        """a >> n; 0 when n is 64 or more"""
        if n.constant is not None:
            if n.constant >= a.width:
                return self.const(0, a.width)
            return self.zext(self.slice(a, n.constant, a.width - n.constant), a.width)
        return a if a.constant == 0 else self.make("shr", (a, n), a.width)

    def sar(self, a: Node, n: Node) -> Node:
        """a >> n, with copies of the highest bit entering"""
        if n.constant is not None:
            n_ = min(n.constant, a.width - 1)
            return self.sext(self.slice(a, n_, a.width - n_), a.width)
        return self.make("sar", (a, n), a.width)


def _repeated(node: Node) -> Node | None:
    """The bit that a value repeats, if it does."""
    bit = node.args[0] if node.op == "sext" else node
    return bit if bit.width == 1 and bit.constant is None else None


def _extended(node: Node, mask: int, value: int) -> tuple[Node, int, int]:
    """A comparison of a sign extension as one of what it extends; a value with bits outside the mask never is."""
    inner = node.args[0]
    top = inner.width - 1
    low, above = ones(top), mask >> top
    if value >> top not in (0, above):
        return inner, 0, 1
    return inner, mask & low | bool(above) << top, value & low | bool(value >> top) << top
