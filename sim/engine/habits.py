"""What a design usually does, and the logic that is left of it then.

Most registers of a SoC rest most of the time: state machines of idle units at their first state, valid bits at 0, what
software set up once. In a cycle in which all that rests does, much of the logic has constant inputs, and folds: such
quiet cycles have C++ of their own, in three grades. Habits decide only how fast a simulator is: what they say is tested
in each cycle, and where it does not hold, the whole logic is evaluated.

The habits of the SoC are measured (`python -m benchmarks.habits`) and kept in habits.txt beside this file.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from .graph import Graph, Node
from .netlist import Model, Register, Write


@dataclass(frozen=True)
class Habits:
    """By the names that `names` gives.

    rests   registers and inputs that have one value in nearly every cycle, whatever runs
    often   those that have it in most cycles, whatever runs
    cached  those that have it in most cycles of programs that run from the caches
    stays   registers that change in few cycles
    """

    rests: Mapping[str, int] = field(default_factory=dict)
    often: Mapping[str, int] = field(default_factory=dict)
    cached: Mapping[str, int] = field(default_factory=dict)
    stays: frozenset[str] = frozenset()

    @property
    def grades(self) -> list[dict[str, int]]:
        """What rests in a quiet cycle: most of the registers, fewer, fewest."""
        often = {**self.rests, **self.often}
        return [{**often, **self.cached}, often, dict(self.rests)]

    @classmethod
    def parse(cls, text: str) -> "Habits":
        """Lines of a name, the habit and, but for what stays, a value in hexadecimal."""
        rows = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
        rests, often, cached = (
            {row[0]: int(row[2], 16) for row in rows if row[1] == kind} for kind in ("rests", "often", "cached")
        )
        return cls(rests, often, cached, frozenset(row[0] for row in rows if row[1] == "stays"))


def place(path: str) -> str:
    """The name of a signal, below the SoC where it is there."""
    return path.removeprefix("top.").removeprefix("soc.")


def names(model: Model) -> dict[str, Register]:
    """Registers by the signals that they are, each with its lowest bit behind it."""
    return {
        f"{place(path)}[{low}]": register
        for path, low, register, shift, width in model.inside
        if shift == 0 and width == register.node.width
    }


def returns(register: Register, value: int) -> bool:
    """Whether a register comes to a value by itself, as the state of an idle unit does and a setting does not.

    It does where some condition gives it that value, and where it never keeps what it has.
    """
    keeps, seen, stack = False, set(), [register.next or register.node]
    while stack:
        node = stack.pop()
        if node.id in seen:
            continue
        seen.add(node.id)
        if node is register.node:
            keeps = True
        elif node.op == "const" and node.constant == value:
            return True
        elif node.op == "mux":
            stack += node.args[1:]
        elif node.width == 1 and node.op in ("and", "or"):
            if value == (node.op == "or") and any(_reads(arg, register.node) for arg in node.args):
                return True
            stack += node.args
    return not keeps


def _reads(node: Node, register: Node) -> bool:
    """Whether one bit is another, perhaps behind conditions."""
    if node.op in ("and", "or") and node.width == 1:
        return any(_reads(arg, register) for arg in node.args)
    return node is register


@dataclass
class Quiet:
    """A design in which some state is constant.

    model   the logic of a quiet cycle
    rests   (register or input, its value) of what is constant
    held    nodes of `model` that follow from registers in `stays` alone: they are computed when one of those changes
    """

    model: Model
    rests: list[tuple[Node, int]]
    held: dict[int, Node]
    stays: set[str]


def quiet(model: Model, rests: Mapping[str, int], may_stay: Iterable[str]) -> Quiet:
    """What is left of a design where what rests does."""
    registers = names(model)
    constants = {registers[name].node: value for name, value in rests.items() if name in registers}
    constants |= {node: rests[name] for name, node in model.inputs.items() if name in rests}
    if "rst" in model.inputs:
        constants[model.inputs["rst"]] = 0
    copy = Copy(constants)
    left = Model(copy.graph, {name: copy(node) for name, node in model.inputs.items()})
    left.outputs = {name: copy(node) for name, node in model.outputs.items()}
    left.arrays = model.arrays
    for r in model.registers:
        left.registers.append(Register(r.name, copy(r.node), r.init, r.reset, copy(r.next) if r.next else None))
    for w in model.writes:
        enable = copy(w.enable)
        if enable.constant != 0:
            mask = copy(w.mask) if w.mask else None
            left.writes.append(Write(w.array, copy(w.address), copy(w.data), enable, mask))
    stays = {registers[name].name for name in may_stay if name in registers} - {
        register.name for register in model.registers if register.node in constants
    }
    return Quiet(left, list(constants.items()), _held(left, stays), stays)


def _held(model: Model, stays: set[str]) -> dict[int, Node]:
    """Nodes that follow from registers that stay, and that others read."""
    known: dict[int, bool] = {}
    for node in model.graph.nodes:  # operands have lower numbers
        match node.op:
            case "const":
                known[node.id] = True
            case "state":
                known[node.id] = node.value in stays
            case "input" | "read":
                known[node.id] = False
            case _:
                known[node.id] = all(known[arg.id] for arg in node.args)
    roots = [register.next for register in model.registers if register.next] + list(model.outputs.values())
    for write in model.writes:
        roots += [write.enable, write.address, write.data, *([write.mask] if write.mask else [])]
    read = [arg for node in below(roots) if not known[node.id] for arg in node.args]
    return {node.id: node for node in [*read, *roots] if known[node.id] and node.op not in ("const", "state")}


def below(roots: Iterable[Node]) -> list[Node]:
    """All nodes that some need."""
    found: dict[int, Node] = {}
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node.id not in found:
            found[node.id] = node
            stack += node.args
    return list(found.values())


class Copy:
    """Makes nodes again in a graph where some have constants in their place; what follows is folded."""

    def __init__(self, constants: Mapping[Node, int]):
        self.graph = g = Graph()
        self._new = {node.id: g.const(value, node.width) for node, value in constants.items()}
        self._makers: dict[str, Callable[..., Node]] = {
            "const": lambda node: g.const(node.value, node.width),
            "not": lambda node, a: g.not_(a),
            "and": lambda node, a, b: g.and_(a, b),
            "or": lambda node, a, b: g.or_(a, b),
            "slice": lambda node, a: g.slice(a, node.value, node.width),
            "cat": lambda node, *parts: g.cat(parts),
            "sext": lambda node, a: g.sext(a, node.width),
            "masked": lambda node, a: g.masked(a, *node.value),
            "member": lambda node, a: g.member(a, node.value),
        }
        for op in ("xor", "mux", "parity", "add", "sub", "mul", "high", "eq", "ult", "ule", "slt", "shl", "shr", "sar"):
            self._makers[op] = lambda node, *args: getattr(g, node.op)(*args)
        for op in ("udiv", "umod", "sdiv", "smod"):
            self._makers[op] = lambda node, a, b: g.divide(node.op, a, b)
        for op in ("state", "input", "read"):
            self._makers[op] = lambda node, *args: g.make(node.op, args, node.width, node.value)

    def __call__(self, root: Node) -> Node:
        """The node's copy."""
        stack = [root]
        while stack:
            node = stack[-1]
            if node.id in self._new:
                stack.pop()
            elif missing := [arg for arg in node.args if arg.id not in self._new]:
                stack += missing
            else:
                args = [self._new[arg.id] for arg in node.args]
                self._new[node.id] = new = self._makers[node.op](node, *args)
                assert new.width == node.width, (node, new)
                stack.pop()
        return self._new[root.id]
