"""From Amaranth's netlist to a word graph with state: what the clock's edge changes, and to what.

Amaranth elaborates a design to cells over single bits (`amaranth.hdl._nir`, of the pinned version). Here each cell's
output is cut into pieces of at most 64 bits, between bits that nobody uses together, so that the fields of a structure
become words of their own; what nobody uses is left out. The pieces are then lowered to nodes.

A design has one clock, `clk`, whose rising edge all state follows, and a synchronous reset, `rst`. Where `rst` does
nothing but set a register to its initial value, it is taken out of the logic and becomes `Register.reset`.
"""

# pyright: reportAttributeAccessIssue=false
# (the type stubs leave out the netlist's attributes)

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from amaranth.hdl import _ir, _nir

from ..errors import BuildError
from .graph import WORD, Graph, Node, ones

Piece = tuple[int, int]


@dataclass
class Register:
    """A word of state.

    node    its value before the edge
    next    its value after the edge
    init    its value at the start
    reset   whether `rst` sets it to `init`
    """

    name: str
    node: Node
    init: int
    reset: bool = False
    next: Node | None = None


@dataclass
class Array:
    """A memory, or 64 bits of its width. `index` numbers it; `name` is its place in the design, joined by dots."""

    name: str
    index: int
    width: int
    depth: int
    init: Sequence[int]


@dataclass
class Write:
    """What the edge does to an array where `enable` is set: the bits in `mask`, or all (None)."""

    array: Array
    address: Node
    data: Node
    enable: Node
    mask: Node | None


@dataclass
class Model:
    """A design as the engine runs it.

    inputs, outputs   by port name; a port has at most 64 bits
    inside            (name, lowest bit, register, lowest bit in the register, width) of the signals that are state
    """

    graph: Graph
    inputs: dict[str, Node] = field(default_factory=dict)
    outputs: dict[str, Node] = field(default_factory=dict)
    registers: list[Register] = field(default_factory=list)
    arrays: list[Array] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    inside: list[tuple[str, int, Register, int, int]] = field(default_factory=list)


def elaborate(top: Any) -> _nir.Netlist:
    """Amaranth's netlist of a component."""
    ports = {}
    for path, member, value in top.signature.flatten(top):
        value = value.as_value() if hasattr(value, "as_value") else value
        flow = _ir.PortDirection.Input if member.flow.name == "In" else _ir.PortDirection.Output
        ports["__".join(map(str, path))] = (value, flow)
    return _ir.build_netlist(_ir.Fragment.get(top, None), ports=ports, name="top")


def read(netlist: _nir.Netlist) -> Model:
    """Lowers a netlist. Raises BuildError for what the engine does not do."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000_000)
    try:
        apart: set[int] = set()
        while True:
            try:
                return _Lowering(netlist, apart).model
            except _Loop as loop:
                # A loop between words is none between bits.
                if loop.cells <= apart:
                    raise BuildError("the design has a combinational loop", "report this as a bug") from loop
                apart |= loop.cells
    finally:
        sys.setrecursionlimit(limit)


class _Loop(Exception):
    def __init__(self, cells: set[int]):
        self.cells = cells


def _refuse(what: str) -> BuildError:
    return BuildError(f"the cycle engine does not know {what}", "use the traced simulator for this design")


def _runs(value: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """(cell, lowest bit, width) of what lies together; cell -1 is a constant, whose value stands for the bit."""
    at = 0
    while at < len(value):
        first, end = value[at], at + 1
        if first <= 1:
            constant = first
            while end < len(value) and value[end] <= 1:
                constant |= value[end] << (end - at)
                end += 1
            yield -1, constant, end - at
        else:
            while end < len(value) and value[end] == first + (end - at):
                end += 1
            yield first >> 16, first & 0xFFFF, end - at
        at = end


class _Lowering:
    def __init__(self, netlist: _nir.Netlist, apart: set[int]):
        self.netlist, self.cells, self.apart = netlist, netlist.cells, apart
        self.graph = g = Graph()
        self.model = Model(g)
        self.uses: dict[int, list[Piece]] = {}
        self.readers: dict[int, list[int]] = {}
        self.writers: dict[int, list[int]] = {}
        for index, cell in enumerate(self.cells):
            if isinstance(cell, _nir.SyncWritePort):
                self.writers.setdefault(cell.memory, []).append(index)
        self._find_clock()
        self._resets()
        self._demand()
        self.pieces = {cell: self._cut(cell, uses) for cell, uses in self.uses.items()}
        self.nodes: dict[tuple[int, int], Node] = {}
        self.busy: dict[tuple[int, int], None] = {}
        self.registers: dict[tuple[int, int], Register] = {}
        self.arrays: dict[int, list[Array]] = {}
        self._ports()
        self._state()

    # --- clock and reset ---------------------------------------------------------------------------------------------

    def _find_clock(self) -> None:
        top = self.netlist.top
        self.input_of: dict[int, tuple[str, int]] = {}
        for name, (start, width) in top.ports_i.items():
            for bit in range(width):
                self.input_of[start + bit] = (name, bit)
        self.clock = top.ports_i.get("clk", (None, 0))[0]
        self.rst = top.ports_i.get("rst", (None, 0))[0]
        for cell in self.cells:
            clk = getattr(cell, "clk", None)
            if clk is None or isinstance(cell, (_nir.SyncPrint, _nir.SyncProperty)):
                continue
            if clk != self.clock or cell.clk_edge != "pos":
                raise _refuse("more than one clock")
            if isinstance(cell, _nir.FlipFlop) and cell.arst != 0:
                raise _refuse("asynchronous reset")

    def _is_reset(self, net: int) -> bool:
        """Whether a net is `rst`, behind what Amaranth makes of a condition."""
        while net > 1 and self.rst is not None:
            if net == self.rst:
                return True
            cell = self.cells[net >> 16]
            if isinstance(cell, _nir.PriorityMatch) and cell.en == 1 and len(cell.inputs) == 1:
                net = cell.inputs[0]
            elif isinstance(cell, _nir.Matches) and cell.patterns == ("1",):
                net = cell.value[0]
            else:
                return False
        return False

    def _resets(self) -> None:
        """Finds the registers that `rst` sets: their last assignment."""
        self.reset: set[int] = set()
        self.skip_last: set[int] = set()
        for index, cell in enumerate(self.cells):
            if not isinstance(cell, _nir.FlipFlop) or cell.data[0] <= 1:
                continue
            width, source = len(cell.data), cell.data[0] >> 16
            data = self.cells[source]
            if not isinstance(data, _nir.AssignmentList) or source in self.skip_last or not data.assignments:
                continue
            last = data.assignments[-1]
            if (
                list(_runs(cell.data)) == [(source, 0, width)]
                and len(data.default) == width == len(last.value)
                and self._is_reset(last.cond)
                and all(net <= 1 for net in last.value)
                and sum(net << bit for bit, net in enumerate(last.value)) == cell.init
            ):
                self.reset.add(index)
                self.skip_last.add(source)

    def _assignments(self, index: int) -> Sequence[_nir.Assignment]:
        cell = self.cells[index]
        return cell.assignments[:-1] if index in self.skip_last else cell.assignments

    # --- which bits are used, and together ---------------------------------------------------------------------------

    def _demand(self) -> None:
        self.work: list[tuple[int, Piece]] = []
        for value in self.netlist.top.ports_o.values():
            self._use(value)
        while self.work:
            index, piece = self.work.pop()
            self._demand_of(index, piece)

    def _use(self, value: Sequence[int]) -> None:
        for cell, low, width in _runs(value):
            if cell > 0:
                self._use_bits(cell, low, low + width)

    def _use_bits(self, cell: int, start: int, end: int) -> None:
        if cell in self.apart and end - start > 1:
            for bit in range(start, end):
                self._use_bits(cell, bit, bit + 1)
            return
        pieces = self.uses.setdefault(cell, [])
        apart = []
        for piece in pieces:
            if piece[0] < end and start < piece[1]:
                if piece[0] <= start and end <= piece[1]:
                    return
                start, end = min(start, piece[0]), max(end, piece[1])
            else:
                apart.append(piece)
        self.uses[cell] = [*apart, (start, end)]
        self.work.append((cell, (start, end)))

    def _demand_of(self, index: int, piece: Piece) -> None:
        cell, (start, end) = self.cells[index], piece
        match cell:
            case _nir.Operator():
                if cell.operator in ("~", "&", "|", "^"):
                    for value in cell.inputs:
                        self._use(value[start:end])
                elif cell.operator == "m":
                    self._use(cell.inputs[0])
                    self._use(cell.inputs[1][start:end])
                    self._use(cell.inputs[2][start:end])
                elif cell.operator in ("+", "-", "*") or cell.operator == "<<":
                    self._use_bits(index, 0, end)
                    self._use(cell.inputs[0][:end])
                    if len(cell.inputs) == 2:
                        self._use(cell.inputs[1] if cell.operator == "<<" else cell.inputs[1][:end])
                else:
                    for value in cell.inputs:
                        self._use(value)
            case _nir.AssignmentList():
                self._use(cell.default[start:end])
                for assignment in self._assignments(index):
                    low, high = assignment.start, assignment.start + len(assignment.value)
                    if low < end and start < high:
                        self._use([assignment.cond])
                        self._use(assignment.value[max(0, start - low) : end - low])
            case _nir.FlipFlop():
                self._use(cell.data[start:end])
            case _nir.Part():
                self._use(cell.value)
                self._use(cell.offset)
            case _nir.Matches():
                self._use(cell.value)
            case _nir.PriorityMatch():
                self._use([cell.en])
                for net in cell.inputs[:end]:
                    self._use([net])
            case _nir.AsyncReadPort() | _nir.SyncReadPort():
                self._use(cell.addr)
                if isinstance(cell, _nir.SyncReadPort):
                    self._use([cell.en])
                if cell.memory not in self.readers:
                    self.readers[cell.memory] = []
                    for port in self.writers.get(cell.memory, ()):
                        write = self.cells[port]
                        for value in (write.addr, write.data, write.en):
                            self._use(value)
            case _:
                raise _refuse(f"cells of the kind {type(cell).__name__}")

    def _cut(self, cell: int, uses: list[Piece]) -> list[Piece]:
        pieces = []
        for start, end in sorted(uses):
            pieces += [(low, min(low + WORD, end)) for low in range(start, end, WORD)]
        return pieces

    # --- values ------------------------------------------------------------------------------------------------------

    def _value(self, value: Sequence[int]) -> Node:
        """The node of at most 64 bits."""
        g, parts, width = self.graph, [], 0
        runs = list(_runs(value))
        at = 0
        while at < len(runs):
            cell, low, length = runs[at]
            if cell < 0:
                parts.append(g.const(low, length))
            else:
                repeats = 1
                while length == 1 and at + repeats < len(runs) and runs[at + repeats] == runs[at]:
                    repeats += 1
                before = runs[at - 1] if at else None
                highest = before[1] + before[2] - 1 if before and before[0] == cell else -1
                if length == 1 and highest == low and at + repeats == len(runs):
                    # Copies of the highest bit up to the end: a sign extension.
                    return g.sext(g.cat(parts), width + repeats)
                piece = self._bits(cell, low, length)
                parts.append(piece if repeats == 1 else g.sext(piece, repeats))
                at += repeats - 1
                length *= repeats
            width += length
            at += 1
        return g.cat(parts)

    def _words(self, value: Sequence[int]) -> list[Node]:
        return [self._value(value[at : at + WORD]) for at in range(0, len(value), WORD)]

    def _bits(self, cell: int, low: int, width: int) -> Node:
        """Bits of a cell's output."""
        if cell == 0:
            return self._input(low, width)
        parts = []
        for start, end in self.pieces[cell]:
            first, last = max(start, low), min(end, low + width)
            if first < last:
                parts.append(self.graph.slice(self._piece(cell, start, end), first - start, last - first))
        return self.graph.cat(parts)

    def _input(self, low: int, width: int) -> Node:
        parts = []
        while width:
            name, bit = self.input_of[low]
            if low == self.clock:
                raise _refuse("a clock that is used as data")
            node = self.model.inputs[name]
            take = min(width, node.width - bit)
            parts.append(self.graph.slice(node, bit, take))
            low, width = low + take, width - take
        return self.graph.cat(parts)

    def _piece(self, cell: int, start: int, end: int) -> Node:
        key = (cell, start)
        node = self.nodes.get(key)
        if node is None:
            if isinstance(self.cells[cell], (_nir.FlipFlop, _nir.SyncReadPort)):
                return self._register(cell, start, end)
            if key in self.busy:
                keys = list(self.busy)
                around = {cell for cell, _ in keys[keys.index(key) :]}
                splittable = {
                    cell
                    for cell in around
                    if isinstance(self.cells[cell], _nir.AssignmentList)
                    or (isinstance(self.cells[cell], _nir.Operator) and self.cells[cell].operator in "&|^~m")
                }
                raise _Loop(splittable)
            self.busy[key] = None
            node = self.nodes[key] = self._lower(cell, start, end)
            del self.busy[key]
            assert node.width == end - start, (cell, self.cells[cell], start, end, node, node.args, self.pieces[cell])
        return node

    # --- cells -------------------------------------------------------------------------------------------------------

    def _lower(self, index: int, start: int, end: int) -> Node:
        cell, g = self.cells[index], self.graph
        match cell:
            case _nir.Operator():
                return self._operator(index, cell, start, end)
            case _nir.AssignmentList():
                result = self._value(cell.default[start:end])
                for assignment in self._assignments(index):
                    low, high = max(assignment.start, start), min(assignment.start + len(assignment.value), end)
                    if low >= high:
                        continue
                    value = self._value(assignment.value[low - assignment.start : high - assignment.start])
                    if (low, high) != (start, end):
                        around = [(start, low, None), (low, high, value), (high, end, None)]
                        value = g.cat([v or g.slice(result, a - start, b - a) for a, b, v in around if a < b])
                    result = g.mux(self._value([assignment.cond]), value, result)
                return result
            case _nir.Matches():
                return self._matches(cell)
            case _nir.PriorityMatch():
                return self._priority(cell, start)
            case _nir.Part():
                return self._part(cell, start, end)
            case _nir.AsyncReadPort():
                return self._read(cell, self._value(cell.addr), start, end)
        raise AssertionError(cell)

    def _operator(self, index: int, cell: _nir.Operator, start: int, end: int) -> Node:
        g, op = self.graph, cell.operator
        if op in ("~", "&", "|", "^"):
            values = [self._value(value[start:end]) for value in cell.inputs]
            return {"~": g.not_, "&": g.and_, "|": g.or_, "^": g.xor}[op](*values)
        if op == "m":
            return g.mux(
                self._value(cell.inputs[0]),
                self._value(cell.inputs[1][start:end]),
                self._value(cell.inputs[2][start:end]),
            )
        if op in ("+", "-", "*"):
            # Cut to the bits that are used; the last piece ends there.
            width = self.pieces[index][-1][1]
            inputs = [self._words(value[:width]) for value in cell.inputs]
            if op == "*":
                words = self._multiply(inputs[0], inputs[1], width)
            elif len(inputs) == 1:
                words = self._add([g.const(0, a.width) for a in inputs[0]], inputs[0], minus=True)
            else:
                words = self._add(inputs[0], inputs[1], minus=op == "-")
            return words[start // WORD]
        if op in ("b", "r|", "r&", "r^"):
            words = self._words(cell.inputs[0])
            if op == "r^":
                result = words[0]
                for word in words[1:]:
                    result = g.xor(g.zext(result, WORD), g.zext(word, WORD))
                return g.parity(result)
            if op == "r&":
                return self._all([g.masked(word, ones(word.width), ones(word.width)) for word in words])
            return g.not_(self._all([g.masked(word, ones(word.width), 0) for word in words]))
        if op in ("==", "!="):
            pairs = zip(self._words(cell.inputs[0]), self._words(cell.inputs[1]), strict=True)
            equal = self._all([g.eq(a, b) for a, b in pairs])
            return equal if op == "==" else g.not_(equal)
        if op[0] in "us" and op[1:] in ("<", ">", "<=", ">="):
            a, b = (self._words(value) for value in cell.inputs)
            if op[1] == ">":
                a, b = b, a
            if op.endswith("="):  # a <= b is not (b < a)
                return g.not_(self._less(b, a, op[0] == "s"))
            return self._less(a, b, op[0] == "s")
        if op == "<<":
            width = self.pieces[index][-1][1]
            return self._shift_left(self._words(cell.inputs[0][:width]), cell.inputs[1])[start // WORD]
        if op in ("u>>", "s>>"):
            value, amount = cell.inputs
            if op == "s>>" and len(value) <= WORD:
                return g.slice(g.sar(self._value(value), self._amount(amount)), start, end - start)
            words = self._words(value)
            if op == "s>>":
                # A right shift of the value with copies of its sign above, as many as the value has bits.
                sign = value[-1]
                words = self._words([*value, *[sign] * (len(value) + WORD)])
                shifted = self._shift_right(words, self._at_most(amount, len(value)))
            else:
                shifted = self._shift_right(words, self._amount(amount))
            return self._from_words(shifted, start, end)
        if op in ("u//", "u%", "s//", "s%"):
            a, b = cell.inputs
            if len(a) > WORD:
                raise _refuse(f"division of {len(a)} bits")
            name = op[0] + ("div" if op[1:] == "//" else "mod")
            return g.slice(g.divide(name, self._value(a), self._value(b)), start, end - start)
        raise _refuse(f"the operator {op}")

    def _from_words(self, words: Sequence[Node], start: int, end: int) -> Node:
        parts = []
        for at in range(start // WORD, (end - 1) // WORD + 1):
            low, high = max(start, at * WORD), min(end, at * WORD + words[at].width)
            parts.append(self.graph.slice(words[at], low - at * WORD, high - low))
        return self.graph.cat(parts)

    def _all(self, bits: Sequence[Node]) -> Node:
        result = self.graph.const(1, 1)
        for bit in bits:
            result = self.graph.and_(result, bit)
        return result

    def _add(self, a: Sequence[Node], b: Sequence[Node], *, minus: bool) -> list[Node]:
        g, words, carry = self.graph, [], None
        for at, (x, y) in enumerate(zip(a, b, strict=True)):
            apply = g.sub if minus else g.add
            word = apply(x, y)
            out = g.ult(x, y) if minus else g.ult(word, x)
            if carry is not None:
                before = word
                word = apply(word, g.zext(carry, word.width))
                more = g.ult(before, g.zext(carry, word.width)) if minus else g.ult(word, before)
                out = g.or_(out, more)
            words.append(word)
            carry = out if at + 1 < len(a) else None
        return words

    def _multiply(self, a: Sequence[Node], b: Sequence[Node], width: int) -> list[Node]:
        """Column by column, modulo 2**width."""
        g, count = self.graph, len(a)
        zero = g.const(0, WORD)
        columns: list[Node] = [zero] * count
        for i, x in enumerate(a):
            for j, y in enumerate(b[: count - i]):
                x_, y_ = g.zext(x, WORD), g.zext(y, WORD)
                product = [zero] * (i + j) + [g.mul(x_, y_)]
                if i + j + 1 < count:
                    product.append(g.high(x_, y_))
                product += [zero] * (count - len(product))
                columns = self._add(columns, product[:count], minus=False)
        columns[-1] = g.slice(columns[-1], 0, width - WORD * (count - 1))
        return columns

    def _less(self, a: Sequence[Node], b: Sequence[Node], is_signed: bool) -> Node:
        g = self.graph
        result = g.const(0, 1)
        for at, (x, y) in enumerate(zip(a, b, strict=True)):
            top = at + 1 == len(a)
            less = (g.slt if top and is_signed else g.ult)(x, y)
            result = g.or_(less, g.and_(g.eq(x, y), result))
        return result

    def _amount(self, value: Sequence[int]) -> Node:
        """A shift amount as one word; what does not fit is the greatest word."""
        words = self._words(value)
        result = self.graph.zext(words[0], WORD) if words else self.graph.const(0, WORD)
        for word in words[1:]:
            result = self.graph.mux(self.graph.any(word), self.graph.const(-1, WORD), result)
        return result

    def _at_most(self, value: Sequence[int], limit: int) -> Node:
        amount, bound = self._amount(value), self.graph.const(limit, WORD)
        return self.graph.mux(self.graph.ult(bound, amount), bound, amount)

    def _shift_left(self, words: Sequence[Node], amount: Sequence[int]) -> list[Node]:
        g, n = self.graph, self._amount(amount)
        if len(words) == 1:
            return [g.shl(words[0], n)]
        result = []
        for i, own in enumerate(words):
            total = g.const(0, WORD)
            for j in range(i + 1):
                distance = g.const(WORD * (i - j), WORD)
                word = g.zext(words[j], WORD)
                total = g.or_(total, g.shl(word, g.sub(n, distance)))
                if i > j:
                    total = g.or_(total, g.shr(word, g.sub(distance, n)))
            result.append(g.slice(total, 0, own.width))
        return result

    def _shift_right(self, words: Sequence[Node], n: Node) -> list[Node]:
        g = self.graph
        if len(words) == 1:
            return [g.shr(words[0], n)]
        result = []
        for i, own in enumerate(words):
            total = g.const(0, WORD)
            for j in range(i, len(words)):
                distance = g.const(WORD * (j - i), WORD)
                word = g.zext(words[j], WORD)
                total = g.or_(total, g.shr(word, g.sub(n, distance)))
                if j > i:
                    total = g.or_(total, g.shl(word, g.sub(distance, n)))
            result.append(g.slice(total, 0, own.width))
        return result

    def _matches(self, cell: _nir.Matches) -> Node:
        g, value = self.graph, cell.value
        if not value:
            return g.const(bool(cell.patterns), 1)
        if len(value) <= 6 and len(cell.patterns) > 1:
            table = 0
            for pattern in cell.patterns:
                care = int(pattern.replace("0", "1").replace("-", "0"), 2)
                want = int(pattern.replace("-", "0"), 2)
                table |= sum(1 << v for v in range(1 << len(value)) if v & care == want)
            return g.member(self._value(value), table)
        words, result = self._words(value), g.const(0, 1)
        for pattern in cell.patterns:
            care = int(pattern.replace("0", "1").replace("-", "0"), 2)
            want = int(pattern.replace("-", "0"), 2)
            terms = [
                g.masked(word, care >> WORD * at & ones(word.width), want >> WORD * at & ones(word.width))
                for at, word in enumerate(words)
            ]
            result = g.or_(result, self._all(terms))
        return result

    def _priority(self, cell: _nir.PriorityMatch, bit: int) -> Node:
        """Output `bit`: the input of that number, and none below that can be set together with it."""
        g = self.graph
        result = g.and_(self._value([cell.en]), self._value([cell.inputs[bit]]))
        for below in cell.inputs[:bit]:
            if not self._exclusive(below, cell.inputs[bit]):
                result = g.and_(result, g.not_(self._value([below])))
        return result

    def _exclusive(self, a: int, b: int) -> bool:
        """Whether two nets are comparisons of one value with different patterns."""
        if a <= 1 or b <= 1:
            return a == 0 or b == 0
        x, y = self.cells[a >> 16], self.cells[b >> 16]
        if not (isinstance(x, _nir.Matches) and isinstance(y, _nir.Matches) and x.value == y.value):
            return False
        return all(
            any({p, q} == {"0", "1"} for p, q in zip(first, second, strict=True))
            for first in x.patterns
            for second in y.patterns
        )

    def _part(self, cell: _nir.Part, start: int, end: int) -> Node:
        """Bits of a value from a computed one up; above the value are zeros, or copies of its sign."""
        g, stride = self.graph, cell.stride
        if len(cell.offset) + stride.bit_length() > WORD:
            raise _refuse(f"a part select with an offset of {len(cell.offset)} bits")
        offset = g.mul(g.zext(self._value(cell.offset), WORD), g.const(stride, WORD))
        value = list(cell.value)
        if not value:
            return g.const(0, end - start)
        fill = value[-1] if cell.value_signed else 0
        limit = len(value)
        farthest = stride * ones(len(cell.offset))
        length = max(limit, min(limit, farthest) + cell.width)
        value += [fill] * (length - limit)
        if farthest > limit:
            offset = g.mux(g.ult(g.const(limit, WORD), offset), g.const(limit, WORD), offset)
        return self._from_words(self._shift_right(self._words(value), offset), start, end)

    # --- state -------------------------------------------------------------------------------------------------------

    def _register(self, cell: int, start: int, end: int) -> Node:
        found = self.registers.get((cell, start))
        if found is None:
            source = self.cells[cell]
            name = f"{cell}_{start}"
            node = self.graph.make("state", (), end - start, name)
            init = (source.init >> start) & ones(end - start) if isinstance(source, _nir.FlipFlop) else 0
            found = self.registers[cell, start] = Register(name, node, init, cell in self.reset)
        return found.node

    def _array(self, memory: int) -> list[Array]:
        """The arrays of a memory, each of at most 64 bits of its width."""
        found = self.arrays.get(memory)
        if found is None:
            cell = self.cells[memory]
            name = ".".join((*self.netlist.modules[cell.module_idx].name, cell.name))
            found = self.arrays[memory] = []
            for low in range(0, cell.width, WORD):
                width = min(WORD, cell.width - low)
                init = [value >> low & ones(width) for value in cell.init]
                array = Array(name, len(self.model.arrays), width, cell.depth, init)
                self.model.arrays.append(array)
                found.append(array)
        return found

    def _read(self, port: Any, address: Node, start: int, end: int) -> Node:
        g, parts = self.graph, []
        for at, array in enumerate(self._array(port.memory)):
            low, high = max(start, at * WORD), min(end, at * WORD + array.width)
            if low < high:
                if array.depth:
                    word = g.make("read", (address,), array.width, array.index)
                else:
                    word = g.const(0, array.width)
                parts.append(g.slice(word, low - at * WORD, high - low))
        return g.cat(parts)

    def _next(self, cell: int, start: int, end: int) -> Node:
        source, g = self.cells[cell], self.graph
        if isinstance(source, _nir.FlipFlop):
            return self._value(source.data[start:end])
        address = self._value(source.addr)
        value = self._read(source, address, start, end)
        for index in source.transparent_for:
            port = self.cells[index]
            hit = g.eq(*self._same_width(address, self._value(port.addr)))
            new, enable = self._value(port.data[start:end]), self._value(port.en[start:end])
            merged = g.or_(g.and_(new, enable), g.and_(value, g.not_(enable)))
            value = g.mux(hit, merged, value)
        return g.mux(self._value([source.en]), value, self._register(cell, start, end))

    def _same_width(self, a: Node, b: Node) -> tuple[Node, Node]:
        width = max(a.width, b.width)
        return self.graph.zext(a, width), self.graph.zext(b, width)

    def _ports(self) -> None:
        top = self.netlist.top
        for name, (_, width) in top.ports_i.items():
            if width > WORD:
                raise _refuse(f"an input of {width} bits ({name})")
            self.model.inputs[name] = self.graph.make("input", (), width, name)
        for name, value in top.ports_o.items():
            if len(value) > WORD:
                raise _refuse(f"an output of {len(value)} bits ({name})")
            if value:
                self.model.outputs[name] = self._value(value)

    def _state(self) -> None:
        """Everything that an edge changes and that somebody looks at."""
        for cell, pieces in self.pieces.items():
            if isinstance(self.cells[cell], (_nir.FlipFlop, _nir.SyncReadPort)):
                for start, end in pieces:
                    self._register(cell, start, end)
        for (cell, start), register in self.registers.items():
            register.next = self._next(cell, start, start + register.node.width)
            self.model.registers.append(register)
        for memory in self.readers:
            for port in self.writers.get(memory, ()):
                self._write(self.cells[port])
        self._inside()

    def _write(self, port: _nir.SyncWritePort) -> None:
        g = self.graph
        address = self._value(port.addr)
        for at, array in enumerate(self._array(port.memory)):
            low, high = at * WORD, at * WORD + array.width
            enable = port.en[low:high]
            mask = self._value(enable)
            if all(net == enable[0] for net in enable):
                self.model.writes.append(
                    Write(array, address, self._value(port.data[low:high]), self._value(enable[:1]), None)
                )
            else:
                data = self._value(port.data[low:high])
                self.model.writes.append(Write(array, address, data, g.any(mask), mask))

    def _inside(self) -> None:
        for module in self.netlist.modules:
            for signal, name in module.signal_names.items():
                path = ".".join((*module.name, name))
                at = 0
                for cell, low, width in _runs(self.netlist.signals[signal]):
                    for start, end in self.pieces.get(cell, ()):
                        register = self.registers.get((cell, start))
                        first, last = max(low, start), min(low + width, end)
                        if register is not None and first < last:
                            position = at + first - low
                            self.model.inside.append((path, position, register, first - start, last - first))
                    at += width
