"""Builds user programs: from Kernel Python, or C, to an ELF file that the loader takes.

    elf = build_program(main, "riscv64")

`main(argument: u64) -> u64` is where the program begins; its result is the exit status. A panic ends the program with
PANIC_STATUS and the line. Code, constants and data lie on pages of their own. The stack that a program needs was
computed by the compiler; the file says so in its PT_GNU_STACK header: the loader gives what is needed, nobody guesses.
"""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Never

from kernel.abi import PANIC_STATUS
from kernel.arch.aarch64 import user as aarch64
from kernel.arch.riscv64 import user as riscv64
from kernel.arch.x86_64 import user as x86_64
from kernel.lang import *
from kernel.lang import build as compiler
from kernel.lang import stack
from kernel.lang.declare import Function
from kernel.user import calls
from kernel.user.header import header
from kernel.user.layout import LINKED_AT

ARCHITECTURES: dict[str, ModuleType] = {"riscv64": riscv64, "x86_64": x86_64, "aarch64": aarch64}
STACK_SLACK = 256
"""Bytes of stack for what is not compiled: the first call, the pushes around a system call."""
FLAGS = ("-mllvm", "-inline-asm-instr-cost=5")
"""What the inliner takes a system call for: by default one instruction, which leaves programs twice as large, since it
is thirty. The checks of the language are inlined all the same."""
START = "program_start"
"""What the first instructions call, by name."""
C_STACK_BYTES = 16 << 10
C_FLAGS = ("-O2", "-ffreestanding", "-fno-stack-protector", "-fno-pic", "-ffunction-sections", "-fdata-sections")
C_FLAGS += ("-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "-fno-sanitize=all", "-Wall", "-Wextra")


@fn(symbol="kernel_panic")
def panicked(site: Ptr[PanicSite], left: u64, right: u64) -> Never:
    """A check in the program failed: ends it. The line is all that fits into a status."""
    _ = left
    _ = right
    calls.exit(PANIC_STATUS | u64(site.line))


def starter(main: Function, symbol: str = START) -> Function:
    """What the first instructions call."""

    @fn(symbol=symbol, entry=True)
    def program_start(argument: u64) -> Never:
        calls.exit(main(argument))

    return program_start


def link(objects: list[Path], arch: str, stack_bytes: int, symbols: bool, start_symbol: str = START) -> bytes:
    """Links a program that starts at `start_symbol`; lld's own layout has every segment on pages of its own."""
    flags = [f"--image-base={LINKED_AT:#x}", "-z", "separate-code", "-z", "max-page-size=4096", "-z", "norelro"]
    flags += ["-z", f"stack-size={stack_bytes}", "--no-eh-frame-hdr", "-e", "_start"]
    flags += [] if symbols else ["--strip-all"]
    flags += [] if start_symbol == START else [f"--defsym={START}={start_symbol}"]
    start = compiler.compile_assembly(ARCHITECTURES[arch].START, arch)
    with tempfile.TemporaryDirectory() as directory:
        target = Path(directory, "program.elf")
        compiler.link([start, *objects], arch, target, flags)
        return target.read_bytes()


def check_architecture(arch: str) -> None:
    """Raises ValueError for one that is not there."""
    if arch not in ARCHITECTURES:
        raise ValueError(f"unknown architecture {arch!r}: use one of {', '.join(ARCHITECTURES)}")


def start_programs(
    session: compiler.Session, mains: Mapping[str, Function], *, symbols: bool = False
) -> dict[str, Callable[[], bytes]]:
    """`build_program` of several, by name, beside what else the session compiles; each result waits for the ELF file.

    They are one piece for the compiler: what they share is compiled once. The linker gives each of them what it needs.
    """
    arch = session.target.name
    flags = (*FLAGS, *ARCHITECTURES[arch].MODEL_FLAGS, *(() if symbols else ("-g0",)))
    starters = {name: START if len(mains) == 1 else f"{START}_{number}" for number, name in enumerate(mains)}
    roots = [*(starter(main, starters[name]) for name, main in mains.items()), panicked]
    compiled = session.start(", ".join(mains), roots, optimize="-Os", defines=flags)

    def finisher(entry: str) -> Callable[[], bytes]:
        def finish() -> bytes:
            made = compiled()
            depth = max(use.bytes for use in stack.report(made) if use.entry in (entry, panicked.symbol))
            return link([made.path], arch, depth + STACK_SLACK, symbols, entry)

        return finish

    return {name: finisher(entry) for name, entry in starters.items()}


def build_program(main: Function, arch: str, *, symbols: bool = False) -> bytes:
    """The ELF file of a program in Kernel Python; with `symbols` (and DWARF) for debuggers."""
    check_architecture(arch)
    with compiler.Session(arch) as session:
        return start_programs(session, {"program": main}, symbols=symbols)["program"]()


def build_c_program(source: str, arch: str, *, stack_bytes: int = C_STACK_BYTES, symbols: bool = False) -> bytes:
    """The ELF file of a program in C, which includes "splax.h" and defines `splax_main`."""
    check_architecture(arch)
    flags = [*compiler.target(arch).flags, *C_FLAGS, *ARCHITECTURES[arch].MODEL_FLAGS]
    text = source.replace('#include "splax.h"', "#define SPLAX_PROGRAM\n" + header(), 1)
    memory = compiler.compile_c('#include "runtime_memory.h"\n', flags, ".o")  # memcpy and the like
    return link([compiler.compile_c(text, flags, ".o"), memory], arch, stack_bytes, symbols)
