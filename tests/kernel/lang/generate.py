"""Random well-typed kernel programs, as Python source.

Every construct of the language has its turn. Constants are drawn near the edges of their types, so that checks fail now
and then; a program may panic, it may not be refused by the compiler.
"""

import random
import re

HEAD = '''"""Made by tests/kernel/lang/generate.py, seed {seed}."""

from enum import IntEnum

from kernel.lang import *


@enum(u8)
class Color(IntEnum):
    RED = 0
    GREEN = 1
    BLUE = 5


@bitfield(u32)
class Flags:
    ready: bool
    level: Bits[5]
    count: Bits[16]
    rest: Bits[10]


@struct
class Part:
    small: u8
    wide: u64
    signed: i32


@struct
class Whole:
    first: Part
    flags: Flags
    table: Array[u16, 5]
    color: Color
    next: Ptr[Part] | None


WEIGHTS = constant(Array[w32, 4], [1, 0x80000000, 0xFFFFFFFF, 7])
Step = function_pointer("Step", [u16, u16], u16)


@fn
def step_add(a: u16, b: u16) -> u16:
    return a + b


@fn
def step_mix(a: u16, b: u16) -> u16:
    return (a ^ b) // 3


@fn
def step_zero(a: u16, b: u16) -> u16:
    return 0 if a > b else b - a


STEPS = constant(Array[Step, 3], [step_add, step_mix, step_zero])


@fn
def bump(part: Ptr[Part], by: u8) -> u8:
    part.small = trunc(u16(part.small) + u16(by), u8)
    part.wide += u64(by)
    return part.small


@fn
def total(data: View[u16], limit: usize) -> u32:
    result: u32 = 0
    for i in bounded(range(min(len(data), limit)), 8):
        result += u32(data[i]) * 3
    return result
'''

UNSIGNED = ["u8", "u16", "u32", "u64", "usize"]
SIGNED = ["i8", "i16", "i32", "i64"]
WRAPPING = ["w8", "w16", "w32", "w64"]
WIDTH = {name: 64 if name == "usize" else int(name[1:]) for name in UNSIGNED + SIGNED + WRAPPING}
INTEGERS = list(WIDTH)


def limits(kind: str) -> tuple[int, int]:
    """Least and greatest value of a type."""
    width = WIDTH[kind]
    return (-(1 << width - 1), (1 << width - 1) - 1) if kind[0] == "i" else (0, (1 << width) - 1)


def number(rng: random.Random, kind: str) -> int:
    """A value of the type, often one at its edges."""
    low, high = limits(kind)
    edge = [low, high, 0, 1, high - 1, high // 2, low + 1, 2, 3, 7]
    value = (
        rng.choice(edge) if rng.random() < 0.5 else rng.randint(0, 20) if rng.random() < 0.6 else rng.randint(low, high)
    )
    return min(max(value, low), high)


def widens(source: str, target: str) -> bool:
    """Whether `target(source)` is allowed."""
    a, b = limits(source), limits(target)
    return b[0] <= a[0] and a[1] <= b[1]


def constant(text: str) -> bool:
    """Whether an expression has only constants in it: the compiler checks those, and refuses what is wrong."""
    words = set(re.findall(r"[A-Za-z_]\w*", text))
    return words <= {*INTEGERS, "min", "max", "clz", "ctz", "popcount", "byteswap", "if", "else", "not", "and", "or"}


class Generator:
    """Makes one function at a time; later ones call earlier ones."""

    def __init__(self, seed: int):
        self.rng = random.Random(seed)
        self.functions: list[tuple[str, list[str], str]] = []
        self.lines: list[str] = []
        self.scope: dict[str, str] = {}
        self.fixed: set[str] = set()
        self.fresh = 0
        self.depth = 0
        self.loops = 0
        self.calls = 0

    # Expressions: every one has the type that was asked for

    def integer(self, kind: str, depth: int) -> str:
        """An integer expression; typed even when it is constant."""
        rng = self.rng
        if depth <= 0 or rng.random() < 0.15:
            names = [n for n, k in self.scope.items() if k == kind]
            return rng.choice(names) if names and rng.random() < 0.8 else f"{kind}({number(rng, kind)})"
        makers = [self._arithmetic] * 6 + [self._convert] * 3 + [self._select, self._shift, self._count, self._other]
        makers += [self._call] * 2
        return rng.choice(makers)(kind, depth - 1)

    def _arithmetic(self, kind: str, depth: int) -> str:
        rng = self.rng
        op = rng.choice(["+", "-", "*", "//", "%", "&", "|", "^", "min", "max"])
        left = self.integer(kind, depth)
        right = self.integer(kind, depth) if rng.random() < 0.7 else str(number(rng, kind))
        if op in ("//", "%") and constant(right):
            right = "3"
        return f"{op}({left}, {right})" if op in ("min", "max") else f"({left} {op} {right})"

    def _convert(self, kind: str, depth: int) -> str:
        rng = self.rng
        sources = [s for s in INTEGERS if widens(s, kind) and s != kind]
        if sources and rng.random() < 0.6:
            return f"{kind}({self.integer(rng.choice(sources), depth)})"
        source = rng.choice(INTEGERS)
        value = self.variable_of(source)
        if value is None:
            return self.integer(kind, depth)
        return f"{'exact' if rng.random() < 0.15 else 'trunc'}({value}, {kind})"

    def _select(self, kind: str, depth: int) -> str:
        return f"({self.integer(kind, depth)} if {self.boolean(depth)} else {self.integer(kind, depth)})"

    def _shift(self, kind: str, depth: int) -> str:
        rng = self.rng
        count = self.integer("u8", depth - 1)
        if constant(count) or rng.random() < 0.5:
            count = str(rng.randrange(WIDTH[kind]))
        elif rng.random() < 0.9:
            count = f"({count} % {WIDTH[kind]})"
        return f"({self.integer(kind, depth)} {rng.choice(['<<', '>>'])} {count})"

    def _count(self, kind: str, depth: int) -> str:
        rng = self.rng
        if kind[0] == "i":
            return f"(-{self.integer(kind, depth)})"
        if kind[0] == "w" and rng.random() < 0.3:
            return f"(-{self.integer(kind, depth)})"
        return rng.choice(["clz({})", "ctz({})", "popcount({})", "byteswap({})", "(~{})"]).format(
            self.integer(kind, depth)
        )

    def _call(self, kind: str, depth: int) -> str:
        callable_ = [f for f in self.functions if f[2] == kind]
        if not callable_ or self.calls >= 3:
            return self.integer(kind, depth)
        self.calls += 1
        name, kinds, _ = self.rng.choice(callable_)
        arguments = [self.boolean(1) if k == "bool" else self.integer(k, min(depth, 1)) for k in kinds]
        return f"{name}({', '.join(arguments)})"

    def _other(self, kind: str, depth: int) -> str:
        """Memory: fields, elements, bits, calls of the fixed helpers."""
        index = self.integer("u8", depth - 1)
        if constant(index):
            index = "(whole.first.small & 7)"
        if self.rng.random() < 0.9:
            index = f"({index} % 5)"
        by_kind = {
            "u8": ["whole.first.small", f"bump(ptr(whole.first), {self.integer('u8', 0)})", "whole.flags.level"],
            "u64": ["whole.first.wide", "some(whole.next).wide"],
            "i32": ["whole.first.signed"],
            "u16": [f"whole.table[{index}]", "whole.flags.count", f"STEPS[{index} % 3]({self.integer('u16', 0)}, 9)"],
            "w32": [f"WEIGHTS[{index} % 4]"],
            "u32": [f"total(view(whole.table), {self.integer('usize', 0)})", "u32(whole.flags)", "u32(whole.color)"],
            "usize": ["len(span(whole.table)[1:4])"],
        }
        return self.rng.choice(by_kind.get(kind, [f"{kind}({number(self.rng, kind)})"]))

    def boolean(self, depth: int) -> str:
        """A bool expression."""
        rng = self.rng
        choice = rng.random()
        if depth > 0 and choice < 0.2:
            return f"({self.boolean(depth - 1)} {rng.choice(['and', 'or'])} {self.boolean(depth - 1)})"
        if depth > 0 and choice < 0.3:
            return f"(not {self.boolean(depth - 1)})"
        if choice < 0.4:
            return rng.choice(["whole.flags.ready", "whole.color == Color.GREEN", "whole.next is None"])
        kind = rng.choice(INTEGERS)
        op = rng.choice(["==", "!=", "<", "<=", ">", ">="])
        return f"({self.integer(kind, depth - 1)} {op} {self.integer(kind, depth - 1)})"

    def variable_of(self, kind: str) -> str | None:
        """Some local of a type."""
        names = [n for n, k in self.scope.items() if k == kind]
        return self.rng.choice(names) if names else None

    # Statements

    def add(self, text: str) -> None:
        """One line at the current depth."""
        self.lines.append("    " * self.depth + text)

    def new_name(self) -> str:
        """A name that is not taken."""
        self.fresh += 1
        return f"v{self.fresh}"

    def nested(self, count: int) -> None:
        """A block; what it declares is forgotten after it."""
        before = dict(self.scope)
        self.depth += 1
        for _ in range(count):
            self.statement()
        self.depth -= 1
        self.scope = before

    def statement(self) -> None:
        """One random statement."""
        rng = self.rng
        self.calls = 0
        simple = [self._declare, self._assign, self._assign, self._augment, self._memory, self._memory]
        nested = [self._if, self._for, self._while, self._match, self._leave]
        rng.choice(simple + (nested if self.depth < 4 else []))()

    def _declare(self) -> None:
        kind = self.rng.choice(INTEGERS)
        value = self.integer(kind, 2)
        name = self.new_name()
        self.add(f"{name}: {kind} = {value}" if self.rng.random() < 0.5 else f"{name} = {value}")
        self.scope[name] = kind

    def _target(self) -> str | None:
        names = [n for n in self.scope if n not in self.fixed and self.scope[n] in WIDTH]
        return self.rng.choice(names) if names else None

    def _assign(self) -> None:
        name = self._target()
        if name is None:
            return self._declare()
        self.add(f"{name} = {self.integer(self.scope[name], 3)}")

    def _augment(self) -> None:
        name = self._target()
        if name is None:
            return self._declare()
        op = self.rng.choice(["+", "-", "*", "^", "|", "&"])
        self.add(f"{name} {op}= {self.integer(self.scope[name], 2)}")

    def _memory(self) -> None:
        rng = self.rng
        u8, u16 = self.integer("u8", 1), self.integer("u16", 1)
        if constant(u8):
            u8 = f"(other.small ^ {u8})"
        self.add(
            rng.choice(
                [
                    f"whole.first.small = {u8}",
                    f"whole.first.wide += {self.integer('u64', 1)}",
                    f"whole.first.signed = {self.integer('i32', 2)}",
                    f"whole.table[{u8} % 5] = {u16}",
                    f"whole.flags.level = {u8}" if rng.random() < 0.3 else f"whole.flags.level = ({u8} & 31)",
                    f"whole.flags.count = {u16}",
                    f"whole.flags.ready = {self.boolean(1)}",
                    f"whole.color = Color.{rng.choice(['RED', 'GREEN', 'BLUE'])}",
                    f"whole.color = Color({u8})" if rng.random() < 0.2 else "pass",
                    "whole.next = ptr(other)",
                    "whole.next = None",
                    "copy(other, whole.first)",
                    "copy(whole.first, other)",
                    f"copy(other, Part(small={u8}, signed={self.integer('i32', 1)}))",
                    f"span(whole.table)[1:4][{u8} % 3] = {u16}",
                    f"_ = bump(ptr(other), {u8})",
                    f"assert {self.boolean(1)} or whole.first.small < 250",
                ]
            )
        )

    def _if(self) -> None:
        self.add(f"if {self.boolean(2)}:")
        self.nested(self.rng.randint(1, 2))
        if self.rng.random() < 0.5:
            self.add("else:")
            self.nested(self.rng.randint(1, 2))

    def _for(self) -> None:
        rng = self.rng
        name = self.new_name()
        kind = rng.choice(["u8", "i8", "u16", "u64", "i64"])
        low, high = limits(kind)
        start, step = number(rng, kind), rng.choice([1, 1, 2, -1, 3, -3])
        stop = min(max(start + step * rng.randint(0, 4), low), high)
        shape = f"range({kind}({start}), {stop}, {step})"
        if rng.random() < 0.4:
            shape = f"bounded(range({self.integer(kind, 1)}, {self.integer(kind, 1)}, {step}), {rng.randint(1, 4)})"
        self.add(f"for {name} in {shape}:")
        self.loops += 1
        self.fixed.add(name)
        before = dict(self.scope)
        self.scope[name] = kind
        self.nested(rng.randint(1, 2))
        self.scope = before
        self.loops -= 1

    def _while(self) -> None:
        self.add(f"while bounded({self.boolean(1)}, {self.rng.randint(1, 4)}):")
        self.loops += 1
        self.nested(self.rng.randint(1, 2))
        if self.rng.random() < 0.7:
            self.add("    break")
        self.loops -= 1

    def _match(self) -> None:
        if self.rng.random() < 0.5:
            self.add("match whole.color:")
            cases = ["Color.RED", "Color.GREEN", "Color.BLUE"]
        else:
            self.add(f"match {self.integer('u8', 1)}:")
            cases = ["0 | 1 | 255", str(self.rng.randint(2, 200)), "_"]
        self.depth += 1
        for case in cases:
            self.add(f"case {case}:")
            self.nested(1)
        self.depth -= 1

    def _leave(self) -> None:
        self.add(f"if {self.boolean(2)}:")
        word = self.rng.choice(["break", "continue"]) if self.loops else "return result"
        self.depth += 1
        self.add(word)
        self.depth -= 1

    def function(self, number_: int) -> None:
        """One function, with a struct of its own to play with."""
        rng = self.rng
        kinds = [rng.choice([*INTEGERS, "bool"]) for _ in range(rng.randint(1, 4))]
        result = rng.choice(INTEGERS)
        name = f"f{number_}"
        self.scope, self.fixed, self.depth = {}, set(), 0
        parameters = []
        for index, kind in enumerate(kinds):
            self.scope[f"p{index}"] = kind
            parameters.append(f"p{index}: {kind}")
        self.lines += ["", "", "@fn", f"def {name}({', '.join(parameters)}) -> {result}:"]
        self.depth = 1
        self.add("other = Part(small=3, signed=-1)")
        self.add("whole = Whole(first=Part(wide=5), color=Color.BLUE, table=[1, 2, 3, 4, 65535])")
        self.add(f"result: {result} = {number(rng, result)}")
        self.scope["result"] = result
        for _ in range(rng.randint(2, 6)):
            self.statement()
        self.calls = 0
        self.add(f"return {self.integer(result, 2)} {rng.choice('^&|')} result")
        self.functions.append((name, kinds, result))

    def source(self, seed: int, count: int) -> str:
        """A whole module of `count` functions."""
        for index in range(count):
            self.function(index)
        return HEAD.format(seed=seed) + "\n".join(self.lines) + "\n"


def module_source(seed: int, count: int) -> tuple[str, list[tuple[str, list[str], str]]]:
    """Source text, and (name, parameter types, result type) of its functions."""
    generator = Generator(seed)
    return generator.source(seed, count), generator.functions


def arguments(rng: random.Random, kinds: list[str]) -> tuple[int, ...]:
    """Arguments for one call."""
    return tuple(rng.random() < 0.5 if k == "bool" else number(rng, k) for k in kinds)
