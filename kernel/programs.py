"""The user programs of an image, and the archive that carries them. Part of an image build's own process."""

import importlib
from concurrent.futures import Executor
from pathlib import Path

from kernel import archive
from kernel.user.program import start_program

PROGRAMS = {
    "init": "kernel.ipcbench.client",
    "clock_server": "kernel.ipcbench.server",
    "s-init": "kernel.services.init.main",
    "atlas": "kernel.services.atlas.server",
    "console": "kernel.services.console",
    "shell": "kernel.services.shell.main",
}
"""Name in the archive, and the module whose `main` it is."""


def build_archive(arch: str, directory: Path, pool: Executor) -> Path:
    """The archive of all programs of the default image; `pool` runs the compilers."""
    mains = {name: importlib.import_module(module).main for name, module in PROGRAMS.items()}
    started = {name: start_program(pool, main, arch) for name, main in mains.items()}
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
