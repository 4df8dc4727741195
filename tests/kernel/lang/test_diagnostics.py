"""Every row of the error table, and how its errors look.

golden/CODE.py breaks the rule CODE (and no more than it must), golden/TOPIC.py the same rules in all the ways that are
left; the .txt beside is what the compiler says. A check that is dropped leaves its file without the error, and its test
fails. `UPDATE_GOLDEN=1 pytest ...` rewrites the texts: read
the difference before you commit it.
"""

import ast
import importlib.util
import os
import re
import sys
from pathlib import Path

import pytest

from kernel.lang import CompileError, Ptr, fn, u8, u32
from kernel.lang.build import build_object
from kernel.lang.declare import Function
from kernel.lang.errors import ROOT, RULES, Diagnostics
from kernel.lang.program import compile_program

GOLDEN = Path(__file__).parent / "golden"
FILES = sorted(GOLDEN.rglob("*.py"))
COMPILER = ROOT / "kernel" / "lang"


def errors_of(path: Path) -> CompileError:
    """Compiles every kernel function of a file, in one run; to machine code for `ARCH`, where the file names one."""
    spec = importlib.util.spec_from_file_location(f"golden_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    functions = [value for value in vars(module).values() if isinstance(value, Function)]
    with pytest.raises(CompileError) as caught:
        if arch := getattr(module, "ARCH", None):
            build_object(functions, arch)
        else:
            compile_program(functions)
    return caught.value


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_errors_are_found_and_shown_as_they_always_were(path):
    error = errors_of(path)
    expected = path.with_suffix(".txt")
    text = f"{error}\n"
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_text(text)
    assert text == expected.read_text()


@pytest.mark.parametrize("code", sorted(RULES))
def test_every_rule_has_a_file_that_breaks_it(code):
    assert code in errors_of(next(path for path in FILES if path.stem == code)).codes


def reporting_places() -> dict[tuple[str, int], str]:
    """Every place of the compiler that reports an error: (file, each of its lines) -> what stands there."""
    found = {}
    for path in COMPILER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            text = ast.unparse(node)
            reports = node.func.attr == "refuse" or ast.unparse(node.func).endswith("diagnostics.add")
            if reports and path.name not in ("errors.py", "constants.py") or '.refuse("K' in text.replace("'", '"'):
                name = f"{path.name}:{node.lineno}: {text}"
                found |= {(path.name, line): name for line in range(node.lineno, (node.end_lineno or 0) + 1)}
    return found


def test_every_place_that_reports_an_error_is_shown_by_a_golden_file(monkeypatch):
    """So that each of them fails a test when it is dropped: the golden texts are compared to the letter."""
    places, reached = reporting_places(), set()
    add = Diagnostics.add

    def noting(self, *arguments, **named):
        frame = sys._getframe(1)
        while frame.f_code.co_name == "refuse":
            frame = frame.f_back
        reached.add((Path(frame.f_code.co_filename).name, frame.f_lineno))
        return add(self, *arguments, **named)

    monkeypatch.setattr(Diagnostics, "add", noting)
    for path in FILES:
        errors_of(path)
    shown = {places.get(place) for place in reached}
    silent = {text for text in places.values() if text not in shown}
    assert sorted(silent) == []


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
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
