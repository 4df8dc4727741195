"""Host-native calls: what kernel code computes, what Python sees of it, and how panics arrive."""

import enum as python_enum
from enum import IntEnum

import pytest

from kernel.lang import (
    Array,
    Bits,
    KernelPanic,
    Ptr,
    Span,
    Str,
    View,
    bitfield,
    bounded,
    byteswap,
    clz,
    constant,
    copy,
    ctz,
    enum,
    exact,
    fn,
    function_pointer,
    handle,
    host,
    i8,
    i32,
    i64,
    offset_of,
    panic,
    popcount,
    ptr,
    size_of,
    some,
    span,
    struct,
    trunc,
    u8,
    u16,
    u32,
    u64,
    usize,
    variable,
    view,
    w8,
    w16,
    w32,
)

LIMIT = 40
ticks = variable(u64, 5)
squares = constant(Array[u16, 8], [n * n for n in range(8)])
Thread = handle("Thread", u32)
Port = handle("Port", u32)


@enum(u8)
class Color(IntEnum):
    RED = 0
    GREEN = 1
    BLUE = 4


@enum(2)
class Mode(python_enum.Enum):
    OFF = 0
    SLOW = 1
    FAST = 2


@bitfield(u32)
class Control:
    enable: bool
    mode: Mode
    divider: Bits[12]
    rest: Bits[17]


@struct
class Inner:
    a: u8
    b: u64
    c: u8


@struct
class Node:
    value: u32
    color: Color
    inner: Inner
    next: Ptr["Node"] | None
    table: Array[u16, 3]
    control: Control


Operation = function_pointer("Operation", [u64, u64], u64)


@fn
def add_values(a: u64, b: u64) -> u64:
    return a + b


@fn
def multiply(a: u64, b: u64) -> u64:
    return a * b


operations = constant(Array[Operation, 2], [add_values, multiply])
current = variable(Operation, multiply)


@fn
def choose(which: usize, a: u64, b: u64) -> u64:
    return operations[which](a, b)


@fn
def call_current(a: u64, b: u64) -> u64:
    return current(a, b)


@fn
def tick(n: u64) -> u64:
    global ticks
    ticks += n
    return ticks


@fn
def sum_list(first: Ptr[Node] | None) -> u64:
    total: u64 = 0
    node = first
    while bounded(node is not None, 10):
        total += u64(some(node).value)
        node = some(node).next
    return total


@fn
def fill(node: Ptr[Node], seed: u32) -> None:
    node.value = seed
    node.color = Color.BLUE
    node.inner.b = u64(seed) * 2
    for i in range(3):
        node.table[i] = trunc(seed, u16) + trunc(i, u16)
    node.control.enable = True
    node.control.divider = 100
    node.control.mode = Mode.FAST
    node.control.divider += 1


@fn
def read_control(raw: u32) -> u32:
    control = Control(raw)
    if control.enable and control.mode == Mode.FAST:
        return u32(control.divider)
    return 0


@fn
def make_control(divider: u16) -> u32:
    return u32(Control(enable=True, divider=divider, mode=Mode.SLOW))


@fn
def set_divider(divider: u16) -> Control:
    control = Control(0)
    control.divider = divider
    return control


@fn
def checksum(data: View[u8]) -> w16:
    total: w16 = 0
    for i in bounded(range(len(data)), 4096):
        total = (total << 1) + w16(data[i])
    return total


@fn
def reverse(data: Span[u8]) -> None:
    n = len(data)
    for i in bounded(range(n // 2), 64):
        old = data[i]
        data[i] = data[n - 1 - i]
        data[n - 1 - i] = old


@fn
def middle(data: Span[u8], start: usize, stop: usize) -> Span[u8]:
    return data[start:stop]


@fn
def text_byte(i: usize) -> u8:
    text: Str = "héllo"
    return text[i]


@fn
def text_length(text: Str) -> usize:
    return len(text) + len(LIMIT_TEXT)


LIMIT_TEXT = "four"


@fn
def classify(color: Color) -> u32:
    match color:
        case Color.RED:
            return 1
        case Color.GREEN | Color.BLUE:
            return 2


@fn
def classify_number(n: u32) -> u32:
    match n:
        case 1 | 2 | 3:
            result: u32 = 10
        case 4:
            result = 20
        case _:
            result = 30
    return result


@fn
def color_of(raw: u8) -> Color:
    return Color(raw)


@fn
def next_thread(thread: Thread) -> Thread:
    return Thread(u32(thread) + 1)


@fn
def floor_division(a: i8, b: i8) -> i8:
    return a // b


@fn
def floor_modulo(a: i8, b: i8) -> i8:
    return a % b


@fn
def shift(a: u8, n: u8) -> u8:
    return a << n


@fn
def narrow(a: i64) -> u8:
    return exact(a, u8)


@fn
def bits_of(x: u16) -> u32:
    return u32(clz(x)) * 10000 + u32(ctz(x)) * 100 + u32(popcount(x))


@fn
def swap(x: u32) -> u32:
    return byteswap(x)


@fn
def make_inner(a: u8) -> Inner:
    return Inner(a=a, b=u64(a) << 8)


@fn
def use_inner(a: u8) -> u64:
    inner = make_inner(a)
    other = Inner(c=1)
    copy(other, inner)
    copy(other, make_inner(a + 1))
    return inner.b + other.b


@fn
def stop_it(n: u32) -> u32:
    assert n < 100, "n must be below 100"
    if n == 7:
        panic("seven is right out")
    return n


@fn
def absolute(a: i32) -> i32:
    return -a if a < 0 else a


@fn
def extremes(a: i32, b: i32) -> i32:
    return max(a, b) - min(a, b)


@fn
def sizes() -> usize:
    return size_of(Inner) * 100 + offset_of(Inner, "c")


@fn
def sum_elements(values: Ptr[Array[u32, 4]]) -> u32:
    total: u32 = 0
    for value in values:
        total += value
    return total


@fn
def bump_nodes(nodes: Ptr[Array[Inner, 3]]) -> None:
    for node in nodes:
        node.a += 1


@fn
def count_down(start: u8) -> u32:
    total: u32 = 0
    for i in bounded(range(start, 0, -3), 100):
        total = total * 10 + u32(i)
    return total


@fn
def increment(cell: Ptr[u32]) -> None:
    cell.value += 1


@fn
def twice_incremented(n: u32) -> u32:
    local = n
    increment(ptr(local))
    increment(ptr(local))
    return local


@fn
def early(n: u32) -> u32:
    total: u32 = 0
    for i in range(u32(100)):
        if i == 3:
            continue
        if i >= n:
            break
        total += i
    return total


@fn
def ordered(log: Ptr[Array[u8, 4]]) -> u32:
    return note(log, 1) * 10 + note(log, 2)


@fn
def note(log: Ptr[Array[u8, 4]], n: u8) -> u32:
    log[0] += 1
    log[usize(log[0])] = n
    return u32(n)


@fn
def whole_view(data: Ptr[Array[u8, 4]]) -> w16:
    return checksum(view(data)) + checksum(view(span(data)[1:3]))


def make_maximum(T):
    """A generic: a Python function that returns kernel functions."""

    @fn
    def maximum(a: T, b: T) -> T:
        result: T = a
        if b > a:
            result = b
        return result

    return maximum


max8, max32 = make_maximum(u8), make_maximum(i32)


@fn
def use_generic(a: u8, b: i32) -> i32:
    return i32(max8(a, 3)) + max32(b, -5)


def make_pair(T):
    @struct
    class Pair:
        first: T
        second: T

    return Pair


Pair16 = make_pair(u16)


@fn
def sum_pair(pair: Ptr[Pair16]) -> u16:
    return pair.first + pair.second


def node(**fields):
    return Node(**fields)


def test_arithmetic_and_constants():
    assert add_values(3, 4) == 7
    assert floor_division(-7, 2) == -4 and floor_modulo(-7, 2) == 1
    assert floor_division(7, -2) == -4 and floor_modulo(7, -2) == -1
    assert floor_modulo(-128, -1) == 0
    assert absolute(-5) == 5 and extremes(-3, 9) == 12
    assert bits_of(0x0010) == 11 * 10000 + 4 * 100 + 1
    assert bits_of(0) == 161600
    assert swap(0x11223344) == 0x44332211
    assert shift(0x81, 1) == 2
    assert count_down(7) == 741


@pytest.mark.parametrize(
    ("call", "text", "values"),
    [
        (lambda: add_values(2**64 - 1, 1), "`a + b` overflows u64", (2**64 - 1, 1)),
        (lambda: floor_division(-128, -1), "divides by zero or overflows", (-128, -1)),
        (lambda: floor_modulo(1, 0), "divides by zero", (1, 0)),
        (lambda: shift(1, 8), "`a << n` shifts past the width of u8", (1, 8)),
        (lambda: narrow(-1), "does not fit u8", (-1,)),
        (lambda: choose(2, 1, 1), "index out of bounds", (2, 2)),
        (lambda: color_of(3), "not a member of Color", (3,)),
        (lambda: make_control(4096), "does not fit the 12 bits of divider", (4096, 4095)),
        (lambda: stop_it(7), "seven is right out", ()),
        (lambda: stop_it(100), "n must be below 100", ()),
        (lambda: checksum(bytes(5000)), "more than 4096 rounds", (5000,)),
        (lambda: middle(bytearray(4), 3, 5), "slice out of bounds", (3, 5)),
        (lambda: middle(bytearray(4), 3, 2), "slice out of bounds", (3, 2)),
        (lambda: text_byte(6), "index out of bounds", (6, 6)),
        (lambda: absolute(-(2**31)), "overflows i32", (0, -(2**31))),
    ],
)
def test_panic_is_an_exception_with_text_values_file_and_line(call, text, values):
    with pytest.raises(KernelPanic) as caught:
        call()
    assert text in caught.value.text
    assert caught.value.values == values
    assert caught.value.file == "tests/kernel/lang/test_native.py"
    source = open(__file__).read().splitlines()[caught.value.line - 1]
    assert f"def {caught.value.function}(" not in source and source.startswith("    ")


def test_panic_traceback_shows_the_kernel_line():
    with pytest.raises(KernelPanic) as caught:
        add_values(2**64 - 1, 1)
    last = caught.traceback[-1]
    assert str(last.path).endswith("test_native.py") and "return a + b" in str(last.statement)


def test_arguments_are_checked():
    for bad in (-1, 256, True, "1", None, 1.0):
        with pytest.raises((TypeError, ValueError)):
            shift(bad, 1)
    with pytest.raises(TypeError):
        classify(1)
    with pytest.raises(TypeError):
        fill(Inner(a=1), 1)
    with pytest.raises(TypeError):
        fill(None, 1)


def test_structs_are_python_objects():
    n = node(value=1, color=Color.GREEN)
    fill(n, 500)
    assert (n.value, n.color, n.inner.b, list(n.table)) == (500, Color.BLUE, 1000, [500, 501, 502])
    assert n.control == 1 | 2 << 1 | 101 << 3
    n.inner.a = 9
    assert n.inner.a == 9 and n.inner == Inner(a=9, b=1000)
    with pytest.raises(ValueError):
        n.value = 2**32
    with pytest.raises(AttributeError):
        n.valeu = 1
    with pytest.raises(IndexError):
        n.table[3]


def test_pointers_may_be_none_only_where_declared():
    first = node(value=1, next=node(value=2, next=node(value=40)))
    assert sum_list(first) == 43
    assert sum_list(None) == 0
    first.next.next.next = first
    with pytest.raises(KernelPanic, match="more than 10 rounds"):
        sum_list(first)


def test_module_variables_are_shared_with_python():
    ticks.value = 10
    assert tick(5) == 15 and ticks.value == 15


def test_function_pointers():
    assert choose(0, 3, 4) == 7 and choose(1, 3, 4) == 12
    assert call_current(5, 6) == 30
    current.value = add_values
    assert call_current(5, 6) == 11
    current.value = multiply


def test_bit_fields():
    assert read_control(1 | 2 << 1 | 77 << 3) == 77 and read_control(0) == 0
    assert make_control(5) == 1 | 1 << 1 | 5 << 3
    assert set_divider(3) == Control(divider=3) == 24
    with pytest.raises(KernelPanic, match="not a member of Mode"):
        read_control(1 | 3 << 1)


def test_spans_and_text():
    assert checksum(b"\x01\x02\x03") == 4 + 4 + 3
    data = bytearray(b"abcde")
    reverse(data)
    assert data == b"edcba"
    assert bytes(middle(data, 1, 3)) == b"dc"
    assert [text_byte(i) for i in range(6)] == list("héllo".encode())
    assert text_length("abc") == 7
    array = host(Array[u8, 4], [1, 2, 3, 4])
    assert whole_view(array) == checksum(bytes([1, 2, 3, 4])) + checksum(bytes([2, 3]))


def test_match_enums_and_handles():
    assert [classify(c) for c in Color] == [1, 2, 2]
    assert [classify_number(n) for n in (1, 3, 4, 5)] == [10, 10, 20, 30]
    assert color_of(4) is Color.BLUE
    assert next_thread(41) == 42


def test_struct_results_and_copies():
    assert make_inner(3) == Inner(a=3, b=0x300)
    assert use_inner(3) == 0x300 + 0x400
    assert sizes() == 24 * 100 + 16


def test_loops():
    assert sum_elements(host(Array[u32, 4], [1, 2, 3, 4])) == 10
    inners = host(Array[Inner, 3])
    bump_nodes(inners)
    assert [i.a for i in inners] == [1, 1, 1]
    assert early(6) == 1 + 2 + 4 + 5
    assert twice_incremented(5) == 7


def test_calls_happen_left_to_right():
    log = host(Array[u8, 4])
    assert ordered(log) == 12 and list(log) == [2, 1, 2, 0]


def test_generics_are_python_functions():
    assert use_generic(9, -7) == 4
    assert max8(200, 100) == 200 and max32(-1, -2) == -1
    assert sum_pair(Pair16(first=1, second=2)) == 3


@fn
def wrapping(a: w8, b: w8) -> w8:
    return a * b - w8(1)


@fn
def wrapping16(a: w16) -> w16:
    return a * a + -a


@fn
def wide(a: u32) -> w32:
    return w32(a) * 0x9E3779B1


def test_wrapping_types_wrap():
    assert wrapping(200, 3) == (200 * 3 - 1) % 256
    assert wrapping(0, 0) == 255
    assert wrapping16(0xFFFF) == 2
    assert wide(12345) == 12345 * 0x9E3779B1 % 2**32
