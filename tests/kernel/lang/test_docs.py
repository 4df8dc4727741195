"""The code of docs/kernel-python.md compiles, runs and keeps what it promises."""

import importlib.util
import re
import sys

import pytest

from kernel.lang import build
from kernel.lang.declare import Function
from kernel.lang.errors import ROOT

PAGE = ROOT / "docs" / "kernel-python.md"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """All blocks of the page, as one module; importing it runs its asserts."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    assert len(blocks) >= 9
    path = tmp_path_factory.mktemp("docs") / "kernel_python_page.py"
    path.write_text("\n".join(blocks))
    spec = importlib.util.spec_from_file_location("kernel_python_page", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("arch", build.TARGETS)
def test_the_page_compiles_for_every_target(page, arch):
    functions = [value for value in vars(page).values() if isinstance(value, Function)]
    assert len(functions) > 12
    build.build_object(functions, arch)


def test_the_page_names_every_file_of_the_compiler():
    text = PAGE.read_text()
    files = {p.name for p in (ROOT / "kernel" / "lang").iterdir() if p.suffix in (".py", ".h")}
    missing = {f for f in files if f"`{f}`" not in text} - {"__init__.py", "errors.py", "runtime_memory.h"}
    assert not missing
