"""Compiler diagnostics: the one table of error codes, and how an error is shown.

Every rule of Kernel Python has one row in `RULES`; tests/kernel/lang/test_diagnostics.py has a golden test
for each. An error shows what was written, where, why it is refused and how to write it instead:

    error[K201]: types differ: left is u8, right is u32
      --> kernel/core/hello.py:12:14
       |
    12 |     return a + b
       |            ^^^^^
       = fix: u32(a) widens, trunc(b, u8) narrows
"""

import linecache
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Rule:
    """One row of the error table: what the rule is, and the fix that is shown where no better one is known."""

    title: str
    fix: str


RULES: dict[str, Rule] = {
    # Declarations
    "K101": Rule("parameter without a type", "annotate it: `name: u64`"),
    "K102": Rule("function without a result type", "annotate it: `-> u64`, or `-> None`"),
    "K103": Rule(
        "not a kernel type", "use u8..u64, i8..i64, w8..w64, usize, bool, Ptr[T], Array[T, N], a @struct, ..."
    ),
    "K104": Rule("unsupported kind of parameter", "use plain positional parameters without defaults"),
    "K105": Rule("aggregate passed by value", "pass a pointer: Ptr[T] in the signature, ptr(x) in the call"),
    "K106": Rule("source not found", "define kernel functions in a file that Python imported"),
    "K107": Rule("not for this target", "assembly runs on the architecture that declares it"),
    # Names and locals
    "K110": Rule("unknown name", "define it before, or import it"),
    "K111": Rule("a local has one type", "use a second name for the second type"),
    "K112": Rule("type of the local is not known", "annotate it: `name: u64 = 0`"),
    "K113": Rule("local may be unset here", "assign it on every path before this line"),
    "K114": Rule("captured values are constants", "declare `name = variable(T, initial)` in the module to change it"),
    "K115": Rule(
        "value cannot be used in kernel code", "capture ints, bools, strings, enum members, types, @fn functions"
    ),
    "K116": Rule("loop variable changed", "use a second local"),
    "K117": Rule("assignment hides a variable of the module", "say `global name` at the top of the function"),
    "K118": Rule("field has a name that every struct has in Python", "rename the field"),
    # Statements and expressions
    "K120": Rule("not part of Kernel Python", "see docs/kernel-python.md for what a kernel function may say"),
    "K121": Rule("missing return", "return a value on every path"),
    "K122": Rule("unreachable statement", "remove it"),
    "K123": Rule("return does not match the signature", "return what the signature says"),
    "K124": Rule("result not used", "use it, or write `_ = call()`"),
    "K125": Rule("exceptions do not exist in kernel code", "return an error value; assert what must hold"),
    "K126": Rule("there is no heap", "use a variable(Array[T, N]) of the module or a local array"),
    "K127": Rule("no effect", "remove the statement"),
    # Types
    "K201": Rule("types differ", "u64(x) widens, trunc(x, u8) narrows"),
    "K202": Rule(
        "conversion is not a widening", "trunc(x, T) keeps the low bits, exact(x, T) panics when x does not fit"
    ),
    "K203": Rule("operator not defined for this type", "convert first"),
    "K204": Rule("condition is not a bool", "compare: `x != 0`"),
    "K205": Rule("constant does not fit", "use a wider type or a smaller constant"),
    "K206": Rule("struct or array copied by `=`", "copy(destination, source) copies, ptr(x) refers"),
    "K207": Rule("no such field", "check the definition of the type"),
    "K208": Rule("wrong arguments", "match the signature"),
    "K209": Rule("not assignable", "assign to a local, a field, an element or a variable of the module"),
    "K210": Rule("cannot be indexed", "index an Array, a Span, a View or a Str with an unsigned integer"),
    "K211": Rule("constant index out of bounds", "index below the length"),
    "K212": Rule("not a pointer", "ptr(x) makes a pointer to x"),
    "K213": Rule("may be None", "test `is None` and use some(p) for the pointer"),
    "K214": Rule("type has no zero value", "give every field a value"),
    "K215": Rule("not callable in kernel code", "decorate the function with @fn"),
    "K216": Rule("constant shift past the width", "shift by less than the width"),
    "K217": Rule("division by the constant zero", "divide by something else"),
    "K218": Rule("handle types do not mix", "convert on purpose: Other(u32(handle))"),
    "K219": Rule("a constant cannot be changed", "declare it as variable(T, initial), or use view(x) to read it"),
    "K220": Rule("a match must cover every case", "add the missing cases, or `case _:`"),
    # Whole-function and whole-program rules
    "K301": Rule(
        "loop without a constant bound", "bounded(condition, N) or bounded(range(...), N): a panic after N rounds"
    ),
    "K302": Rule("recursion", "turn it into a loop with a bound"),
    "K303": Rule("pointer to a local leaves the function", "let the caller own the memory and pass a pointer"),
    "K304": Rule("stack does not fit", "shrink local arrays or the depth of calls, or give the entry more stack"),
    "K305": Rule("assembly outside kernel/arch", "declare the intrinsic in a file under kernel/arch/"),
    "K306": Rule("raw address outside kernel/arch", "take pointers from the memory map's functions under kernel/arch/"),
    "K307": Rule("MMIO register used as memory", "use register.read(), register.write(...) of its description"),
    "K308": Rule("register access not allowed", "see the register's access rule in its description"),
    "K309": Rule("function pointer without targets", "store at least one function of that type"),
}


@cache
def short_file(file: str) -> str:
    """The file relative to the project, where it lies in it."""
    path = Path(file)
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.as_posix()


class Span(NamedTuple):
    """Where in the source something stands; columns count characters from 0, `end_column` is exclusive."""

    file: str
    line: int
    column: int
    end_column: int
    function: str = ""

    @property
    def short_file(self) -> str:
        """The file relative to the project, for messages and `#line`."""
        return short_file(self.file)


@dataclass(frozen=True)
class Diagnostic:
    """One error: its row of the table, its place, what exactly is wrong and how to fix it here."""

    code: str
    span: Span
    message: str
    fix: str

    def render(self) -> str:
        """The error as a terminal shows it, without a trailing newline."""
        span = self.span
        text = linecache.getline(span.file, span.line).rstrip("\n")
        number = str(span.line)
        margin = " " * len(number)
        carets = "^" * max(1, min(span.end_column, len(text)) - span.column)
        return "\n".join(
            [
                f"error[{self.code}]: {self.message}",
                f"{margin} --> {span.short_file}:{span.line}:{span.column + 1}",
                f"{margin} |",
                f"{number} | {text}",
                f"{margin} | {' ' * span.column}{carets}",
                f"{margin} = fix: {self.fix}",
            ]
        )


class CompileError(Exception):
    """All errors of one run; `diagnostics` holds them in source order."""

    def __init__(self, diagnostics: Iterable[Diagnostic]):
        self.diagnostics = sorted(set(diagnostics), key=lambda d: (d.span.file, d.span.line, d.span.column, d.code))
        count = len(self.diagnostics)
        body = "\n\n".join(d.render() for d in self.diagnostics)
        super().__init__(f"{count} error{'s' if count != 1 else ''}\n\n{body}")

    @property
    def codes(self) -> list[str]:
        """The codes, in source order."""
        return [d.code for d in self.diagnostics]


class Refused(Exception):
    """Raised after an error was recorded, to leave the statement that holds it; never seen by users."""


class Diagnostics:
    """Collects the errors of one run."""

    def __init__(self) -> None:
        self.found: list[Diagnostic] = []

    def add(self, code: str, span: Span, detail: str = "", fix: str = "") -> None:
        """Records an error. `detail` follows the rule's title; `fix` replaces the rule's own."""
        rule = RULES[code]
        message = f"{rule.title}: {detail}" if detail else rule.title
        diagnostic = Diagnostic(code, span, message, fix or rule.fix)
        if diagnostic not in self.found:
            self.found.append(diagnostic)

    def refuse(self, code: str, span: Span, detail: str = "", fix: str = "") -> Refused:
        """Records an error and returns the exception to raise."""
        self.add(code, span, detail, fix)
        return Refused(code)

    def check(self) -> None:
        """Raises CompileError when anything was recorded."""
        if self.found:
            raise CompileError(self.found)
