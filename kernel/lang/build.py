"""Runs the compiler, through a cache that is keyed by content and trusts nothing it finds.

A key is the SHA-256 of everything that decides the output: C text, runtime headers, flags, compiler version. An entry
is a file and its own SHA-256; an entry whose content does not match is built again.
"""

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from threading import Lock
from typing import Any

from kernel.lang import stack
from kernel.lang.declare import Function
from kernel.lang.emit_c import Emitter
from kernel.lang.errors import ROOT, CompileError, Diagnostic
from kernel.lang.program import Program, Typed, compile_program

HERE = Path(__file__).parent
COMMON_FLAGS = ("-std=gnu11", "-Wall", "-Wextra", "-g", "-fno-strict-aliasing")
# Not together with a -fsanitize: zig lets the "no" win, wherever it stands.
PLAIN_FLAGS = ("-fno-sanitize=all",)
FREESTANDING_FLAGS = (
    *PLAIN_FLAGS,
    "-ffreestanding",
    "-fno-asynchronous-unwind-tables",
    "-fno-unwind-tables",
    "-fno-stack-protector",
    "-fstack-size-section",
    "-ffunction-sections",
    "-fdata-sections",
    "-fno-pic",
    "-fomit-frame-pointer",
)


@dataclass(frozen=True)
class Target:
    """Something to compile for: its compiler flags."""

    name: str
    flags: tuple[str, ...]


TARGETS = {
    "riscv64": Target(
        "riscv64",
        ("-target", "riscv64-freestanding-none", "-mcpu=generic_rv64+m+a+c", "-mabi=lp64", "-mcmodel=medany"),
    ),
    "x86_64": Target(
        "x86_64",
        (
            "-target",
            "x86_64-freestanding-none",
            "-mcpu=x86_64-mmx-sse-sse2+soft_float",
            "-mno-red-zone",
            "-mcmodel=kernel",
        ),
    ),
    # No vector registers (zig takes features from -mcpu only, and ignores -mgeneral-regs-only). Unaligned accesses
    # fault while the MMU is off, and the boot code is compiled like the rest.
    "aarch64": Target("aarch64", ("-target", "aarch64-freestanding-none", "-mcpu=generic+strict_align-fp_armv8-neon")),
}


class ToolError(RuntimeError):
    """The compiler failed or is missing."""


@lru_cache(maxsize=1)
def compiler() -> tuple[str, str]:
    """(path of zig, version); a missing wheel is named."""
    found = importlib.util.find_spec("ziglang")
    if found is None or found.origin is None:
        raise ToolError("the compiler is missing: pip install ziglang==0.17.1")
    name = "zig.exe" if sys.platform == "win32" else "zig"
    return str(Path(found.origin).parent / name), metadata.version("ziglang")


def target(arch: str) -> Target:
    """The target of that name, or an error that lists what there is."""
    if arch not in TARGETS:
        raise ValueError(f"unknown architecture {arch!r}: use one of {', '.join(TARGETS)}")
    return TARGETS[arch]


def cache_directory() -> Path:
    """Where built things are kept: $SPLAX_CACHE, or build/cache in the project."""
    return Path(os.environ.get("SPLAX_CACHE", ROOT / "build" / "cache")) / "kernel"


def cached(key_parts: Sequence[str | bytes], suffix: str, make: Callable[[Path], None]) -> Path:
    """The file that `make` wrote for this key, now or earlier; a damaged entry is made again."""
    digest = hashlib.sha256()
    for part in key_parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little") + data)
    directory = cache_directory()
    path = directory / f"{digest.hexdigest()[:40]}{suffix}"
    check = path.with_name(path.name + ".sha256")
    if _intact(path, check):
        return path
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        fresh = Path(scratch) / path.name
        make(fresh)
        note = Path(scratch) / check.name
        note.write_text(hashlib.sha256(fresh.read_bytes()).hexdigest())
        # Content first: a reader that sees the old note with the new content just builds again.
        os.replace(fresh, path)
        os.replace(note, check)
    return path


def _intact(path: Path, check: Path) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == check.read_text()
    except (OSError, UnicodeDecodeError):
        return False


def run_zig(arguments: Sequence[str], directory: Path = ROOT) -> None:
    """`zig cc ...` and its like; anything it says is an error, since generated C must not even warn."""
    zig, _ = compiler()
    # Where nobody has a home, as in a build farm, zig has no place for its cache.
    place = {} if "HOME" in os.environ else {"ZIG_GLOBAL_CACHE_DIR": str(cache_directory() / "zig")}
    command = [zig, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, cwd=directory, env=place | os.environ, check=False)
    if result.returncode or result.stderr.strip():
        raise ToolError(f"zig {' '.join(arguments)}: status {result.returncode}\n{result.stdout}{result.stderr}")


def compile_c(text: str, flags: Sequence[str], suffix: str, *, link: Sequence[str] = ()) -> Path:
    """One C file to an object (`.o`), or with `link` flags to something linked; cached."""
    headers = (HERE / "runtime.h", HERE / "runtime_memory.h", HERE.parent / "arch" / "x86_64" / "ports.h")
    runtime = b"".join(path.read_bytes() for path in headers)

    def make(output: Path) -> None:
        source = output.with_suffix(".c")
        source.write_text(text)
        mode = ["-c"] if suffix == ".o" else list(link)
        prefix = f"-ffile-prefix-map={output.parent}=generated"
        run_zig(["cc", *flags, prefix, "-I", str(HERE), *mode, str(source), "-o", str(output)])

    return cached([text, runtime, " ".join([*flags, *link]), compiler()[1]], suffix, make)


def compile_assembly(text: str, arch: str) -> Path:
    """Assembly text (with C's preprocessor) to an object; cached."""

    def make(output: Path) -> None:
        source = output.with_suffix(".S")
        source.write_text(text)
        prefix = f"-ffile-prefix-map={output.parent}=generated"
        run_zig(["cc", *target(arch).flags, prefix, "-c", str(source), "-o", str(output)])

    return cached([text, arch, compiler()[1]], ".S.o", make)


@dataclass(frozen=True)
class Object:
    """A compiled program: the object file, its C, the program it came from, how it was emitted, the target."""

    path: Path
    c_text: str
    program: Program
    emitter: Emitter
    arch: str


class Session:
    """Programs for one target that are built together: their C is compiled side by side, and a function that several of
    them have is typed once.

    `report` is told what is going on: how many pieces of work are done, of how many so far, and which are at work.
    """

    def __init__(self, arch: str, report: Callable[[str], None] = lambda step: None):
        self.target = target(arch)
        self._typed = Typed()
        self._pool = ThreadPoolExecutor(os.cpu_count())
        self._report = report
        self._lock = Lock()
        self._working: list[str] = []
        self._errors: list[Diagnostic] = []
        self._done = self._known = 0

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def submit(self, name: str, work: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Runs `work` beside what else is going on; the report calls it `name`."""

        def run() -> Any:
            with self._lock:
                self._working.append(name)
                self._report(f"{self._done} of {self._known} parts done, now {', '.join(self._working)}")
            try:
                return work(*arguments)
            finally:
                with self._lock:
                    self._working.remove(name)
                    self._done += 1

        self._known += 1
        return self._pool.submit(run)

    def start(
        self, name: str, roots: Sequence[Function], *, optimize: str = "-O2", defines: Sequence[str] = ()
    ) -> Callable[[], Object]:
        """Compiles the roots and all they reach, freestanding: to C now, to an object beside what comes next.

        The result waits for the object: in the meantime the next program can be made. Where the source breaks a rule,
        the result raises the errors of all programs that were started until then.
        """
        flags = (*self.target.flags, optimize, *COMMON_FLAGS, *FREESTANDING_FLAGS, *defines)
        try:
            program = compile_program(roots, self.target.name, self._typed)
        except CompileError as error:
            self._errors += error.diagnostics
        if self._errors:
            return self._refuse
        emitter = Emitter(program, native=False)
        text = emitter.emit()
        compiled = self.submit(name, compile_c, text, flags, ".o")

        def finish() -> Object:
            made = Object(compiled.result(), text, program, emitter, self.target.name)
            stack.check(made)
            return made

        return finish

    def _refuse(self) -> Object:
        raise CompileError(self._errors)


def build_object(roots: Sequence[Function], arch: str, *, optimize: str = "-O2", defines: Sequence[str] = ()) -> Object:
    """One program for a freestanding target, compiled: `Session.start`, to the end."""
    with Session(arch) as session:
        return session.start("program", roots, optimize=optimize, defines=defines)()


def link(inputs: Sequence[Path], arch: str, output: Path, flags: Sequence[str] = (), blobs: Sequence[str] = ()) -> Path:
    """Links objects and assembly files (.S) to a static executable with lld; `flags` are lld's, e.g. `-T`, `script`.

    `blobs` are files beside `output` that are linked as they are: each is a section `.data` of its file.
    """
    objects = [compile_assembly(p.read_text(), arch) if p.suffix == ".S" else p for p in inputs]
    binaries = ["--format=binary", *blobs] if blobs else []  # Names, not paths: symbols are made of them.
    run_zig(
        ["ld.lld", "-static", "--gc-sections", *flags, *map(str, objects), *binaries, "-o", str(output)], output.parent
    )
    return output


def build_native(program: Program, *, optimize: str = "-O1", sanitize: str = "") -> tuple[Path, Emitter]:
    """A shared library of the program for this machine. `sanitize`: "", "undefined" or "address"."""
    emitter = Emitter(program, native=True)
    flags = [optimize, *COMMON_FLAGS, "-fPIC", "-DKERNEL_NATIVE", "-fno-stack-protector"]
    if sanitize == "undefined":
        flags += ["-DKERNEL_UBSAN", "-fsanitize=undefined", "-fsanitize-minimal-runtime", "-fno-sanitize=function"]
    elif sanitize == "address":
        flags += ["-fsanitize=address"]
    elif not sanitize:
        flags += PLAIN_FLAGS
    else:
        raise ValueError(f'sanitize must be "", "undefined" or "address", not {sanitize!r}')
    # What it calls is in the C library that Python has loaded; zig would compile runtime libraries of its own first.
    return compile_c(emitter.emit(), flags, ".so", link=["-shared", "-nostdlib"]), emitter
