"""C++ of a scheduled design: one struct of plain data, and what a cycle does to it.

    settle()   the outputs, from the registers; what the next edge needs of that logic again is kept ("wires")
    look()     those outputs that are computed only when somebody asks
    edge()     the registers and memories after the clock's edge, from their values before it, the inputs and the wires

The struct is the whole state: a copy of its bytes is a checkpoint.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..errors import BuildError
from .graph import WORD, Node, ones
from .guards import BRANCH_COST, Guards, Root, implied, loads
from .netlist import Array, Model, Register, Write
from .schedule import Block, Item, schedule


@dataclass(frozen=True)
class Source:
    """Generated text: the struct, its functions, and rows for the harness's table of what is inside."""

    header: str
    body: str
    inside: str


def emit(model: Model, *, threshold: int = BRANCH_COST, on_demand: str = "?") -> Source:
    """The C++ of a model. Outputs whose names start with `on_demand` are valid after `look()` only."""
    return _Emitter(model, threshold, on_demand).source()


def storage(width: int) -> str:
    """The type in which state is kept."""
    if width == 1:
        return "bool"
    return f"uint{next(size for size in (8, 16, 32, 64) if width <= size)}_t"


def kind(width: int) -> str:
    """The type in which values are computed."""
    return "bool" if width == 1 else "uint32_t" if width <= 32 else "uint64_t"


def _below(roots: Iterable[Node]) -> dict[int, Node]:
    found: dict[int, Node] = {}
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node.id not in found:
            found[node.id] = node
            stack += node.args
    return found


LEAVES = ("const", "state", "input")


class _Emitter:
    def __init__(self, model: Model, threshold: int, on_demand: str):
        self.model, self.threshold = model, threshold
        self.outputs = {name: node for name, node in model.outputs.items() if not name.startswith(on_demand)}
        self.asked = {name: node for name, node in model.outputs.items() if name not in self.outputs}
        self.arrays = {array.index: array for array in model.arrays}
        settled = _below(self.outputs.values())
        for node in _below(model.outputs.values()).values():
            if node.op == "input":
                raise BuildError(f"an output depends on the input {node.value} within the cycle", "register it")
        self.wires: dict[int, Node] = {}
        self.next_roots = [r for r in model.registers if r.next is not None and r.next is not r.node]
        after = _below(self._edge_strict())
        # The frontier: settled nodes that something that is not settled reads.
        readers = [node for node in after.values() if node.id not in settled]
        for node in [*(arg for reader in readers for arg in reader.args), *self._edge_strict()]:
            if node.id in settled and node.op not in LEAVES:
                self.wires[node.id] = node
        self.places: dict[int, str] = {}

    def _edge_strict(self) -> list[Node]:
        return [node for root in self._edge_roots() for node in root.strict]

    def _edge_roots(self) -> list[Root]:
        roots = []
        for register in self.next_roots:
            assert register.next is not None
            literals, conditions = loads(register.node, register.next, self.wires)
            roots += [Root((register.next,), tuple(literals or ())), *conditions]
        for write in self.model.writes:
            literals = tuple(implied(write.enable, True, self.wires))
            roots.append(Root((write.enable,)))
            roots.append(Root((write.address, write.data, *([write.mask] if write.mask else [])), literals))
        return roots

    # --- phases ------------------------------------------------------------------------------------------------------

    def _phase(self, roots: Sequence[Root], stores: Sequence[object], wires: dict[int, Node]) -> list[str]:
        """Statements of one phase. `wires` are there already."""
        stores = list(stores)
        guards = Guards(roots, wires.values())
        nodes = [n for n in guards.nodes if n.op not in LEAVES and n.id not in wires]
        depth: dict[int, int] = {}
        for node in reversed(guards.nodes):
            # A literal's condition is deeper than the conditions around it.
            own = 1 + max((depth[arg.id] for arg in node.args if node.id not in wires), default=-1)
            depth[node.id] = own
        chosen = guards.choose(depth, self.threshold)

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
        self.places = {node.id: f"w{node.id}" for node in wires.values()}
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
        self._write(block, lines, declared, "    ", frozenset())
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
                    lines.append(f"{indent}r{register.name} = {value};")
                case Write():
                    lines += [indent + line for line in self._store(entry.store)]
                case ("wire", node):
                    lines.append(f"{indent}w{node.id} = n{node.id};")
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

    # --- the whole ---------------------------------------------------------------------------------------------------

    def source(self) -> Source:
        """Everything."""
        model = self.model
        self.copied: dict[str, str] = {}
        edge = self._phase(self._edge_roots(), [*self.next_roots, *model.writes], self.wires)
        outputs = [("=" + name, node) for name, node in self.outputs.items()]
        kept = [("wire", node) for node in self.wires.values()]
        settle = self._phase(
            [Root(tuple(self.outputs.values())), Root(tuple(self.wires.values()))], [*kept, *outputs], {}
        )
        asked = [("=" + name, node) for name, node in self.asked.items()]
        look = self._phase([Root(tuple(self.asked.values()))], asked, {})
        reset = [f"r{r.name} = {_literal(r.init, r.node.width)};" for r in self.next_roots if r.reset]
        start = [f"r{r.name} = {_literal(r.init, r.node.width)};" for r in model.registers if r.init]
        for array in model.arrays:
            start += self._contents(array)
        members = [
            *(f"{_port(node.width)} {name};" for name, node in model.inputs.items()),
            *(f"{_port(node.width)} {name};" for name, node in model.outputs.items()),
            *(f"{storage(register.node.width)} r{register.name};" for register in model.registers),
            *(f"{storage(node.width)} w{node.id};" for node in self.wires.values()),
            *(f"{storage(a.width)} m{a.index}[{max(1, a.depth)}];  // {a.name}" for a in model.arrays),
        ]
        header = (
            "#pragma once\n#include <stdint.h>\n"
            "struct Logic {\n"
            + "".join(f"    {member}\n" for member in members)
            + "    void start(), settle(), look(), edge(), reset_registers();\n};\n"
        )
        body = (
            '#include "logic.h"\n#include <string.h>\n'
            "namespace {\n"
            "[[maybe_unused]] int64_t sdiv(__int128 a, __int128 b) "
            "{ return b ? int64_t(a / b - (a % b != 0 && (a % b < 0) != (b < 0))) : 0; }\n"
            "[[maybe_unused]] int64_t smod(__int128 a, __int128 b) "
            "{ return b ? int64_t(a % b + (a % b != 0 && (a % b < 0) != (b < 0) ? b : 0)) : 0; }\n"
            "}\n" + _function("start", ["*this = Logic{};", *start]) + _function("reset_registers", reset)
        )
        for name, lines in (("settle", settle), ("look", look), ("edge", edge)):
            body += f"void Logic::{name}() {{\n{_text(lines)}}}\n"
        rows = [
            f'{{"{name}", offsetof(Logic, {name}), sizeof(Logic::{name}), 0, {node.width}}},\n'
            for name, node in model.outputs.items()
        ]
        for path, low, register, shift, width in model.inside:
            if path.startswith("top.soc."):
                name = f"{path.removeprefix('top.soc.')}[{low + width - 1}:{low}]"
                member = f"r{register.name}"
                rows.append(f'{{"{name}", offsetof(Logic, {member}), sizeof(Logic::{member}), {shift}, {width}}},\n')
        return Source(header, body, "".join(rows))

    def _contents(self, array: Array) -> list[str]:
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


def _text(lines: Sequence[str]) -> str:
    return "".join(line + "\n" for line in lines)


def _function(name: str, lines: Sequence[str]) -> str:
    return f"void Logic::{name}() {{\n{_text(['    ' + line for line in lines])}}}\n"
