"""Rules that no single diagnostic shows: the table of errors is whole, captured values are frozen, bounds hold."""

import os
import re
import subprocess
import sys

import pytest

from kernel.lang import (
    Array,
    CompileError,
    KernelPanic,
    Ptr,
    bounded,
    build,
    by_arch,
    fn,
    host,
    struct,
    u8,
    u32,
    u64,
    variable,
)
from kernel.lang.errors import ROOT, RULES

COMPILER = ROOT / "kernel" / "lang"


def test_every_error_code_is_in_the_one_table_and_in_use():
    used = set()
    for path in COMPILER.glob("*.py"):
        if path.name != "errors.py":
            used |= set(re.findall(r'"(K\d{3})"', path.read_text()))
    assert used == set(RULES)


def test_rules_have_titles_and_fixes():
    for code, rule in RULES.items():
        assert rule.title and rule.fix, code
    assert len({rule.title for rule in RULES.values()}) == len(RULES)


def test_captured_values_are_frozen_when_the_function_is_compiled():
    limit = 3

    @fn
    def below(n: u32) -> bool:
        return n < limit

    assert below(2) and not below(3)
    limit = 100
    assert not below(3)


def test_a_loop_that_keeps_its_bound_does_not_panic_and_the_next_round_does():
    @fn
    def count(n: u32) -> u32:
        done: u32 = 0
        while bounded(done < n, 5):
            done += 1
        for i in bounded(range(n), 5):
            done += i
        return done

    assert count(5) == 5 + 10
    with pytest.raises(KernelPanic, match="more than 5 rounds of `while`"):
        count(6)


@pytest.mark.parametrize("start, stop, step", [(250, 255, 2), (5, 0, -2), (0, 255, 100), (3, 3, 1), (255, 0, -255)])
def test_loops_end_where_python_s_do_at_the_edge_of_the_type(start, stop, step):
    @fn
    def run(first: u8, last: u8, out: Ptr[Array[u8, 8]]) -> u32:
        count: u32 = 0
        for i in bounded(range(first, last, step), 8):
            out[u64(count)] = i
            count += 1
        return count

    out = host(Array[u8, 8])
    assert out[: run(start, stop, out)] == list(range(start, stop, step))


def test_variables_need_a_type_that_memory_can_hold():
    with pytest.raises(TypeError, match="not a kernel type"):
        variable(int, 3)
    with pytest.raises(TypeError, match="no zero value"):
        variable(Ptr[u8])
    with pytest.raises(TypeError, match="cannot be a None"):
        variable(None)


def test_types_check_what_python_gives_them():
    assert u8(255) == 255
    for bad in (256, -1, "1", None):
        with pytest.raises(ValueError, match="is not a u8"):
            u8(bad)
    with pytest.raises(TypeError, match="must be an int of 1 or more"):
        Array[u8, 0]


SPEED = by_arch(host=1, riscv64=2)


@fn
def _speed() -> u64:
    return SPEED


def test_by_arch_gives_each_target_its_own_value():
    assert _speed() == 1
    assert "return 2" in build.build_object([_speed], "riscv64").c_text
    with pytest.raises(CompileError) as error:
        build.build_object([_speed], "aarch64")
    assert error.value.codes == ["K107"]
    with pytest.raises(ValueError, match="not sparc"):
        by_arch(sparc=1)


@struct
class _Node:
    next: Ptr["_Node"] | None


@fn
def _is_next(a: Ptr[_Node], b: Ptr[_Node]) -> bool:
    return a.next == b and b != a


def test_a_pointer_that_may_be_none_compares_with_one_that_may_not():
    a, b = _Node(), _Node()
    assert not _is_next(a, b)
    a.next = b
    assert _is_next(a, b)


SPINNING = """
from kernel.lang import *
rounds = variable(w64, 0)

@fn
def built() -> None:
    pass

@fn
def spin() -> None:
    while bounded(True, 1 << 62):
        pass

@fn
def count() -> None:
    global rounds
    while bounded(True, 1 << 62):
        rounds = rounds + 1
"""


@pytest.mark.parametrize("function", ["spin", "count"])
def test_a_loop_without_effects_is_not_computed_to_its_end(function, tmp_path):
    """clang would see that only the bound ends it, and panic at once."""
    (tmp_path / "spinning.py").write_text(SPINNING)
    program = f"import spinning; spinning.built(); print(flush=True); spinning.{function}()"
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{tmp_path}"}
    with subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE) as run:
        assert run.stdout and run.stdout.read(1) == b"\n"
        with pytest.raises(subprocess.TimeoutExpired):
            run.wait(0.5)
        run.kill()
