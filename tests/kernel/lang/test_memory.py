"""Variables with a place, external memory, volatile accesses, sanitizer builds, the cost of a call."""

import ctypes
import gc
import os
import shutil
import subprocess
import sys
import time

import pytest
from elftools.elf.elffile import ELFFile

from kernel.lang import (
    Array,
    KernelPanic,
    Ptr,
    Str,
    address_of,
    bounded,
    build,
    external,
    fn,
    host,
    native,
    ptr,
    read_volatile,
    some,
    struct,
    u8,
    u32,
    u64,
    usize,
    variable,
    view,
    write_volatile,
)
from kernel.lang.errors import ROOT
from rtl.registers import ns16550

page_table = variable(Array[u64, 512], align=4096, section=".bss.tables", symbol="root_table")
boot_count = variable(u32, 7)
image_end = external(u8, "image_end")


@struct
class Ring:
    head: u32
    tail: u32


@fn
def set_entry(index: usize, value: u64) -> usize:
    page_table[index] = value
    return address_of(ptr(page_table)) & 0xFFF


@fn
def end_of_image() -> usize:
    return address_of(ptr(image_end))


@fn
def count_boot() -> u32:
    global boot_count
    boot_count += 1
    return boot_count


@fn
def wait_for_tail(ring: Ptr[Ring]) -> bool:
    for _ in range(3):
        if read_volatile(ptr(ring.tail)) != ring.head:
            write_volatile(ptr(ring.head), ring.head + 1)
            return True
    return False


@fn
def add(a: u64, b: u64) -> u64:
    return a + b


@fn
def nothing() -> None:
    pass


def test_aligned_variables():
    assert set_entry(3, 0x1234) == 0
    assert page_table.value[3] == 0x1234
    with pytest.raises(ValueError, match="power of two, not 3"):
        variable(u8, align=3)


@pytest.mark.parametrize("arch", build.TARGETS)
def test_sections_symbols_and_external_memory(arch):
    made = build.build_object([set_entry, end_of_image, count_boot], arch)
    with made.path.open("rb") as file:
        elf = ELFFile(file)
        symbols = {s.name: s for s in elf.get_section_by_name(".symtab").iter_symbols()}
        table = elf.get_section(symbols["root_table"]["st_shndx"])
        assert table.name == ".bss.tables" and table["sh_addralign"] == 4096
        assert symbols["image_end"]["st_shndx"] == "SHN_UNDEF"


def test_variables_start_with_their_initial_value():
    boot_count.value = 7
    assert count_boot() == 8 and boot_count.value == 8


title = variable(Str, "boot")
first = variable(Ptr[Ring] | None)


@fn
def title_length() -> usize:
    return len(title)


@fn
def first_head() -> u32:
    return some(first).head


def test_what_a_variable_points_at_stays_alive():
    assert title_length() == 4
    title.value = "a longer title " * 20
    first.value = Ring(head=77)
    gc.collect()
    _ = [bytearray(300) for _ in range(1000)]
    assert title_length() == 300 and title.value.endswith("title ") and first_head() == 77


@fn
def clear_scratch(uart: Ptr[ns16550.Registers] | None) -> bool:
    if uart is None:
        return False
    some(uart).scr.write(0)
    return True


def test_a_register_block_may_be_none():
    class Device:
        def read(self, offset, width):
            raise AssertionError

        def write(self, offset, width, value):
            self.last = (offset, width, value)

    device = Device()
    assert clear_scratch(device) and device.last == (7, 8, 0)
    assert not clear_scratch(None)
    build.build_object([clear_scratch], "riscv64")


def test_volatile_accesses_are_made_each_time():
    ring = Ring(head=1, tail=1)
    assert not wait_for_tail(ring)
    ring.tail = 2
    assert wait_for_tail(ring) and ring.head == 2
    assert build.build_object([wait_for_tail], "riscv64").c_text.count("(volatile u32 *)") == 2


def test_a_call_costs_little_more_than_any_call_of_c():
    """The bar is 2 µs on an idle machine; how fast this one is now says a bare call through ctypes beside it."""
    add(1, 2)
    bare = ctypes.CDLL(None).abs
    ours = min(_time(lambda: [add(1, 2) for _ in range(10_000)]) for _ in range(7)) / 10_000
    plain = min(_time(lambda: [bare(1) for _ in range(10_000)]) for _ in range(7)) / 10_000
    print(f"{ours * 1e6:.2f} µs a call, {plain * 1e6:.2f} µs a bare one")
    assert ours < 8 * plain


def _time(run):
    start = time.process_time()
    run()
    return time.process_time() - start


def test_undefined_behaviour_is_an_exception_in_sanitized_builds(monkeypatch):
    @fn
    def shift(a: u64, b: u64) -> u64:
        return a + b

    compile_c = build.compile_c

    def compile_wrong_c(text, *arguments, **options):
        """Generated C has no undefined behaviour; this makes some."""
        wrong = text.replace("return add_u64(a, b, KP_SITE(0))", "return (void)kp_site_0, (u64)((int)a << (int)b)")
        assert wrong != text
        return compile_c(wrong, *arguments, **options)

    monkeypatch.setattr(build, "compile_c", compile_wrong_c)
    native.configure(sanitize="undefined")
    try:
        assert shift(1, 2) == 4
        with pytest.raises(native.UndefinedBehaviour, match="shift out of bounds"):
            shift(1, 40)
        assert shift(1, 3) == 8
        monkeypatch.undo()
        with pytest.raises(KernelPanic):
            add(2**64 - 1, 1)
    finally:
        native.configure(sanitize="")
    with pytest.raises(ValueError, match="sanitize must be"):
        native.configure(sanitize="thread")
        add(1, 2)
    native.configure(sanitize="")


def test_address_sanitizer_needs_its_runtime(monkeypatch):
    monkeypatch.delenv("LD_PRELOAD", raising=False)
    with pytest.raises(build.ToolError, match="libasan"):
        native.configure(sanitize="address")


ASAN_PROGRAM = """
import sys
from kernel.lang import fn, host, build, native, u8, Array, Ptr
from tests.kernel.lang.test_memory import checksum

compile_c = build.compile_c
if "wrong" in sys.argv:
    build.compile_c = lambda text, *a, **k: compile_c(text.replace("return total;", "return data->e[40];"), *a, **k)
native.configure(sanitize="address")
print("sum", checksum(host(Array[u8, 16], list(range(16)))))
"""


@fn
def checksum(data: Ptr[Array[u8, 16]]) -> u32:
    part = view(data)[4:8]
    total: u32 = 0
    for i in bounded(range(len(part)), 16):
        total += u32(part[i])
    return total


def run_under_asan(*arguments):
    if shutil.which("gcc") is None:
        pytest.skip("gcc is missing: install gcc for libasan")
    asan = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True).stdout
    environment = {"LD_PRELOAD": asan.strip(), "ASAN_OPTIONS": "detect_leaks=0", "PYTHONMALLOC": "malloc"}
    command = [sys.executable, "-c", ASAN_PROGRAM, *arguments]
    return subprocess.run(command, env=os.environ | environment, cwd=ROOT, capture_output=True, text=True, check=False)


def test_address_sanitizer_builds_run():
    run = run_under_asan()
    assert run.stdout == "sum 22\n", run.stderr


def test_address_sanitizer_finds_an_access_beyond_its_object():
    """Generated C checks every index; this one is made wrong on purpose."""
    run = run_under_asan("wrong")
    assert run.returncode and "AddressSanitizer: heap-buffer-overflow" in run.stderr, run.stderr


def test_host_memory_of_any_type():
    cell = host(u32, 5)
    cell.value += 1
    assert cell.value == 6 and checksum(host(Array[u8, 16], [1] * 16)) == 4
    assert checksum(bytearray(range(16))) == 22
    with pytest.raises(ValueError, match="15 bytes for"):
        checksum(bytearray(15))
