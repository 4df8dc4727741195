"""Every operator and conversion for every 8-bit operand: host, machines and evaluator against plain Python integers.

Conversions from 16 bits take their operand as two bytes.
"""

import importlib.util
import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from kernel.lang import i8, native, types, u8, w8
from kernel.lang.declare import Function
from kernel.lang.evaluate import Evaluator, Stopped
from kernel.lang.program import compile_program
from kernel.lang.types import IntType
from tests.kernel.lang import harness

EDGES = (0, 1, 2, 7, 8, 127, 128, 129, 200, 254, 255)
PANIC = None


@dataclass(frozen=True)
class Operation:
    """An expression of `a` and `b` in Kernel Python, and the same for Python integers (None: a panic)."""

    text: str
    operands: tuple[IntType, ...]
    result: str
    oracle: Callable[..., int | None]

    def __str__(self) -> str:
        return f"{self.text} of {', '.join(kind.name for kind in self.operands)}"

    def source(self, number: int) -> str:
        """A function of a module."""
        declared = ", ".join(f"{name}: {kind.name}" for name, kind in zip("ab", self.operands, strict=False))
        return f"\n\n@fn\ndef f{number}({declared}) -> {self.result}:\n    return {self.text}\n"

    def arguments(self, values: Iterable[int] = range(256)) -> Iterator[tuple[int, ...]]:
        """All operands, in the order of their bits."""
        first, *second = [[signed(n, kind) for n in values] for kind in self.operands]
        return ((a, b) for a in first for b in second[0]) if second else ((a,) for a in first)

    def results(self) -> list[int | None]:
        """What is right."""
        oracle = self.oracle
        return [oracle(*arguments) for arguments in self.arguments()]


def signed(value: int, T: IntType) -> int:
    """The low bits of a value, read as T."""
    value &= (1 << T.width) - 1
    return value - (1 << T.width) if T.signed and value >> (T.width - 1) else value


def fits(value: int, T: IntType) -> int | None:
    """A result of checked arithmetic."""
    low, high = (-(1 << (T.width - 1)), (1 << (T.width - 1)) - 1) if T.signed else (0, (1 << T.width) - 1)
    return value if low <= value <= high else PANIC


def arithmetic(T: IntType, compute: Callable[[int, int], int]) -> Callable[[int, int], int | None]:
    """With T's range: modulo 2^8, or a panic outside of it."""
    return lambda a, b: compute(a, b) % 256 if T.wrapping else fits(compute(a, b), T)


def dividing(T: IntType, compute: Callable[[int, int], int]) -> Callable[[int, int], int | None]:
    """The same, and no zero."""
    return lambda a, b: PANIC if b == 0 else fits(compute(a, b), T)


def shifting(T: IntType, compute: Callable[[int, int], int]) -> Callable[[int, int], int | None]:
    """The same, and no count past the width; what leaves at the top is gone."""
    return lambda a, b: PANIC if b > 7 else signed(compute(a, b), T)


def of_type(T: IntType) -> list[Operation]:
    """Operators and bit counts of an 8-bit type."""
    name, found = T.name, []
    for text, function in {"+": operator.add, "-": operator.sub, "*": operator.mul}.items():
        found.append(Operation(f"a {text} b", (T, T), name, arithmetic(T, function)))
    for text, function in {"//": operator.floordiv, "%": operator.mod}.items():
        found.append(Operation(f"a {text} b", (T, T), name, dividing(T, function)))
    for text, function in {"<<": operator.lshift, ">>": operator.rshift}.items():
        found.append(Operation(f"a {text} b", (T, u8), name, shifting(T, function)))
    for text, function in {"&": operator.and_, "|": operator.or_, "^": operator.xor}.items():
        found.append(Operation(f"a {text} b", (T, T), name, function))
    for text in ("==", "!=", "<", "<=", ">", ">="):
        found.append(Operation(f"a {text} b", (T, T), "bool", eval(f"lambda a, b: int(a {text} b)")))  # noqa: S307
    found += [Operation("min(a, b)", (T, T), name, min), Operation("max(a, b)", (T, T), name, max)]
    found.append(Operation("~a", (T,), name, lambda a: signed(~a, T)))
    if T.signed or T.wrapping:
        found.append(Operation("-a", (T,), name, lambda a: -a % 256 if T.wrapping else fits(-a, T)))
    if not T.signed:
        bits = [f"{n:08b}" for n in range(256)]
        found.append(Operation("clz(a)", (T,), name, lambda a: len(bits[a]) - len(bits[a].lstrip("0"))))
        found.append(Operation("ctz(a)", (T,), name, lambda a: len(bits[a]) - len(bits[a].rstrip("0"))))
        found.append(Operation("popcount(a)", (T,), name, lambda a: bits[a].count("1")))
        found.append(Operation("byteswap(a)", (T,), name, lambda a: a))
    return found


def conversions(T: IntType) -> list[Operation]:
    """From an 8-bit type to all types."""
    found = []
    for target in types.INTEGERS:
        name = target.name
        found.append(Operation(f"trunc(a, {name})", (T,), name, lambda a, to=target: signed(a, to)))
        found.append(Operation(f"exact(a, {name})", (T,), name, lambda a, to=target: fits(a, to)))
        if T.widens_to(target):
            found.append(Operation(f"{name}(a)", (T,), name, lambda a: a))
    return found


def narrowing(wide: str) -> list[Operation]:
    """From a 16-bit type to the 8-bit ones, and back to front."""
    whole = "(u16(a) << 8 | u16(b))" if wide == "u16" else f"trunc(u16(a) << 8 | u16(b), {wide})"
    source = getattr(types, wide)
    found = []
    for T in (u8, i8, w8):
        found.append(
            Operation(f"trunc({whole}, {T.name})", (u8, u8), T.name, lambda a, b, to=T: signed(a << 8 | b, to))
        )
        found.append(
            Operation(f"exact({whole}, {T.name})", (u8, u8), T.name,
                      lambda a, b, to=T: fits(signed(a << 8 | b, source), to))
        )  # fmt: skip
    if wide == "u16":
        found.append(Operation(f"byteswap({whole})", (u8, u8), "u16", lambda a, b: b << 8 | a))
    return found


OPERATIONS = [
    *(operation for T in (u8, i8, w8) for operation in (*of_type(T), *conversions(T))),
    *(operation for wide in ("u16", "i16", "w16") for operation in narrowing(wide)),
]


@pytest.fixture(scope="module")
def results() -> list[list[int | None]]:
    """What is right, for all operands of all operations."""
    return [operation.results() for operation in OPERATIONS]


@pytest.fixture(scope="module")
def functions(tmp_path_factory) -> list[Function]:
    """The kernel functions, of one module."""
    path = tmp_path_factory.mktemp("eight_bits") / "eight_bits.py"
    head = "from kernel.lang import *\n"
    path.write_text(head + "".join(operation.source(n) for n, operation in enumerate(OPERATIONS)))
    spec = importlib.util.spec_from_file_location("eight_bits", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return [getattr(module, f"f{n}") for n in range(len(OPERATIONS))]


def evaluated(evaluator: Evaluator, function: Function, arguments: tuple[int, ...]) -> Any:
    """The evaluator's result; None for a panic."""
    try:
        return evaluator.call(function, arguments)
    except Stopped:
        return PANIC


def test_the_evaluator_keeps_the_rules(functions):
    evaluator = Evaluator(compile_program(functions))
    for operation, function in zip(OPERATIONS, functions, strict=True):
        for arguments in operation.arguments(EDGES):
            right = operation.oracle(*arguments)
            assert evaluated(evaluator, function, arguments) == right, (str(operation), arguments)


@pytest.mark.long
def test_the_evaluator_keeps_the_rules_for_all_operands(functions, results):
    evaluator = Evaluator(compile_program(functions))
    for operation, function, right in zip(OPERATIONS, functions, results, strict=True):
        got = [evaluated(evaluator, function, arguments) for arguments in operation.arguments()]
        assert got == right, str(operation)


def test_the_host_keeps_the_rules_for_all_operands(functions, results):
    """Below the Python wrappers, where a panic is a flag and no exception."""
    library = native.Library(compile_program(functions))
    state = library.state
    for operation, function, right in zip(OPERATIONS, functions, results, strict=True):
        library.callable(function)  # Declares the types to ctypes.
        call = getattr(library.library, f"kpx_{library.emitter.function_names[function]}")
        got = []
        for arguments in operation.arguments():
            value = call(*arguments)
            if state.failed:
                state.failed, value = 0, PANIC
            got.append(value)
        assert got == right, str(operation)


def hashed(results: list[int | None]) -> int:
    """What harness_all computes."""
    value, mask = 0, harness.MASK
    for result in results:
        if result is PANIC:
            value = value * 0x100000001B3 & mask
        else:
            value = ((value ^ 1) * 0x100000001B3 ^ result & mask) * 0x100000001B3 & mask
    return value


@pytest.fixture(scope="module")
def hashes(results) -> list[tuple[str, int]]:
    """What the targets must print."""
    return [("all", hashed(right)) for right in results]


@pytest.mark.parametrize("target", [name for name in harness.TARGETS if name.endswith("-machine")])
def test_machines_keep_the_rules_for_all_operands(target, functions, hashes, tmp_path):
    if harness.missing(target):
        pytest.skip(harness.missing(target))
    got = harness.on_target(target, [], functions, output=tmp_path / "image")
    wrong = [str(operation) for operation, a, b in zip(OPERATIONS, got, hashes, strict=True) if a != b]
    assert wrong == []
