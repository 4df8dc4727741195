"""The user programs of an image, and the archive that carries them. Part of an image build's own process."""

import importlib
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path

from kernel import archive
from kernel.lang.declare import Function
from kernel.services import run
from kernel.user.program import build_c_program, start_program

ROOT = Path(__file__).resolve().parents[1]

PROGRAMS = {
    "clock_server": "kernel.ipcbench.server",
    "ipcbench-peer": "kernel.ipcbench.peer",
    "s-init": "kernel.services.init.main",
    "atlas": "kernel.services.atlas.server",
    "console": "kernel.services.console",
    "shell": "kernel.services.shell.main",
    "trial": "kernel.examples.trial",
    "hostile": "kernel.hostile.main",
    "fuzz": "kernel.fuzz.main",
    "kills": "kernel.fuzz.kills",
}
"""Name in the archive, and the module whose `main` it is. Those that `run` starts: kernel/services/run."""


def main_of(module: str) -> Function:
    """The `main` of a module."""
    return importlib.import_module(module).main


def start_runnable(program: run.Program, arch: str, pool: Executor) -> Callable[[], bytes]:
    """A program that `run` starts: `start_program`, for what is in Kernel Python and what is in C."""
    if program.source.endswith(".c"):
        return pool.submit(build_c_program, (ROOT / program.source).read_text(), arch).result
    return start_program(pool, main_of(program.source), arch)


def build_archive(arch: str, directory: Path, pool: Executor) -> Path:
    """The archive of all programs of the default image; `pool` runs the compilers."""
    mains = {name: main_of(module) for name, module in PROGRAMS.items()}
    started = {name: start_program(pool, main, arch) for name, main in mains.items()}
    started |= {program.name: start_runnable(program, arch, pool) for program in run.PROGRAMS}
    path = directory / "archive"
    path.write_bytes(archive.pack({name: finish() for name, finish in started.items()}))
    return path


def archive_assembly(path: Path) -> str:
    """The archive as a part of the kernel's read-only data."""
    return f"""
    .section .rodata.archive, "a"
    .balign 4096
    .globl user_archive, user_archive_end
user_archive:
    .incbin "{path}"
user_archive_end:
"""
