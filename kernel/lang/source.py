"""Finds the Python source and `ast` of a kernel function, and places in it."""

import ast
import linecache
from functools import lru_cache

from kernel.lang.errors import Diagnostics, Refused, Span


@lru_cache(maxsize=256)
def _parse(file: str, text: str) -> dict[tuple[int, str], ast.FunctionDef]:
    """Every function of a file by (first line including decorators, name)."""
    found = {}
    for node in ast.walk(ast.parse(text, file)):
        if isinstance(node, ast.FunctionDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            found[first, node.name] = node
    return found


def function_ast(python_file: str, line: int, name: str, diagnostics: Diagnostics) -> ast.FunctionDef:
    """The definition of a function whose code object starts at `line`; raises Refused when there is no source."""
    linecache.checkcache(python_file)
    text = "".join(linecache.getlines(python_file))
    node = _parse(python_file, text).get((line, name)) if text else None
    if node is None:
        raise _missing(python_file, line, name, diagnostics)
    return node


def _missing(file: str, line: int, name: str, diagnostics: Diagnostics) -> Refused:
    return diagnostics.refuse("K106", Span(file, line, 0, 1, name), f"{name} in {file}")


def span_of(node: ast.AST, file: str, function: str) -> Span:
    """Where a node stands; a node of several lines is underlined on its first."""
    line = getattr(node, "lineno", 1)
    start = getattr(node, "col_offset", 0)
    end = getattr(node, "end_col_offset", start + 1)
    text = linecache.getline(file, line)
    if getattr(node, "end_lineno", line) != line:
        end = len(text.rstrip("\n"))
    # ast counts UTF-8 bytes; messages count characters.
    raw = text.encode()
    return Span(file, line, len(raw[:start].decode()), len(raw[:end].decode()), function)
