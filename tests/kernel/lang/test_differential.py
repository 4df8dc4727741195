"""Generated C against the Python evaluator: random programs on the host and on three targets, 8-bit edges exhaustively.

`KERNEL_FUZZ=n` runs n seeds instead of the few below.
"""

import importlib.util
import os
import random
import sys

import pytest

from kernel.lang import KernelPanic, fn, i8, native, u8, w8
from kernel.lang.evaluate import Evaluator, Stopped
from kernel.lang.program import compile_program
from tests.kernel.lang import generate, harness

SEEDS = range(int(os.environ.get("KERNEL_FUZZ", "3")))
FUNCTIONS, CALLS = 30, 12


def random_cases(seed, folder):
    """A random module, imported, and calls of its functions."""
    text, functions = generate.module_source(seed, FUNCTIONS)
    name = f"random_program_{seed}"
    path = folder / f"{name}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    rng = random.Random(seed)
    return [(getattr(module, n), generate.arguments(rng, kinds)) for n, kinds, _ in functions for _ in range(CALLS)]


@pytest.mark.parametrize("seed", SEEDS)
def test_random_programs_agree_everywhere(seed, tmp_path):
    cases = random_cases(seed, tmp_path)
    want = harness.in_evaluator(cases)
    finished = sum(result[0] == "ok" for result in want)
    print(f"seed {seed}: {finished} of {len(want)} calls finish, the others panic")
    assert finished > len(want) // 10 and finished < len(want)
    assert not harness.difference(cases, want, harness.on_host(cases))
    for target in harness.TARGETS:
        if harness.missing(target):
            print(harness.missing(target))
            continue
        got = harness.on_target(target, cases, output=tmp_path / target)
        assert not harness.difference(cases, want, got), f"seed {seed} on {target}"


def test_random_programs_have_no_undefined_behaviour(tmp_path):
    native.configure(sanitize="undefined")
    try:
        cases = random_cases(1000, tmp_path)
        assert not harness.difference(cases, harness.in_evaluator(cases), harness.on_host(cases))
    finally:
        native.configure(sanitize="")


def operations():
    """Every arithmetic operator on every kind of 8-bit integer."""
    made = {}
    for T in (u8, i8, w8):
        C = u8

        @fn
        def add(a: T, b: T) -> T:
            return a + b

        @fn
        def subtract(a: T, b: T) -> T:
            return a - b

        @fn
        def multiply(a: T, b: T) -> T:
            return a * b

        @fn
        def divide(a: T, b: T) -> T:
            return a // b

        @fn
        def remainder(a: T, b: T) -> T:
            return a % b

        @fn
        def left(a: T, b: C) -> T:
            return a << b

        @fn
        def right(a: T, b: C) -> T:
            return a >> b

        for function in (add, subtract, multiply, divide, remainder, left, right):
            made[f"{function.name} {T.name}"] = function
    return made


OPERATIONS = operations()


def pairs_hash(function):
    """What harness_pairs computes, by the evaluator of the typed tree."""
    evaluator = Evaluator(compile_program([function]))
    first, second = (kind for _, kind in compile_program([function]).signatures[function].parameters)
    value = 0
    for a in range(256):
        for b in range(256):
            try:
                result = evaluator.call(function, (first.wrap(a), second.wrap(b))) & 0xFF
            except Stopped:
                result = 0x100
            value = (value ^ result) * 0x100000001B3 & harness.MASK
    return value


@pytest.fixture(scope="module")
def expected():
    return [("pairs", pairs_hash(f)) for f in OPERATIONS.values()]


def test_the_evaluator_agrees_with_python_at_the_edges():
    for name, function in OPERATIONS.items():
        evaluator = Evaluator(compile_program([function]))
        op, kind = name.split()
        T = {"u8": u8, "i8": i8, "w8": w8}[kind]
        for a in (T.minimum, -1, 0, 1, 7, T.maximum):
            for b in (T.minimum, -1, 0, 1, 7, 8, T.maximum):
                if not T.holds(a) or not T.holds(b) or (op in ("left", "right") and b < 0):
                    continue
                try:
                    got = evaluator.call(function, (a, b))
                except Stopped:
                    got = None
                assert got == model(op, T, a, b), (name, a, b)


def model(op, T, a, b):
    """The rules of section 5, written down once more."""
    if op in ("left", "right"):
        if b >= 8:
            return None
        return T.wrap(a << b) if op == "left" else a >> b
    if op in ("divide", "remainder"):
        if b == 0:
            return None
        value = a // b if op == "divide" else a % b
    else:
        value = {"add": a + b, "subtract": a - b, "multiply": a * b}[op]
    if T.wrapping:
        return T.wrap(value)
    return value if T.holds(value) else None


@pytest.mark.parametrize("target", list(harness.TARGETS))
def test_all_pairs_of_8_bit_operands_on_targets(target, expected, tmp_path):
    if harness.missing(target):
        pytest.skip(harness.missing(target))
    functions = list(OPERATIONS.values())
    got = harness.on_target(target, [], functions, output=tmp_path / "image")
    assert dict(zip(OPERATIONS, got, strict=True)) == dict(zip(OPERATIONS, expected, strict=True))


def test_all_pairs_of_8_bit_operands_on_the_host():
    for name, function in OPERATIONS.items():
        op, kind = name.split()
        T = {"u8": u8, "i8": i8, "w8": w8}[kind]
        with pytest.raises((KernelPanic, ValueError)):
            function(T.maximum, 1 << 9)
        library = native._libraries[function]
        call, state = library.library[f"kpx_{library.emitter.function_names[function]}"], library.state
        call.argtypes, call.restype = [native._scalar(T), native._scalar(T if op not in ("left", "right") else u8)], None
        call.restype = native._scalar(T)
        for a in range(T.minimum, T.maximum + 1):
            for b in range(0, 256) if op in ("left", "right") else range(T.minimum, T.maximum + 1):
                got = call(a, b)
                if state.failed:
                    state.failed, got = 0, None
                want = model(op, T, a, b)
                assert got == want, (name, a, b, got, want)
