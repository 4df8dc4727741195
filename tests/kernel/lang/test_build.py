"""Freestanding objects, the cache, debug information, panics in Kernel Python, stack depth."""

import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Never

import capstone
import pytest
from elftools.elf.elffile import ELFFile

from kernel.lang import (
    Array,
    CompileError,
    PanicSite,
    Ptr,
    bounded,
    build,
    copy,
    fn,
    function_pointer,
    ptr,
    stack,
    u8,
    u32,
    u64,
    zero,
)
from kernel.lang.declare import assembly
from kernel.lang.errors import ROOT

ARCHES = list(build.TARGETS)
MACHINES = {"riscv64": "EM_RISCV", "x86_64": "EM_X86_64", "aarch64": "EM_AARCH64"}


@fn
def checksum(data: Ptr[Array[u8, 64]], n: u64) -> u32:
    total: u32 = 0
    for i in bounded(range(n), 64):
        total += u32(data[i])
    return total


@fn
def deep(n: u32) -> u32:
    scratch = zero(Array[u8, 256])
    index = u64(n & 0xFF)
    scratch[index] = 7
    return use(scratch_pointer=ptr_of(ptr(scratch)), index=index)


@fn
def ptr_of(p: Ptr[Array[u8, 256]]) -> Ptr[Array[u8, 256]]:
    return p


@fn
def use(scratch_pointer: Ptr[Array[u8, 256]], index: u64) -> u32:
    return u32(scratch_pointer[index])


@fn(symbol="kernel_panic")
def kernel_panic(site: Ptr[PanicSite], left: u64, right: u64) -> Never:
    while True:
        log(site.line, left + right)


@fn
def log(line: u32, value: u64) -> None:
    _ = u64(line) & value


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SPLAX_CACHE", str(tmp_path))
    return tmp_path / "kernel"


@pytest.mark.parametrize("arch", ARCHES)
def test_objects_are_freestanding_code_of_the_target(arch):
    made = build.build_object([checksum, kernel_panic], arch)
    with made.path.open("rb") as file:
        elf = ELFFile(file)
        assert elf["e_machine"] == MACHINES[arch] and elf["e_type"] == "ET_REL"
        symbols = {s.name: s for s in elf.get_section_by_name(".symtab").iter_symbols()}
        assert symbols["kernel_panic"]["st_info"]["bind"] == "STB_GLOBAL"
        missing = [n for n, s in symbols.items() if s["st_shndx"] == "SHN_UNDEF" and n]
        assert missing == []


@pytest.mark.parametrize("arch", ARCHES)
def test_line_tables_lead_to_the_python_source(arch, tmp_path):
    made = build.build_object([checksum, kernel_panic], arch)
    linked = build.link([made.path], arch, tmp_path / "linked", ["-e", "kernel_panic"])
    source = Path(__file__).read_text().splitlines()
    wanted = next(i for i, line in enumerate(source, 1) if "total += u32(data[i])" in line)
    with linked.open("rb") as file:
        dwarf = ELFFile(io.BytesIO(file.read())).get_dwarf_info()
        lines = set()
        for unit in dwarf.iter_CUs():
            program = dwarf.line_program_for_CU(unit)
            names = [f.name.decode() for f in program["file_entry"]]
            for entry in program.get_entries():
                if entry.state is not None:
                    first = 0 if program["version"] >= 5 else 1
                    lines.add((names[entry.state.file - first], entry.state.line))
    assert ("tests/kernel/lang/test_build.py", wanted) in {
        (n if "/" in n else f"tests/kernel/lang/{n}", line) for n, line in lines
    }


# Registers that the kernel does not save: vectors and floating point.
FORBIDDEN = {"riscv64": r"\bf[ats]\d+\b", "x86_64": r"[xyz]mm\d|\bst\(", "aarch64": r"\b[qvdsh]\d+\b"}


@pytest.mark.parametrize("arch", ARCHES)
def test_no_vector_or_floating_point_registers(arch):
    @fn
    def shuffle(a: Ptr[Array[u64, 16]], b: Ptr[Array[u64, 16]]) -> None:
        local = zero(Array[u64, 16])
        copy(local, a)
        for i in range(16):
            b[i] = b[i] ^ local[i]
        copy(a, b)

    disassembler = {
        "riscv64": lambda: capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV64 | capstone.CS_MODE_RISCVC),
        "x86_64": lambda: capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64),
        "aarch64": lambda: capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM),
    }[arch]()
    with build.build_object([shuffle], arch).path.open("rb") as file:
        code = [s.data() for s in ELFFile(file).iter_sections() if s["sh_flags"] & 4]
    text = [f"{i.mnemonic} {i.op_str}" for data in code for i in disassembler.disasm(data, 0)]
    assert len(text) > 20
    assert not [line for line in text if re.search(FORBIDDEN[arch], line)]


def test_unknown_architecture_is_refused():
    with pytest.raises(ValueError, match="unknown architecture 'm68k': use one of riscv64, x86_64, aarch64"):
        build.build_object([checksum], "m68k")


def test_missing_compiler_is_named(monkeypatch):
    build.compiler.cache_clear()
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(build.ToolError, match="pip install ziglang"):
        build.compiler()
    build.compiler.cache_clear()


def test_a_second_build_runs_no_compiler(cache, monkeypatch):
    first = build.build_object([checksum], "riscv64").path
    monkeypatch.setattr(build, "run_zig", lambda *a, **k: pytest.fail("compiled again"))
    assert build.build_object([checksum], "riscv64").path == first


@pytest.mark.parametrize("damage", ["content", "note", "both gone", "not text"])
def test_a_damaged_cache_entry_is_built_again(cache, damage):
    path = build.build_object([checksum], "riscv64").path
    good = path.read_bytes()
    note = path.with_name(path.name + ".sha256")
    if damage == "content":
        path.write_bytes(good[:100] + b"x" + good[101:])
    elif damage == "note":
        note.write_text("0" * 64)
    elif damage == "not text":
        note.write_bytes(b"\xff\xfe")
    else:
        path.unlink()
        note.unlink()
    again = build.build_object([checksum], "riscv64").path
    assert again == path and again.read_bytes() == good


def test_the_key_holds_captured_constants_flags_and_compiler(cache, monkeypatch):
    def make(limit):
        @fn
        def limited(n: u32) -> bool:
            return n < limit

        return limited

    paths = {build.build_object([make(n)], "riscv64").path for n in (3, 4)}
    paths.add(build.build_object([make(4)], "riscv64", optimize="-Os").path)
    build.compiler.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(build.metadata, "version", lambda name: "0.0.0")
        paths.add(build.build_object([make(4)], "riscv64").path)
    build.compiler.cache_clear()
    assert len(paths) == 4
    assert build.build_object([make(3)], "riscv64").path in paths


def test_output_is_reproducible(cache, tmp_path, monkeypatch):
    first = build.build_object([checksum, deep], "riscv64").path.read_bytes()
    monkeypatch.setenv("SPLAX_CACHE", str(tmp_path / "other"))
    assert build.build_object([checksum, deep], "riscv64").path.read_bytes() == first


def test_a_compiler_failure_shows_what_it_said(cache):
    with pytest.raises(build.ToolError, match="undeclared identifier 'nonsense'"):
        build.compile_c("int f(void) { return nonsense; }", ["-std=gnu11"], ".o")


@pytest.mark.parametrize("arch", ARCHES)
def test_stack_depth_covers_the_path(arch):
    made = build.build_object([deep], arch, optimize="-O0")
    (use_,) = stack.report(made)
    assert [name.rsplit("__", 1)[-1] for name, _ in use_.path][:2] in (["deep", "use"], ["deep", "ptr_of"])
    assert 256 < use_.bytes < 1024
    assert use_.bytes == sum(frame for _, frame in use_.path)
    assert "kernel_panic" in use_.external
    assert str(use_).startswith(f"{use_.entry}: {use_.bytes} bytes of stack: ")


def test_stack_depth_goes_through_function_pointers():
    Step = function_pointer("Step", [u32], u32)

    @fn
    def shallow(n: u32) -> u32:
        return n

    @fn
    def hungry(n: u32) -> u32:
        scratch = zero(Array[u8, 2048])
        scratch[u64(n)] = 1
        return use_big(ptr(scratch), n)

    @fn
    def use_big(scratch: Ptr[Array[u8, 2048]], n: u32) -> u32:
        return u32(scratch[u64(n)])

    @fn
    def run(n: u32) -> u32:
        step: Step = shallow
        if n > 3:
            step = hungry
        return step(n)

    (deepest,) = stack.report(build.build_object([run], "riscv64", optimize="-O0"))
    assert deepest.bytes > 2048


@pytest.mark.parametrize("arch", ARCHES)
def test_a_stack_that_does_not_fit_is_refused(arch):
    @fn(stack=128)
    def too_deep(n: u32) -> u32:
        scratch = zero(Array[u32, 256])
        for i in range(256):
            scratch[i] = n
        return look(ptr(scratch), n)

    @fn
    def look(scratch: Ptr[Array[u32, 256]], n: u32) -> u32:
        return scratch[u64(n)]

    @fn(stack=4096)
    def fits(n: u32) -> u32:
        return too_deep(n)

    with pytest.raises(CompileError) as caught:
        build.build_object([too_deep, fits], arch, optimize="-O0")
    assert caught.value.codes == ["K304"]
    text = str(caught.value)
    assert f"bytes on {arch}, too_deep has 128: " in text and "def too_deep(n: u32) -> u32:" in text


def arch_file(tmp_path, text):
    """A module in a folder that may hold assembly."""
    folder = tmp_path / "kernel" / "arch" / "any"
    folder.mkdir(parents=True)
    path = folder / "intrinsics.py"
    path.write_text(text)
    spec = build.importlib.util.spec_from_file_location("arch_intrinsics", path)
    module = build.importlib.util.module_from_spec(spec)
    sys.modules["arch_intrinsics"] = module
    spec.loader.exec_module(module)
    return module


ARCH_SOURCE = """
from kernel.lang import assembly, fn, pointer_at, u32, u64

@assembly("riscv64", "csrrs {result}, time, {mask}", clobbers=["memory"])
def read_time(mask: u64) -> u64:
    return 1000 + mask

@assembly("riscv64", "wfi")
def wait() -> None:
    raise InterruptedError("no interrupt in sight")

@fn
def later(mask: u64) -> u64:
    return read_time(mask) + read_time(0)

@fn
def sleep() -> None:
    wait()

@fn
def poke(value: u32) -> None:
    pointer_at(0x8000_0000, u32).value = value
"""


def test_assembly_runs_on_its_target_and_as_a_model_on_the_host(tmp_path):
    module = arch_file(tmp_path, ARCH_SOURCE)
    made = build.build_object([module.later, module.sleep, module.poke], "riscv64")
    assert "csrrs %[result], time, %[mask]" in made.c_text
    assert module.later(5) == 2005
    with pytest.raises(InterruptedError, match="no interrupt"):
        module.sleep()


def test_assembly_of_another_target_is_refused(tmp_path):
    module = arch_file(tmp_path, ARCH_SOURCE)
    with pytest.raises(CompileError) as caught:
        build.build_object([module.later], "aarch64")
    assert caught.value.codes == ["K107", "K107"]
    assert "read_time is riscv64 assembly, the target is aarch64" in str(caught.value)


def test_an_unknown_assembly_architecture_is_refused():
    with pytest.raises(ValueError, match="arch must be riscv64, x86_64 or aarch64, not 'vax'"):
        assembly("vax", "nop")


def test_generated_c_is_readable():
    text = build.build_object([checksum], "riscv64").c_text
    assert "total = add_u32(total, (u32)data->e[kp_index(i, 64, KP_SITE(" in text
    assert "#line" in text and '"tests/kernel/lang/test_build.py"' in text


def test_importing_kernel_lang_pulls_in_no_hardware_tools():
    code = "import sys, kernel.lang; sys.exit('amaranth' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_warning_in_generated_c_is_an_error(cache):
    """-Wall -Wextra are on for every image and library: whatever is built without an error was clean."""
    with pytest.raises(build.ToolError, match="unused variable 'nothing'"):
        build.compile_c("void f(void); void f(void) { int nothing; }", build.COMMON_FLAGS, ".o")
    with pytest.raises(build.ToolError, match="unused parameter 'nothing'"):
        build.compile_c("void f(int); void f(int nothing) { }", build.COMMON_FLAGS, ".o")


@pytest.mark.parametrize("arch", ARCHES)
def test_addresses_of_the_kernel_lead_to_lines_of_its_functions(arch):
    """As addr2line does: the address of a symbol in the linked image, in the DWARF line table."""
    from kernel import image

    elf_path = image.build(arch).elf
    wanted = {
        "kernel_banner__banner": "kernel/banner.py",
        "kernel_main__kernel_main": "kernel/main.py",
        "kernel_printing__put_decimal": "kernel/printing.py",
    }
    addresses = {image.Elf(elf_path.read_bytes()).symbols[name]: name for name in wanted}
    found = {}
    with elf_path.open("rb") as file:
        dwarf = ELFFile(file).get_dwarf_info()
        for unit in dwarf.iter_CUs():
            program = dwarf.line_program_for_CU(unit)
            files, folders = program["file_entry"], program["include_directory"]
            first = 0 if program["version"] >= 5 else 1
            for entry in program.get_entries():
                if entry.state is not None and entry.state.address in addresses:
                    at = files[entry.state.file - first]
                    folder = b"" if first and not at.dir_index else folders[at.dir_index - first]
                    name = "/".join([folder.decode(), at.name.decode()])
                    found[addresses[entry.state.address]] = (name, entry.state.line)
    assert set(found) == set(wanted)
    for symbol, (file_name, line) in found.items():
        assert file_name.endswith(wanted[symbol]), (symbol, file_name)
        function = symbol.rsplit("__", 1)[1]
        text = (ROOT / wanted[symbol]).read_text().splitlines()
        assert any(f"def {function}(" in row for row in text[line - 2 : line + 2]), (symbol, line)


def sanitized(sanitize: str) -> dict[str, str]:
    """The environment in which all host-native code is built with a sanitizer."""
    environment = os.environ | {"SPLAX_SANITIZE": sanitize}
    if sanitize == "address":
        if shutil.which("gcc") is None:
            pytest.skip("gcc is missing: install gcc for libasan")
        library = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
        environment |= {"LD_PRELOAD": library.stdout.strip(), "ASAN_OPTIONS": "detect_leaks=0"}
    return environment


@pytest.mark.long
@pytest.mark.parametrize("sanitize", ["undefined", "address"])
@pytest.mark.parametrize("folder", ["tests/kernel/core", "tests/kernel/services", "tests/firmware/test_device_tree.py"])
def test_kernel_services_and_firmware_are_clean_under_sanitizers(folder, sanitize):
    """Their host-native tests."""
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", folder, "-p", "no:cacheprovider"],
        cwd=ROOT,
        env=sanitized(sanitize),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]


def test_the_errors_of_all_programs_of_a_session_come_in_one_go(tmp_path):
    """Also of a function that two of them share; a good one before is typed once and stays good."""
    path = tmp_path / "three_programs.py"
    lines = ["from kernel.lang import *", "", "@fn", "def shared(a) -> u32:", "    return 1", ""]
    for name in ("first", "second"):
        lines += ["@fn", f"def {name}(a: u8) -> u32:", "    _ = shared(1)", "    return a", ""]
    path.write_text("\n".join([*lines, "@fn", "def good(a: u32) -> u32:", "    return a", ""]))
    spec = importlib.util.spec_from_file_location("three_programs", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with build.Session("riscv64") as session:
        assert session.start("good", [module.good])().path.exists()
        started = [session.start(name, [getattr(module, name), module.good]) for name in ("first", "second")]
        for finish in started:
            with pytest.raises(CompileError) as caught:
                finish()
            assert caught.value.codes == ["K101", "K123", "K123"]


@fn
def _ignores(a: u32, unused: u32) -> u32:
    written: u32 = 0
    for _ in range(4):
        written = a  # noqa: F841
    return a


def test_what_the_source_never_reads_is_no_warning_of_c():
    """A parameter, a local: a warning would be a ToolError."""
    assert "unused" in build.build_object([_ignores], "riscv64").c_text
    assert _ignores(3, 4) == 3
