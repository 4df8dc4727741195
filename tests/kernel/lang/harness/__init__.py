"""Runs kernel functions on targets under QEMU, and in the Python evaluator, and gives results in one form.

A result is ("ok", bits of the value) or ("panic", line, left, right).
"""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kernel.lang import build
from kernel.lang.declare import Function
from kernel.lang.emit_c import Emitter
from kernel.lang.evaluate import Evaluator, Stopped
from kernel.lang.panics import KernelPanic
from kernel.lang.program import Program, compile_program
from kernel.lang.types import BOOL, Type

HERE = Path(__file__).parent
MASK = (1 << 64) - 1
Case = tuple[Function, tuple[int, ...]]
Result = tuple[Any, ...]


def _machine(address: int) -> tuple[str, ...]:
    return ("-T", str(HERE / "machine.ld"), f"--defsym=LOAD_ADDRESS={address:#x}", "-z", "max-page-size=4096")


_QEMU = "-display none -monitor none -serial stdio -m 64M"

# name -> (arch, start code, link flags, command): user mode is quick, the machines are what the kernel runs on.
TARGETS: dict[str, tuple[str, str, tuple[str, ...], str]] = {
    "riscv64": ("riscv64", "start_riscv64.S", (), "qemu-riscv64"),
    "x86_64": ("x86_64", "start_x86_64.S", (), "qemu-x86_64"),
    "aarch64": ("aarch64", "start_aarch64.S", (), "qemu-aarch64"),
    "riscv64-machine": (
        "riscv64",
        "start_riscv64_machine.S",
        _machine(0x8000_0000),
        f"qemu-system-riscv64 -M virt {_QEMU} -bios none -kernel",
    ),
    "x86_64-machine": (
        "x86_64",
        "start_x86_64_machine.S",
        _machine(0x10_0000),
        f"qemu-system-x86_64 -M q35 {_QEMU} -device isa-debug-exit,iobase=0xf4,iosize=4 -no-reboot -kernel",
    ),
    "aarch64-machine": (
        "aarch64",
        "start_aarch64_machine.S",
        _machine(0x4008_0000),
        f"qemu-system-aarch64 -M virt -cpu cortex-a53 {_QEMU} -kernel",
    ),
}
PACKAGES = {
    "qemu-system-riscv64": "qemu-system-misc",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-system-aarch64": "qemu-system-arm",
}


def missing(target: str) -> str:
    """Why a target cannot run here, with the Debian package that helps; empty when it can."""
    command = TARGETS[target][3].split()[0]
    return "" if shutil.which(command) else f"{command} is missing: install {PACKAGES.get(command, 'qemu-user')}"


def _cast(kind: Type, slot: int) -> str:
    name = "bool" if kind is BOOL else kind.name
    return f"({name})s[{slot}]"


def _driver(emitter: Emitter, program: Program, cases: Sequence[Case], everything: Sequence[Function]) -> str:
    lines = ['#include "driver.h"']
    numbers = {}
    for function in dict.fromkeys([*(f for f, _ in cases), *everything]):
        numbers[function] = len(numbers)
        parameters = program.signatures[function].parameters
        arguments = ", ".join(_cast(kind, i + 1) for i, (_, kind) in enumerate(parameters))
        call = f"{emitter.function_names[function]}({arguments})"
        lines.append(f"static void run_{numbers[function]}(u64 *s) {{ s[0] = (u64){call}; }}")
    lines.append("u64 harness_main(void) {")
    for function, arguments in cases:
        slots = ", ".join(f"{a & MASK:#x}" for a in (0, *arguments))
        lines.append(f"    {{ u64 slots[] = {{{slots}}}; harness_case(run_{numbers[function]}, slots); }}")
    for function in everything:
        seconds = 256 ** (len(program.signatures[function].parameters) - 1)
        lines.append(f"    harness_all(run_{numbers[function]}, {seconds});")
    lines += ["    harness_flush();", "    return 0;", "}"]
    return "\n".join(lines) + "\n"


def image(
    target: str, cases: Sequence[Case], everything: Sequence[Function] = (), *, optimize: str = "-O2", output: Path
) -> list[str]:
    """Builds an executable that runs the cases; gives the command that starts it."""
    arch, start, flags, command = TARGETS[target]
    program = compile_program([*(f for f, _ in cases), *everything], arch)
    emitter = Emitter(program, native=False)
    text = emitter.emit() + _driver(emitter, program, cases, everything)
    compile_flags = (*build.target(arch).flags, optimize, *build.COMMON_FLAGS, *build.FREESTANDING_FLAGS, f"-I{HERE}")
    text = f"/* {(HERE / 'driver.h').stat().st_mtime_ns} */\n{text}"  # driver.h is no part of the cache key
    made = build.compile_c(text, compile_flags, ".o")
    build.link([HERE / start, HERE / f"context_{arch}.S", made], arch, output, flags)
    return [*command.split(), str(output)]


def on_target(
    target: str, cases: Sequence[Case], everything: Sequence[Function] = (), *, optimize: str = "-O2", output: Path
) -> list[Result]:
    """Results of the cases, then of all 8-bit operands of the others, on a target."""
    command = image(target, cases, everything, optimize=optimize, output=output)
    run = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    ended = (0, 1) if target == "x86_64-machine" else (0,)  # isa-debug-exit gives 2n + 1
    assert run.returncode in ended, f"{command}: status {run.returncode}\n{run.stderr}{run.stdout[-500:]}"
    return _results(run.stdout, len(cases) + len(everything))


def on_rtl(cases: Sequence[Case], *, optimize: str = "-O2", output: Path) -> tuple[list[Result], int]:
    """Results of the cases on the simulated SoC, and the cycles that it took: the image is QEMU's, to the byte."""
    from rtl.soc import SocConfig
    from sim.machine import Machine, Reason

    image("riscv64-machine", cases, optimize=optimize, output=output)
    with Machine(SocConfig(ram_bytes=128 << 20)) as machine:
        machine.load_elf(output)
        outcome = machine.run(cycles=4_000_000)
        said = machine.console.output.decode(errors="replace")
        assert outcome.reason is not Reason.CYCLES, f"still running, {machine.where()}: {said[-500:]}"
        assert outcome.status == 0, f"status {outcome.status}: {said[-500:]}"
        return _results(said, len(cases)), machine.cycle


def _results(said: str, count: int) -> list[Result]:
    results: list[Result] = []
    for line in said.splitlines():
        word, *values = line.split()
        results.append((word, *(int(v, 16) for v in values)))
    assert len(results) == count, f"{len(results)} results of {count}: {said[-500:]}"
    return results


def in_evaluator(cases: Sequence[Case]) -> list[Result]:
    """Results by the Python evaluator of the typed tree."""
    evaluator = Evaluator(compile_program([f for f, _ in cases]))
    results: list[Result] = []
    for function, arguments in cases:
        try:
            results.append(("ok", int(evaluator.call(function, arguments)) & MASK))
        except Stopped as stop:
            left, right = (*stop.values, 0, 0)[:2]
            results.append(("panic", stop.line, left & MASK, right & MASK))
    return results


def on_host(cases: Sequence[Case]) -> list[Result]:
    """Results by host-native calls."""
    results: list[Result] = []
    for function, arguments in cases:
        try:
            results.append(("ok", int(function(*arguments)) & MASK))
        except KernelPanic as panic:
            left, right = (*panic.values, 0, 0)[:2]
            results.append(("panic", panic.line, left & MASK, right & MASK))
    return results


def difference(cases: Sequence[Case], want: Sequence[Result], got: Sequence[Result]) -> str:
    """The first case that differs, for a message; empty when all agree."""
    for (function, arguments), left, right in zip(cases, want, got, strict=True):
        if left != right:
            return f"{function.name}{arguments}: evaluator {left}, target {right}"
    return ""
