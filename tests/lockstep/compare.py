"""Runs the reference beside a device's instructions and finds the first difference."""

import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lockstep import reference

SOURCE = Path(__file__).parent / "native" / "lockstep.cpp"
BUILD = Path(__file__).resolve().parents[2] / "build" / "lockstep"
TIMEOUT = 1200


@dataclass(frozen=True)
class Result:
    """Outcome of one comparison: `report` is what the comparison printed."""

    equal: bool
    instructions: int
    interrupts: int
    report: str


@functools.cache
def native() -> Path:
    """Builds the comparison program, once for each content of its source."""
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    program = BUILD / f"lockstep-{digest}"
    if not program.exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        compiler = ["g++"] if shutil.which("g++") else [sys.executable, "-m", "ziglang", "c++"]
        fresh = program.with_suffix(f".{os.getpid()}")
        subprocess.run([*compiler, "-O2", "-std=c++17", "-o", str(fresh), str(SOURCE)], check=True)
        fresh.rename(program)
    return program


@contextmanager
def _pipe() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="splax-lockstep-") as folder:
        path = Path(folder) / "pipe"
        os.mkfifo(path)
        yield path


def _run_reference(elf: Path, log: Path, *more: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        reference.command(elf, *more, log=str(log)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip


def compare_file(elf: Path, records: Path, listing: Path, end: int) -> Result:
    """Compares a reference run of `elf` with packed records (a file or a pipe) up to the instruction at `end`."""
    with _pipe() as log:
        qemu = _run_reference(elf, log)
        try:
            done = subprocess.run(
                [str(native()), "compare", str(log), str(records), str(listing), hex(end)],
                capture_output=True,
                text=True,
                timeout=TIMEOUT,
            )
        finally:
            qemu.kill()
            qemu.wait()
    if done.returncode not in (0, 1):
        raise RuntimeError(f"the comparison failed: {done.stderr or done.returncode}")
    words = done.stdout.split()
    if done.returncode == 0:
        return Result(True, int(words[1]), int(words[3]), done.stdout)
    return Result(False, 0, 0, done.stdout)


def compare(elf: Path, records: Iterable[bytes], listing: Path, end: int) -> Result:
    """As `compare_file`, from packed records that are taken while the reference runs, and no further than needed.

    An error of the device (`Hang`) stands first in the report.
    """
    trouble: list[Exception] = []
    with _pipe() as path:

        def feed() -> None:
            try:
                with path.open("wb") as pipe:
                    for some in records:
                        pipe.write(some)
            except BrokenPipeError:
                pass  # a difference was found before the end
            except Exception as error:  # the device's, not ours
                trouble.append(error)

        feeder = threading.Thread(target=feed, daemon=True)
        feeder.start()
        result = compare_file(elf, path, listing, end)
        feeder.join(timeout=10)
    if trouble:
        return Result(False, 0, 0, f"{trouble[0]}\n{result.report}")
    return result


def record_reference(elf: Path, records: Path, listing: Path, *more: str) -> None:
    """Writes QEMU's own run of `elf` as records: a device for proving the comparison and the programs."""
    with _pipe() as log:
        qemu = _run_reference(elf, log, *more)
        try:
            subprocess.run(
                [str(native()), "convert", str(log), str(records), str(listing)], check=True, timeout=TIMEOUT
            )
        finally:
            qemu.kill()
            qemu.wait()
