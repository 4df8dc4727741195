"""C++ of a scheduled design: one struct of plain data, and what a cycle does to it.

    settle()   the outputs, from the registers; what the next edge needs of that logic again is kept ("wires")
    look()     those outputs that are computed only when somebody asks
    clock()    the clock's edge: new registers and memories, from the old ones, the inputs and the wires; and `settle`

A quiet cycle (habits.py) takes its own, shorter way through the last.

The struct is the whole state: a copy of its bytes is a checkpoint.
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from ..errors import BuildError
from .graph import WORD, Node, ones
from .guards import BRANCH_COST, Guards, Root, implied, loads
from .habits import Habits, Quiet, below, place, quiet
from .netlist import Array, Model, Register, Write
from .schedule import Block, Item, schedule


@dataclass(frozen=True)
class Source:
    """Generated text: the struct, its functions (those of quiet cycles in files of their own), and rows for the
    harness's table of what is inside."""

    header: str
    body: str
    quiet: list[str]
    inside: str


def emit(model: Model, *, habits: Habits | None = None, threshold: int = BRANCH_COST, on_demand: str = "?") -> Source:
    """The C++ of a model. Outputs whose names start with `on_demand` are valid after `look()` only."""
    shown = {name: node for name, node in model.outputs.items() if not name.startswith(on_demand)}
    asked = {name: node for name, node in model.outputs.items() if name not in shown}
    for node in below(model.outputs.values()):
        if node.op == "input":
            raise BuildError(f"an output depends on the input {node.value} within the cycle", "register it")
    whole = _Way("w", model, shown, threshold)
    asked_roots = [Root(tuple(asked.values()))]
    look = whole.phase(asked_roots, [("=" + name, node) for name, node in asked.items()], {})
    ways: list[_Way] = []
    if habits:
        grades = [quiet(model, rests, habits.stays) for rests in habits.grades]
        read = [node for grade in grades for node in below(grade.held.values())]
        watched = frozenset(str(node.value) for node in read if node.op == "state")
        for number, grade in enumerate(grades, 1):
            outputs = {name: grade.model.outputs[name] for name in shown}
            ways.append(_Way(f"q{number}_", grade.model, outputs, threshold, grade, watched, number))
    return _source(model, whole, ways, look)


def storage(width: int) -> str:
    """The type in which state is kept."""
    if width == 1:
        return "bool"
    return f"uint{next(size for size in (8, 16, 32, 64) if width <= size)}_t"


def _bytes(width: int) -> int:
    """What that type takes."""
    return next(size for size in (8, 16, 32, 64) if width <= size) // 8


def kind(width: int) -> str:
    """The type in which values are computed."""
    return "bool" if width == 1 else "uint32_t" if width <= 32 else "uint64_t"


LEAVES = ("const", "state", "input")

LINE = 64
"""Bytes of a cache line."""


class _Way:
    """The phases of a cycle, `settle` and `edge`, each as statements; `wires` go from the first to the second.

    With `usual`, what follows from registers that stay alone is in members that `hold` computes; the registers in
    `watched` make it stale.
    """

    def __init__(
        self,
        prefix: str,
        model: Model,
        outputs: dict[str, Node],
        threshold: int,
        usual: Quiet | None = None,
        watched: Container[str] = (),
        number: int = 0,
    ):
        self.prefix, self.model, self.threshold, self.number = prefix, model, threshold, number
        self.usual, self.watched = usual, watched
        self.held = usual.held if usual else {}
        self.arrays = {array.index: array for array in model.arrays}
        self.copied: dict[str, str] = {}
        self.places: dict[int, str] = {}
        self.wires: dict[int, Node] = {}
        self.next_roots = [r for r in model.registers if r.next is not None and r.next is not r.node]
        settled = {node.id for node in below(outputs.values())}
        after = below(self._edge_strict())
        # The frontier: settled nodes that something that is not settled reads.
        readers = [node for node in after if node.id not in settled and node.id not in self.held]
        for node in [*(arg for reader in readers for arg in reader.args), *self._edge_strict()]:
            if node.id in settled and node.op not in LEAVES and node.id not in self.held:
                self.wires[node.id] = node
        self.edge = self.phase(self._edge_roots(), [*self.next_roots, *model.writes], self.wires)
        stores = [("wire", node) for node in self.wires.values()]
        stores += [("=" + name, node) for name, node in outputs.items()]
        roots = [Root(tuple(outputs.values())), Root(tuple(self.wires.values()))]
        self.settle = self.phase(roots, stores, {})
        held = tuple(self.held.values())
        self.held = {}
        self.hold = self.phase([Root(held)], [("hold", node) for node in held], {})

    @property
    def _there(self) -> dict[int, Node]:
        return {**self.wires, **self.held}

    def _edge_strict(self) -> list[Node]:
        return [node for root in self._edge_roots() for node in root.strict]

    def _edge_roots(self) -> list[Root]:
        roots = []
        for register in self.next_roots:
            assert register.next is not None
            literals, conditions = loads(register.node, register.next, self._there)
            roots += [Root((register.next,), tuple(literals or ())), *conditions]
        for write in self.model.writes:
            literals = tuple(implied(write.enable, True, self._there))
            roots.append(Root((write.enable,)))
            roots.append(Root((write.address, write.data, *([write.mask] if write.mask else [])), literals))
        return roots

    # --- phases ------------------------------------------------------------------------------------------------------

    def phase(self, roots: Sequence[Root], stores: Sequence[object], wires: dict[int, Node]) -> list[str]:
        """Statements of one phase. `wires` are there already, as is what is held."""
        stores = list(stores)
        wires = {**wires, **self.held}
        guards = Guards(roots, wires.values())
        nodes = [n for n in guards.nodes if n.op not in LEAVES and n.id not in wires]
        chosen = guards.choose(self.threshold)
        depth = guards.depth
        items_here = {node.id for node in nodes}
        # Where the second operand is behind a branch, it is looked at only where the first does not decide.
        self.short: dict[int, tuple[Node, Node]] = {}
        for node in nodes:
            if node.width == 1 and node.op in ("and", "or"):
                first, second = guards.operands(node)
                if second.id in items_here and guards.guard[second.id] & chosen & ~guards.guard[node.id]:
                    self.short[node.id] = (first, second)

        def path_of(guard: int) -> tuple[int, ...]:
            bits, left = [], guard & chosen
            while left:
                bit = left & -left
                bits.append(bit.bit_length() - 1)
                left ^= bit
            return tuple(sorted(bits, key=lambda bit: (depth[guards.literals[bit][0].id], bit)))

        items = {node.id: Item(node, path=path_of(guards.guard[node.id])) for node in nodes}

        readers: dict[int, list[Item]] = {}
        flags: dict[int, Item] = {}

        def needs(item: Item, reads: Iterable[Node]) -> None:
            found = {id(items[n.id]): items[n.id] for n in reads if n.id in items}
            for bit in item.path:
                condition = guards.literals[bit][0]
                need = items.get(condition.id)
                if condition.op == "state":
                    # Branches on a register take what it was before the edge.
                    if condition.id not in flags:
                        flags[condition.id] = Item(condition, ("flag", condition))
                        readers.setdefault(condition.id, []).append(flags[condition.id])
                    need = flags[condition.id]
                if need is not None:
                    found[id(need)] = need
            item.needs = list(found.values())

        array_readers: dict[int, list[Item]] = {}
        for node in nodes:
            item = items[node.id]
            needs(item, node.args)
            for arg in node.args:
                if arg.op == "state":
                    readers.setdefault(arg.id, []).append(item)
            if node.op == "read":
                array_readers.setdefault(node.value, []).append(item)  # type: ignore[arg-type]
        store_items: list[Item] = []
        copies: list[Item] = []
        for store in stores:
            match store:
                case Register():
                    assert store.next is not None
                    guard = 0
                    for literal in loads(store.node, store.next, wires)[0] or ():
                        guard |= guards.closure(*literal)
                    item = Item(None, store, path_of(guard))
                    if store.next.op == "state":
                        # Taken before the other register changes.
                        copy = Item(store.next, ("copy", store), item.path)
                        needs(copy, ())
                        readers.setdefault(store.next.id, []).append(copy)
                        copies.append(copy)
                        needs(item, ())
                        item.needs.append(copy)
                    else:
                        needs(item, (store.next,))
                case Write():
                    guard = guards.closure(store.enable, True) if store.enable.op != "const" else 0
                    item = Item(None, store, path_of(guard))
                    reads = (store.enable, store.address, store.data, *([store.mask] if store.mask else []))
                    needs(item, reads)
                    for node in reads:
                        if node.op == "state":
                            readers.setdefault(node.id, []).append(item)
                case _:
                    item = Item(None, store)
                    node = store[1]  # type: ignore[index]
                    needs(item, (node,))
            store_items.append(item)
        last_write: dict[int, Item] = {}
        for item in store_items:
            before: list[Item] = []
            if isinstance(item.store, Register):
                before = readers.get(item.store.node.id, [])
            elif isinstance(item.store, Write):
                index = item.store.array.index
                before = array_readers.get(index, [])
                if index in last_write:
                    before = [*before, last_write[index]]
                last_write[index] = item
            known = {id(need) for need in item.needs}
            item.needs += [b for b in dict.fromkeys(before) if id(b) not in known and b is not item]
        block = schedule([*items.values(), *flags.values(), *copies, *store_items], guards.literals)
        return self._statements(block, wires)

    # --- statements --------------------------------------------------------------------------------------------------

    def _statements(self, block: Block, wires: dict[int, Node]) -> list[str]:
        self.places = {number: f"{self.prefix}{'h' if number in self.held else ''}{number}" for number in wires}
        # A value is declared where all of its readers see it.
        made_in: dict[int, Block] = {}
        seen_in: dict[int, set[Block]] = {}
        parents: dict[Block, Block | None] = {block: None}
        self._visit(block, made_in, seen_in, parents)
        declared: dict[Block, list[str]] = {}
        self.local: set[int] = set()
        for number, home in made_in.items():
            common = home
            for reader in seen_in.get(number, ()):
                around = set()
                at: Block | None = common
                while at is not None:
                    around.add(at)
                    at = parents[at]
                at = reader
                while at not in around:
                    above = parents[at]
                    assert above is not None, "every block is in the outermost one"
                    at = above
                common = at
            if common is home:
                self.local.add(number)
            else:
                width = self.model.graph.nodes[number].width
                declared.setdefault(common, []).append(f"{kind(width)} n{number};")
        lines: list[str] = []
        self._write(block, lines, declared, "", frozenset())
        return lines

    def _visit(
        self,
        block: Block,
        made: dict[int, Block],
        seen: dict[int, set[Block]],
        parents: dict[Block, Block | None],
    ) -> None:
        def look(nodes: Iterable[Node], where: Block) -> None:
            for node in nodes:
                if node.op not in LEAVES:
                    seen.setdefault(node.id, set()).add(where)

        for entry in block.entries:
            if isinstance(entry, Block):
                parents[entry] = block
                assert entry.literal is not None
                look([entry.literal[0]], block)
                self._visit(entry, made, seen, parents)
                continue
            match entry.store:
                case None:
                    assert entry.node is not None
                    made[entry.node.id] = block
                    look(entry.node.args, block)
                case Register():
                    assert entry.store.next is not None
                    look([entry.store.next], block)
                case Write():
                    store = entry.store
                    look([store.enable, store.address, store.data, *([store.mask] if store.mask else [])], block)
                case ("copy" | "flag", _):
                    pass
                case (_, node):
                    look([node], block)

    def _write(
        self,
        block: Block,
        lines: list[str],
        declared: dict[Block, list[str]],
        indent: str,
        known: frozenset[tuple[int, bool]],
    ) -> None:
        lines += [indent + line for line in declared.get(block, ())]
        for entry in block.entries:
            if isinstance(entry, Block):
                assert entry.literal is not None
                node, value = entry.literal
                name = f"f{node.value}" if node.op == "state" else self._name(node)
                lines.append(f"{indent}if ({'' if value else '!'}{name}) {{")
                self._write(entry, lines, declared, indent + "    ", known | {(node.id, value)})
                lines.append(f"{indent}}}")
                continue
            match entry.store:
                case None:
                    node = entry.node
                    assert node is not None
                    form = f"const {kind(node.width)} " if node.id in self.local else ""
                    lines.append(f"{indent}{form}n{node.id} = {self._expression(node, known)};")
                case ("flag", node):
                    lines.append(f"{indent}const bool f{node.value} = {self._name(node)};")
                case ("copy", register):
                    node = entry.node
                    assert node is not None
                    self.copied[register.name] = f"c{register.name}"
                    lines.append(f"{indent}const {kind(node.width)} c{register.name} = {self._name(node)};")
                case Register():
                    register = entry.store
                    assert register.next is not None
                    value = self.copied.get(register.name) or self._name(register.next)
                    if register.name in self.watched:
                        lines.append(
                            f"{indent}if (r{register.name} != {value}) r{register.name} = {value}, stale = ~0;"
                        )
                    else:
                        lines.append(f"{indent}r{register.name} = {value};")
                case Write():
                    lines += [indent + line for line in self._store(entry.store)]
                case ("wire", node):
                    lines.append(f"{indent}{self.prefix}{node.id} = {self._name(node)};")
                case ("hold", node):
                    lines.append(f"{indent}{self.prefix}h{node.id} = {self._name(node)};")
                case (name, node):
                    lines.append(f"{indent}{name[1:]} = {self._name(node)};")

    def _store(self, write: Write) -> list[str]:
        array, address = write.array, self._name(write.address)
        test = [] if write.enable.constant else [self._name(write.enable)]
        if write.address.width > 1 and ones(write.address.width) >= array.depth or array.depth < 2:
            test.append(f"{address} < {array.depth}")
        place = f"m{array.index}[{address}]"
        value = self._name(write.data)
        if write.mask is not None:
            mask = self._name(write.mask)
            value = f"({place} & ~{mask}) | ({value} & {mask})"
        return [f"if ({' && '.join(test)}) {place} = {value};" if test else f"{place} = {value};"]

    # --- expressions -------------------------------------------------------------------------------------------------

    def _name(self, node: Node) -> str:
        match node.op:
            case "const":
                assert node.constant is not None
                return _literal(node.constant, node.width)
            case "state":
                return f"r{node.value}"
            case "input":
                return f"{node.value}"
        return self.places.get(node.id) or f"n{node.id}"

    def _wide(self, node: Node) -> str:
        """As 64 bits."""
        return self._name(node) if kind(node.width) == "uint64_t" else f"uint64_t({self._name(node)})"

    def _as(self, node: Node, width: int) -> str:
        """In the type of a width."""
        if node.constant is not None:
            return _literal(node.constant, width)
        name = self._name(node)
        return name if kind(node.width) == kind(width) and node.op != "state" else f"{kind(width)}({name})"

    def _expression(self, node: Node, known: frozenset[tuple[int, bool]]) -> str:
        width, args, value = node.width, node.args, node.value
        t = kind(width)
        full = width in (1, 32, 64)

        def cut(text: str) -> str:
            return text if full else f"({text}) & {_literal(ones(width), width)}"

        match node.op:
            case "not":
                a = self._name(args[0])
                return f"!{a}" if width == 1 else f"{self._as(args[0], width)} ^ {_literal(ones(width), width)}"
            case "and" | "or" | "xor":
                sign = {"and": "&", "or": "|", "xor": "^"}[node.op]
                if node.id in self.short:
                    first, second = (self._as(arg, 1) for arg in self.short[node.id])
                    return f"{first} {sign}{sign} {second}"
                a, b = (self._as(arg, width) for arg in args)
                return f"{a} {'!=' if width == 1 and sign == '^' else sign} {b}"
            case "mux":
                c, a, b = args
                for literal in implied(c, True):
                    if (literal[0].id, not literal[1]) in known:
                        return self._as(b, width)
                for literal in implied(c, False):
                    if (literal[0].id, not literal[1]) in known:
                        return self._as(a, width)
                return f"{self._name(c)} ? {self._as(a, width)} : {self._as(b, width)}"
            case "slice":
                a = self._name(args[0])
                if width == 1:
                    return f"({a} >> {value}) & 1" if value else f"{a} & 1"
                return cut(f"{t}({a} >> {value})" if value else f"{t}({a})")
            case "cat":
                terms, low = [], 0
                for arg in args:
                    if arg.constant != 0:
                        text = self._as(arg, width)
                        terms.append(f"{text} << {low}" if low else text)
                    low += arg.width
                return " | ".join(terms)
            case "sext":
                a = args[0]
                if a.width == 1:
                    return f"{self._name(a)} ? {_literal(ones(width), width)} : {_literal(0, width)}"
                size = 32 if width <= 32 else 64
                shift = size - a.width
                return cut(f"{t}(int{size}_t({self._as(a, width)} << {shift}) >> {shift})")
            case "add" | "sub" | "mul":
                sign = {"add": "+", "sub": "-", "mul": "*"}[node.op]
                a, b = (self._as(arg, width) for arg in args)
                return f"({a} {sign} {b}) & 1" if width == 1 else cut(f"{a} {sign} {b}")
            case "high":
                a, b = (self._wide(arg) for arg in args)
                return f"uint64_t((unsigned __int128){a} * {b} >> 64)"
            case "udiv" | "umod":
                a, b = (self._as(arg, width) for arg in args)
                return f"{b} ? {a} {'/' if node.op == 'udiv' else '%'} {b} : 0"
            case "sdiv" | "smod":
                shift = WORD - width
                a, b = (f"int64_t({self._wide(arg)} << {shift}) >> {shift}" for arg in args)
                return cut(f"{t}({node.op}({a}, {b}))")
            case "eq" | "ult" | "ule":
                sign = {"eq": "==", "ult": "<", "ule": "<="}[node.op]
                widest = max(arg.width for arg in args)
                a, b = (self._as(arg, widest) for arg in args)
                return f"{a} {sign} {b}"
            case "slt":
                shift = WORD - args[0].width
                a, b = (f"int64_t({self._wide(arg)} << {shift})" for arg in args)
                return f"{a} < {b}"
            case "masked":
                mask, wanted = value  # type: ignore[misc]
                a = args[0]
                name = self._as(a, a.width)
                left = name if mask == ones(a.width) else f"({name} & {_literal(mask, a.width)})"
                return f"{left} == {_literal(wanted, a.width)}"
            case "member":
                return f"({_literal(value, 64)} >> {self._name(args[0])}) & 1"  # type: ignore[arg-type]
            case "parity":
                return f"__builtin_parityll({self._wide(args[0])})"
            case "shl" | "shr":
                sign = "<<" if node.op == "shl" else ">>"
                n = args[1]
                shifted = f"{self._wide(args[0])} {sign} {self._name(n)}"
                if _bits(n) > 6:
                    shifted = f"{self._name(n)} < 64 ? {shifted} : 0"
                return cut(f"{t}({shifted})")
            case "sar":
                n, shift = args[1], WORD - args[0].width
                amount = self._name(n) if _bits(n) <= 6 else f"({self._name(n)} < 63 ? {self._name(n)} : 63)"
                return cut(f"{t}(int64_t({self._wide(args[0])} << {shift}) >> {shift} >> {amount})")
            case "read":
                array, a = self.arrays[value], args[0]  # type: ignore[index]
                place = f"m{array.index}[{self._name(a)}]"
                return place if ones(a.width) < array.depth else f"{self._name(a)} < {array.depth} ? {place} : 0"
        raise AssertionError(node)


# --- the whole -------------------------------------------------------------------------------------------------------


def _source(model: Model, whole: _Way, ways: Sequence[_Way], look: Sequence[str]) -> Source:
    reset = [f"r{r.name} = {_literal(r.init, r.node.width)};" for r in whole.next_roots if r.reset]
    start = [f"r{r.name} = {_literal(r.init, r.node.width)};" for r in model.registers if r.init]
    for array in model.arrays:
        start += _contents(array)
    # What rests lies together, what does at zero first, the widest grade's first: a grade is tested many bytes at once.
    rest: dict[str, int] = {}
    tests: dict[int, list[str]] = {way.number: [] for way in ways}
    members = []
    usual = 0
    for part, test in (("zero", "none(&{first}, {length})"), ("set", "same(&{first}, usual, {length})")):
        first, length = "", 0
        for way in reversed(ways):
            assert way.usual
            own = {f"r{n.value}": (n, value) for n, value in way.usual.rests if n.op == "state"}
            new = [row for name, row in own.items() if name not in rest and bool(row[1]) == (part == "set")]
            new.sort(key=lambda row: -row[0].width)
            for at, (node, value) in enumerate(new):
                name = f"r{node.value}"
                rest[name] = value
                first = first or name
                members.append(f"{'' if at else 'alignas(64) '}{storage(node.width)} {name};")
            length += -(-sum(_bytes(node.width) for node, _ in new) // LINE) * LINE
            if first:
                tests[way.number].append(test.format(first=first, length=length))
        if part == "set" and first:
            usual = length
            start = [
                *(f"{name} = {value};" for name, value in rest.items() if value),
                f"memcpy(usual, &{first}, sizeof usual);",
                f"memset(&{first}, 0, sizeof usual);",
                *start,
            ]
    members.append(f"alignas(64) uint8_t usual[{max(1, usual)}];")
    members = [
        *(f"{_port(node.width)} {name};" for name, node in model.inputs.items()),
        *(f"{_port(node.width)} {name};" for name, node in model.outputs.items()),
        "uint8_t quiet, stale;",
        *members,
        *(f"{storage(r.node.width)} r{r.name};" for r in model.registers if f"r{r.name}" not in rest),
    ]
    for way in (whole, *ways):
        members += [f"{storage(node.width)} {way.prefix}{node.id};" for node in way.wires.values()]
        members += (
            [f"{storage(node.width)} {way.prefix}h{node.id};" for node in way.usual.held.values()] if way.usual else []
        )
    members += [f"{storage(a.width)} m{a.index}[{max(1, a.depth)}];  // {a.name}" for a in model.arrays]
    functions = "start reset_registers settle_whole edge_whole settle look clock".split()
    functions += [f"{name}{way.number}" for way in ways for name in ("hold", "settle", "edge")]
    header = (
        "#pragma once\n#include <stddef.h>\n#include <stdint.h>\n"
        + "struct Logic {\n"
        + "".join(f"    {member}\n" for member in members)
        + f"    void {', '.join(f'{name}()' for name in functions)};\n}};\n"
    )
    body = (
        PREAMBLE + _function("start", ["memset(this, 0, sizeof *this);", *start]) + _function("reset_registers", reset)
    )
    for name, lines in (("settle_whole", whole.settle), ("look", look), ("edge_whole", whole.edge)):
        body += _function(name, lines)
    body += _function("settle", ["settle_whole();", "quiet = 0;"]) + _function("clock", _clock(model, ways, tests))
    often = []
    for way in ways:
        text = PREAMBLE
        for name, lines in (("hold", way.hold), ("settle", way.settle), ("edge", way.edge)):
            text += _function(f"{name}{way.number}", lines)
        often.append(text)
    rows = [
        f'{{"{name}", offsetof(Logic, {name}), sizeof(Logic::{name}), 0, {node.width}}},\n'
        for name, node in [*model.inputs.items(), *model.outputs.items()]
    ]
    rows.append('{"quiet", offsetof(Logic, quiet), sizeof(Logic::quiet), 0, 8},\n')
    for path, low, register, shift, width in model.inside:
        member = f"r{register.name}"
        name = f"{place(path)}[{low + width - 1}:{low}]"
        rows.append(f'{{"{name}", offsetof(Logic, {member}), sizeof(Logic::{member}), {shift}, {width}}},\n')
    return Source(header, body, often, "".join(rows))


def _clock(model: Model, ways: Sequence[_Way], tests: dict[int, list[str]]) -> list[str]:
    """Takes the way that was chosen when the outputs were computed; then chooses the next."""
    lines, choice = [], "0"
    for way in reversed(ways):
        assert way.usual
        still = [f"{n.value} == {value}" for n, value in way.usual.rests if n.op == "input"]
        lines.append(f"if (quiet == {way.number} && !({' && '.join(still) or 'true'})) settle_whole(), quiet = 0;")
        choice = f"{' && '.join(tests[way.number]) or 'true'} ? {way.number} : {choice}"
    lines += [
        "switch (quiet) {",
        *(f"case {way.number}: edge{way.number}(); break;" for way in ways),
        "default:",
        "    edge_whole();",
        *(["    if (rst) reset_registers();"] if "rst" in model.inputs else []),
        "    stale = ~0;",
        "}",
        f"quiet = {choice};",
        "switch (quiet) {",
    ]
    for way in ways:
        bit = 1 << way.number
        lines.append(f"case {way.number}: if (stale & {bit}) hold{way.number}(), stale &= ~{bit};")
        lines.append(f"    settle{way.number}(); break;")
    return [*lines, "default: settle_whole();", "}"]


PREAMBLE = """#include "logic.h"
#include <string.h>
namespace {
[[maybe_unused]] int64_t sdiv(__int128 a, __int128 b) {
    return b ? int64_t(a / b - (a % b != 0 && (a % b < 0) != (b < 0))) : 0;
}
[[maybe_unused]] int64_t smod(__int128 a, __int128 b) {
    return b ? int64_t(a % b + (a % b != 0 && (a % b < 0) != (b < 0) ? b : 0)) : 0;
}
typedef uint64_t Line __attribute__((vector_size(64)));
[[maybe_unused]] Line line(const void* from, size_t at) {
    Line line;
    memcpy(&line, static_cast<const char*>(from) + at, sizeof line);
    return line;
}
// Whether bytes, a multiple of 64, are all zero.
[[maybe_unused]] bool none(const void* from, size_t length) {
    Line any = {};
    for (size_t at = 0; at < length; at += sizeof any) any |= line(from, at);
    return !__builtin_reduce_or(any);
}
// Whether they are what others are.
[[maybe_unused]] bool same(const void* a, const void* b, size_t length) {
    Line any = {};
    for (size_t at = 0; at < length; at += sizeof any) any |= line(a, at) ^ line(b, at);
    return !__builtin_reduce_or(any);
}
}
"""


def _contents(array: Array) -> list[str]:
    if not any(array.init):
        return []
    values = ", ".join(_literal(value, array.width) for value in array.init)
    return [
        f"static const {storage(array.width)} i{array.index}[] = {{{values}}};",
        f"memcpy(m{array.index}, i{array.index}, sizeof i{array.index});",
    ]


def _bits(node: Node) -> int:
    """Bits that can be set: the width without constant zeros above."""
    if node.op == "cat" and node.args[-1].constant == 0:
        return node.width - node.args[-1].width
    return node.width if node.constant is None else node.constant.bit_length()


def _port(width: int) -> str:
    return "uint8_t" if width == 1 else storage(width)


def _literal(value: int, width: int) -> str:
    if width == 1:
        return "true" if value else "false"
    return f"{value}u" if width <= 32 else f"UINT64_C({value})"


def _function(name: str, lines: Sequence[str]) -> str:
    return f"void Logic::{name}() {{\n" + "".join(f"    {line}\n" for line in lines) + "}\n"
