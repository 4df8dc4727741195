"""Finds the Python source and `ast` of a kernel function, and places in it."""

import ast
import linecache

from kernel.lang.errors import Diagnostics, Refused, Span

_Definition = ast.FunctionDef | ast.AsyncFunctionDef
_parsed: dict[str, tuple[list[str], dict[tuple[int, str], _Definition], bool]] = {}
"""By file: its lines, its functions, whether all of it is ASCII."""


def _functions(file: str) -> dict[tuple[int, str], _Definition]:
    """Every function of a file by (first line including decorators, name); parsed again when the file has changed."""
    linecache.checkcache(file)
    lines = linecache.getlines(file)
    if file in _parsed and _parsed[file][0] is lines:
        return _parsed[file][1]
    found: dict[tuple[int, str], _Definition] = {}
    text = "".join(lines)
    blocks: list[ast.AST] = [ast.parse(text, file)]
    while blocks:
        for node in ast.iter_child_nodes(blocks.pop()):
            if isinstance(node, _Definition):
                first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
                found[first, node.name] = node
            if isinstance(node, (ast.stmt, ast.excepthandler, ast.match_case)):  # No function is in an expression.
                blocks.append(node)
    _parsed[file] = (lines, found, text.isascii())
    return found


def function_ast(python_file: str, line: int, name: str, diagnostics: Diagnostics) -> ast.FunctionDef:
    """The definition of a function whose code object starts at `line`; raises Refused when there is no source."""
    node = _functions(python_file).get((line, name))
    if node is None:
        raise _missing(python_file, line, name, diagnostics)
    if isinstance(node, ast.AsyncFunctionDef):
        raise diagnostics.refuse("K120", span_of(node, python_file, name), "async")
    return node


def _missing(file: str, line: int, name: str, diagnostics: Diagnostics) -> Refused:
    return diagnostics.refuse("K106", Span(file, line, 0, 1, name), f"{name} in {file}")


def span_of(node: ast.AST, file: str, function: str) -> Span:
    """Where a node stands; a node of several lines is underlined on its first."""
    line = getattr(node, "lineno", 1)
    start = getattr(node, "col_offset", 0)
    end = getattr(node, "end_col_offset", start + 1)
    one_line = getattr(node, "end_lineno", line) == line
    if one_line and file in _parsed and _parsed[file][2]:
        return Span(file, line, start, end, function)
    text = linecache.getline(file, line)
    if not one_line:
        end = len(text.rstrip("\n"))
    if text.isascii():
        return Span(file, line, start, end, function)
    # ast counts UTF-8 bytes; messages count characters.
    raw = text.encode()
    return Span(file, line, len(raw[:start].decode()), len(raw[:end].decode()), function)


def field_span(file: str, line: int, struct: str, field: str) -> Span:
    """Where a struct, whose decorator stands at `line` or just above, declares a field."""
    linecache.checkcache(file)
    for node in ast.walk(ast.parse("".join(linecache.getlines(file)), file)):
        if isinstance(node, ast.ClassDef) and node.name == struct and node.end_lineno and node.end_lineno >= line:
            for item in node.body:
                if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and item.target.id == field:
                    return span_of(item, file, struct)
    return Span(file, line, 0, 1, struct)
