"""Strange programs that are right: what a stranger writes, computed as Python's rules say, with C that does not warn.

One module, so that it is compiled once for the host (on import of the first result) and once for each target.
"""

import importlib.util
import keyword
import sys
from enum import IntEnum

import pytest

from kernel.lang import (
    Array,
    Bits,
    KernelPanic,
    Ptr,
    Str,
    bitfield,
    build,
    constant,
    enum,
    fn,
    ptr,
    struct,
    trunc,
    u8,
    u32,
    u64,
    usize,
    variable,
)
from kernel.lang.declare import functions_by_module
from tests.kernel.lang import harness


@enum(3)
class Three(IntEnum):
    A = 0
    B = 1
    C = 7


@bitfield(u64)
class Edge:
    low: Bits[63]
    top: bool


@bitfield(u64)
class Crowd:
    a: Bits[31]
    b: Bits[2]
    e: Three
    c: Bits[28]


@struct
class Small:
    a: u32
    b: Array[u8, 3]


flag = variable(bool)
level = variable(u32)
place = variable(Small)
WORDS = constant(Array[Str, 3], ["a", "bc", ""])
ODD = 'a\0b"\\\n\r\t\x7f\u00e9??=/*x*/%s\u4e2d\U0001f600'


@fn
def edge(raw: u64) -> u64:
    bits = Edge(raw)
    bits.top = not bits.top
    bits.low = bits.low ^ 1
    return u64(bits)


@fn
def crowd(raw: u64, b: u8) -> u64:
    bits = Crowd(raw)
    bits.b = b
    bits.e = Three.C
    bits.c += 1
    return u64(bits)


@fn
def make(a: u32) -> Small:
    return Small(a=a, b=[1, 2, trunc(a, u8)])


@fn
def part_of_a_result(a: u32) -> u8:
    return make(a).b[a]


@fn
def perhaps(a: u32) -> Ptr[Small] | None:
    return ptr(place) if a > 1 else None


@fn
def is_there(a: u32) -> bool:
    found = None if a > 5 else perhaps(a)
    return found is not None


@fn
def odd(i: usize) -> u8:
    return ODD[i]


@fn
def letters() -> u8:
    return ODD[2] + ODD[1:][0]


@fn
def word(i: usize) -> usize:
    return len(WORDS[i])


@fn
def true_whatever(a: u8) -> bool:
    big = a > 3
    first = (big or not big) and not (big and not big) and ((not big) == (a <= 3))
    second = (flag or not flag) and (level > 3 and level < 2 or level >= 0) and (a <= 255 or a == a)
    return (first and second) & (a >= 0) & ((a | 1) != 0) | (a == a + 0)


@fn
def wider_than_lines(a: u32) -> u32:
    return (a +
            4_294_967_290 +
            a)  # fmt: skip


@fn
def größer(µ: u32) -> u32:
    größe: u32 = µ + 1
    return größe


PROGRAMS = [
    (edge, (0,), 1 << 63 | 1),
    (edge, (2**64 - 1,), 2**63 - 2),
    (crowd, (0, 3), 3 << 31 | 7 << 33 | 1 << 36),
    (crowd, (2**63 - 1, 2), 2**63 - 1 - (1 << 31) + (1 << 36)),
    (crowd, (2**64 - 1, 2), "does not fit the 28 bits of c"),
    (part_of_a_result, (2,), 2),
    (part_of_a_result, (3,), "index out of bounds"),
    (is_there, (1,), 0),
    (is_there, (2,), 1),
    (is_there, (6,), 0),
    *((odd, (i,), byte) for i, byte in enumerate(ODD.encode())),
    (odd, (len(ODD.encode()),), "index out of bounds"),
    (letters, (), ord("b")),
    (word, (1,), 2),
    (word, (2,), 0),
    *((true_whatever, (a,), 1) for a in (0, 3, 4, 254)),
    (wider_than_lines, (2,), 4_294_967_294),
    (wider_than_lines, (3,), "overflows u32"),
    (größer, (1,), 2),
]


def test_results_are_what_python_gives():
    for function, arguments, want in PROGRAMS:
        if isinstance(want, str):
            with pytest.raises(KernelPanic, match=want):
                function(*arguments)
        else:
            assert function(*arguments) == want, (function, arguments)


def test_the_evaluator_and_the_host_agree():
    cases = [(function, arguments) for function, arguments, _ in PROGRAMS]
    assert not harness.difference(cases, harness.in_evaluator(cases), harness.on_host(cases))


@pytest.mark.parametrize("arch", build.TARGETS)
def test_targets_compile_them_without_a_warning(arch):
    build.build_object(functions_by_module[__name__], arch)


# Names that mean something in C, in its headers, in runtime.h or in what the emitter makes.
NAMES = """
    add_u32 kp_index kp_some KP_SITE kernel_panic kp_rounds int double main t1 t2 e data length site a0
    INT64_MIN UINT8_MAX INT8_MIN asm inline _Bool __func__ NULL memcpy unix linux at_View_u8 exact_u8_from_i64
    Str PanicSite kp_site_0
    kp_state KP_UNLIKELY setjmp longjmp _longjmp jmp_buf signed typeof _Static_assert _Noreturn sizeof offsetof
    size_t __LINE__ KERNEL_NATIVE result call_F min_u32 Array_u8_4 kp_mmio_read NDEBUG int32_t
    __asm__ __attribute__ __STDC__
    local_int
    register volatile auto goto switch case do extern union typedef enum char const void _Complex _Atomic _Generic
    field_int Named row module__function é
""".split()
PROGRAM = """
@struct
class {type}:
    {field}: u32
    int: u8

@fn
def inner_{n}({name}: u32, other: u8) -> u32:
    row_ = {type}(int=1)
    row_.{field} = {name} + 1
    table = zero(Array[u8, 4])
    table[u64(other)] = exact(i64(other), u8)
    whole = view(table)
    return min({name} * 2, 7) + row_.{field} + u32(whole[u64(other)]) + u32(row_.int)

@fn
def outer_{n}(x: u32, other: u8) -> u32:
    {name}: u32 = x + 1
    for _ in bounded(range({name}), 9):
        {name} += x
    return {name} - x + inner_{n}({name}, other)
"""


def test_no_name_of_the_source_is_a_name_of_c(tmp_path):
    text = "from kernel.lang import *\n"
    for n, name in enumerate(NAMES):
        assert not keyword.iskeyword(name)
        field = "int_" if name == "int" else name.lstrip("_") + "_" if name.startswith("__") else name
        text += PROGRAM.format(n=n, name=name, field=field, type=NAMES[n - 1])
    path = tmp_path / "names.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location("strange_names", path)
    assert spec is not None and spec.loader is not None
    module = sys.modules["strange_names"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    outer = [getattr(module, f"outer_{n}") for n in range(len(NAMES))]
    cases = [(function, (2, 3)) for function in outer]
    assert harness.in_evaluator(cases) == harness.on_host(cases) == [("ok", 28)] * len(cases)
    build.build_object(outer, "riscv64")


def test_only_a_pointer_may_be_none():
    with pytest.raises(TypeError, match=r"u8 \| None: only a Ptr may be None"):
        _ = u8 | None
