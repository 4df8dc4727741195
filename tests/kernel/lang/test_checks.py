"""Every check that a running program makes: broken, it is a panic; with just that check removed, it is none.

All rules are one library, whose C was changed so that a pointer says which check is left out. A check that the compiler
stops emitting fails the first test; the second one shows that the first would see it, for every operator and width.
"""

import ast
import ctypes
import re
import sys
from enum import IntEnum

import pytest

from kernel.lang import (
    Array,
    Bits,
    KernelPanic,
    Ptr,
    bitfield,
    bounded,
    build,
    enum,
    exact,
    fn,
    function_pointer,
    host,
    native,
    panic,
    some,
    struct,
    types,
    u8,
    u16,
    u32,
    u64,
    usize,
    variable,
    view,
)
from kernel.lang.emit_c import Emitter
from kernel.lang.errors import ROOT
from kernel.lang.program import compile_program
from rtl.registers import clint
from tests.kernel.lang import harness


@enum(u8)
class Color(IntEnum):
    RED = 0
    GREEN = 1


@enum(2)
class Mode(IntEnum):
    OFF = 0
    ON = 2


@bitfield(u16)
class Control:
    level: Bits[5]
    mode: Mode


Operation = function_pointer("Operation", [u8], u8)


@struct
class Raw:
    color: Color
    operation: Operation


@fn
def same(a: u8) -> u8:
    return a


table = variable(Array[u32, 4])
operation = variable(Operation, same)


def arithmetic():
    """(rule, function, arguments that break it, the panic's text) for every operator and type that has a check."""
    found = []
    for T in types.INTEGERS:
        low, high, name = T.minimum, T.maximum, T.name
        unsigned = types.storage_for(T.width)

        @fn
        def add(a: T, b: T) -> T:
            return a + b

        @fn
        def sub(a: T, b: T) -> T:
            return a - b

        @fn
        def mul(a: T, b: T) -> T:
            return a * b

        @fn
        def div(a: T, b: T) -> T:
            return a // b

        @fn
        def mod(a: T, b: T) -> T:
            return a % b

        @fn
        def shl(a: T, b: unsigned) -> T:
            return a << b

        @fn
        def shr(a: T, b: unsigned) -> T:
            return a >> b

        if not T.wrapping:
            found += [(f"add_{name}", add, (high, 1), f"overflows {name}")]
            found += [(f"sub_{name}", sub, (low, 1), f"overflows {name}")]
            found += [(f"mul_{name}", mul, (high, 2), f"overflows {name}")]
        found += [(f"div_{name}", div, (high, 0), "divides by zero"), (f"mod_{name}", mod, (high, 0), "by zero")]
        past = f"shifts past the width of {name}"
        found += [(f"shl_{name}", shl, (1, T.width), past), (f"shr_{name}", shr, (1, T.width), past)]
        if T.signed:

            @fn
            def neg(a: T) -> T:
                return -a

            found += [(f"least_{name}", div, (low, -1), f"overflows {name}")]
            found += [(f"neg_{name}", neg, (low,), f"overflows {name}")]
    return found


def conversion(source, target):
    @fn
    def convert(a: source) -> target:
        return exact(a, target)

    return convert


def conversions():
    """The same for `exact`, between all types where it can fail."""
    found = []
    for source in types.INTEGERS:
        for target in types.INTEGERS:
            if source.widens_to(target):
                continue
            bad = source.minimum if source.minimum < target.minimum else source.maximum

            name = f"exact_{target.name}_from_{source.name}"
            found.append((name, conversion(source, target), (bad,), f"does not fit {target.name}"))
    return found


@fn
def index_array(i: usize) -> u32:
    return table[i]


@fn
def index_view(i: usize) -> u32:
    return view(table)[i]


@fn
def index_result(i: usize) -> u32:
    return make()[i]


@fn
def make() -> Array[u32, 4]:
    return [1, 2, 3, 4]


@fn
def part(start: usize, stop: usize) -> usize:
    return len(view(table)[start:stop])


@fn
def index_registers(timer: Ptr[clint.Registers], hart: usize) -> u64:
    return timer.mtimecmp[hart].read()


@fn
def set_field(value: u8) -> u16:
    return u16(Control(level=value, mode=Mode.ON))


@fn
def get_field(raw: u16) -> bool:
    return Control(raw).mode == Mode.ON


@fn
def member(raw: u8) -> bool:
    return Color(raw) == Color.RED


@fn
def choose(raw: Ptr[Raw]) -> u8:
    chosen: u8 = 0
    match raw.color:
        case Color.RED:
            chosen = 1
        case Color.GREEN:
            chosen = 2
    return chosen


@fn
def call(raw: Ptr[Raw]) -> u8:
    return raw.operation(1) + operation(1)


@fn
def not_none(pointer: Ptr[u8] | None, other: Ptr[u8] | None) -> bool:
    return some(pointer) == other


@fn
def bounded_while(n: u32) -> u32:
    done: u32 = 0
    while bounded(done < n, 5):
        done += 1
    return done


@fn
def bounded_for(n: u32) -> u32:
    done: u32 = 0
    for _ in bounded(range(n), 5):
        done += 1
    return done


@fn
def asserted(n: u32) -> u32:
    assert n < 5, "n is below five"
    return n


@fn
def stopped(n: u32) -> u32:
    if n > 4:
        panic("four at most")
    return n


SCALARS = [
    *arithmetic(),
    *conversions(),
    ("index of an array", index_array, (4,), "index out of bounds"),
    ("index of a view", index_view, (4,), "index out of bounds"),
    ("index of a result", index_result, (4,), "index out of bounds"),
    ("slice that begins after its end", part, (3, 2), "slice out of bounds"),
    ("slice beyond the end", part, (3, 5), "slice out of bounds"),
    ("bit field written", set_field, (32,), "does not fit the 5 bits of level"),
    ("bit field read", get_field, (1 << 5,), "not a member of Mode"),
    ("member of an enum", member, (2,), "not a member of Color"),
    ("rounds of while", bounded_while, (6,), "more than 5 rounds of `while`"),
    ("rounds of for", bounded_for, (6,), "more than 5 rounds of `for _`"),
    ("assert", asserted, (5,), "n is below five"),
    ("panic", stopped, (5,), "four at most"),
]


class Timer:
    """A device that takes every access."""

    def read(self, offset: int, width: int) -> int:
        return 0

    def write(self, offset: int, width: int, value: int) -> None:
        raise AssertionError


def raw(color: int, operation: int):
    """A struct whose bytes no kernel code would write."""
    made = host(Raw, {"color": Color.RED, "operation": same})
    ctypes.c_uint8.from_address(made.address).value = color
    ctypes.c_uint64.from_address(made.address + 8).value = operation
    return made


MEMORY = [
    ("match", choose, (raw(2, 1),), "match: the value is no Color"),
    ("function pointer", call, (raw(0, 2),), "the pointer is no Operation"),
    ("some", not_none, (None, host(u8)), "is None"),
    ("index of registers", index_registers, (Timer(), 4095), "index out of bounds"),
]
RULES = SCALARS + MEMORY
FUNCTIONS = list(dict.fromkeys([same, *(function for _, function, _, _ in RULES)]))


def replaced(text: str, old: str, new: str) -> str:
    assert old in text, old
    return text.replace(old, new)


def with_a_switch(text: str) -> str:
    """Generated C, in which a check whose site is `kp_drop` is not made, nor the machine's own traps."""
    runtime = (ROOT / "kernel" / "lang" / "runtime.h").read_text()
    panicking = "_Noreturn void kernel_panic("
    runtime = replaced(runtime, panicking, "PanicSite *kp_drop;\n" + panicking)
    runtime = replaced(runtime, "return index;", "return index < length ? index : 0;")
    for rest in ("/", "%"):
        runtime = runtime.replace(f"a {rest} b", f"a {rest} (b == 0 || (b + 1 == 0 && a != 1) ? (b - b + 1) : b)")
    quiet = '#pragma clang diagnostic ignored "-Weverything"\n'
    text = quiet + replaced(text, '#include "runtime.h"\n', runtime)
    rounds = r"if \(KP_UNLIKELY\((t\d+\+\+ == \w+)\)\) kernel_panic\((KP_SITE\(\d+\))"
    text = re.sub(rounds, r"if ((\1) && \2 != kp_drop) kernel_panic(\2 ", text)
    text = text.replace("if (KP_UNLIKELY(", "if (site != kp_drop && KP_UNLIKELY(")
    text = re.sub(
        r"^( *(?:else )?)kernel_panic\((KP_SITE\(\d+\)),", r"\1if (\2 != kp_drop) kernel_panic(\2,", text, flags=re.M
    )
    text = re.sub(r"default:\s+(kernel_panic\(site, (\w+), 0\);)", r"default: if (site != kp_drop) \1 return 0;", text)
    return text


@pytest.fixture(scope="module")
def library():
    """All rules, with the switch."""
    compile_c = build.compile_c
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "compile_c", lambda text, *a, **k: compile_c(with_a_switch(text), *a, **k))
        yield native.Library(compile_program(FUNCTIONS))


@pytest.fixture(scope="module")
def calls(library):
    """The native functions by their kernel function."""
    return {function: library.callable(function) for function in FUNCTIONS}


def broken(calls, rule) -> bool:
    """Whether the call panics as the rule says."""
    _, function, arguments, text = rule
    try:
        calls[function](*arguments)
    except KernelPanic as stop:
        assert text in stop.text, rule
        return True
    return False


def test_every_broken_rule_is_a_panic():
    """Of the library that users get."""
    made = native.Library(compile_program(FUNCTIONS))
    calls = {function: made.callable(function) for function in FUNCTIONS}
    assert [rule[0] for rule in RULES if not broken(calls, rule)] == []


def test_without_its_check_a_broken_rule_is_none(library, calls):
    drop = ctypes.c_void_p.in_dll(library.library, "kp_drop")
    sites = []
    for rule in RULES:
        assert broken(calls, rule), rule
        sites.append(ctypes.cast(library.state.site, ctypes.c_void_p).value)
    for rule, site in zip(RULES, sites, strict=True):
        drop.value = site
        assert not broken(calls, rule), f"{rule[0]}: a panic without its check"
        others = [other for other, place in zip(RULES, sites, strict=True) if place != site]
        assert all(broken(calls, other) for other in others[::20]), f"{rule[0]}: other checks went with it"
    drop.value = None


def test_every_check_of_the_emitter_has_a_rule_here(monkeypatch):
    """Each place that asks for a panic's site is reached by these programs."""
    wanted = set()
    for path in (ROOT / "kernel" / "lang").glob("emit_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "self.emitter.site":
                wanted |= {(path.name, node.lineno)}
    reached = set()
    site = Emitter.site

    def noting(self, *arguments, **named):
        code = sys._getframe(1)
        reached.add((code.f_code.co_filename.rsplit("/", 1)[1], code.f_lineno))
        return site(self, *arguments, **named)

    monkeypatch.setattr(Emitter, "site", noting)
    Emitter(compile_program(FUNCTIONS), native=True).emit()
    assert len(wanted) > 10 and wanted <= reached


@pytest.mark.parametrize("target", [name for name in harness.TARGETS if name.endswith("-machine")])
def test_machines_panic_with_the_line_and_the_values(target, tmp_path):
    if harness.missing(target):
        pytest.skip(harness.missing(target))
    cases = [(function, arguments) for _, function, arguments, _ in SCALARS]
    want = harness.in_evaluator(cases)
    assert {result[0] for result in want} == {"panic"}
    assert not harness.difference(cases, want, harness.on_target(target, cases, output=tmp_path / "image"))
