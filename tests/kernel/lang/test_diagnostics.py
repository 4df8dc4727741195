"""Every row of the error table, and how its errors look.

golden/CODE.py breaks the rule CODE (and no more than it must); golden/CODE.txt is what the compiler says. A rule that
is dropped leaves its file without the error, and its test fails. `UPDATE_GOLDEN=1 pytest ...` rewrites the texts: read
the difference before you commit it.
"""

import importlib.util
import os
import re
from pathlib import Path

import pytest

from kernel.lang import CompileError, Ptr, fn, u8, u32
from kernel.lang.build import build_object
from kernel.lang.declare import Function
from kernel.lang.errors import RULES
from kernel.lang.program import compile_program

GOLDEN = Path(__file__).parent / "golden"
# Needs a target (K107) or machine code (K304): test_build.py and test_stack.py have their golden tests.
ELSEWHERE = {"K107", "K304"}


def errors_of(path: Path) -> CompileError:
    """Compiles every kernel function of a file, in one run."""
    spec = importlib.util.spec_from_file_location(f"golden_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    functions = [value for value in vars(module).values() if isinstance(value, Function)]
    with pytest.raises(CompileError) as caught:
        compile_program(functions)
    return caught.value


@pytest.mark.parametrize("code", sorted(set(RULES) - ELSEWHERE))
def test_rule(code):
    error = errors_of(GOLDEN / f"{code}.py")
    assert code in error.codes, f"the file breaks {code}, the compiler found {error.codes}"
    expected = GOLDEN / f"{code}.txt"
    text = f"{error}\n"
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_text(text)
    assert text == expected.read_text()


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.py")), ids=lambda p: p.stem)
def test_every_error_has_code_place_line_caret_and_fix(path):
    for diagnostic in errors_of(path).diagnostics:
        lines = diagnostic.render().splitlines()
        assert re.fullmatch(rf"error\[{diagnostic.code}\]: .+", lines[0])
        assert re.match(r" *--> \S+:\d+:\d+$", lines[1])
        if diagnostic.code != "K106":
            assert lines[3].split("|", 1)[1].strip()
        assert set(lines[4].split("|", 1)[1].strip()) == {"^"}
        assert re.match(r" *= fix: .{6}", lines[5])


def test_all_errors_come_in_one_run_in_source_order():
    @fn
    def first(a: u8, b: u32) -> u32:
        return a + b

    @fn
    def second(p: Ptr[u8]) -> u8:
        x = unknown  # noqa: F821
        if p.value:
            return x
        return second(p)

    with pytest.raises(CompileError) as caught:
        compile_program([first, second])
    assert caught.value.codes == ["K201", "K110", "K204", "K302"]
    lines = [d.span.line for d in caught.value.diagnostics]
    assert lines == sorted(lines)


def test_a_refused_assignment_does_not_start_a_flood():
    @fn
    def f(a: u8, b: u32) -> u32:
        x = a + b
        y = x + 1
        if x > y:
            return y
        return x

    with pytest.raises(CompileError) as caught:
        compile_program([f])
    assert caught.value.codes == ["K201"]


def test_a_refused_program_builds_for_no_target():
    @fn
    def f(a: u8, b: u32) -> u32:
        return a + b

    with pytest.raises(CompileError):
        f(1, 2)
    with pytest.raises(CompileError):
        build_object([f], "riscv64")
