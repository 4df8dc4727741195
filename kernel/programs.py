"""The user programs of an image, and the archive that carries them. Part of an image build's own process."""

import importlib
from pathlib import Path

from kernel import archive
from kernel.lang.build import Session
from kernel.lang.declare import Function
from kernel.services import run
from kernel.user.program import build_c_program, start_programs

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

TOGETHER = (
    ("s-init", "hostile", "fuzz", "kills", "ipcbench"),  # They load programs: most of their code is the same.
    (
        "clock_server",
        "ipcbench-peer",
        "trial",
        "hello",
        "pages",
        "spin",
        "wild",
    ),  # Small: a start of the compiler each.
)
"""Programs that the compiler gets as one; the others it gets one by one, since one is what a change usually is in."""


def main_of(module: str) -> Function:
    """The `main` of a module."""
    return importlib.import_module(module).main


def build_archive(session: Session) -> bytes:
    """The archive of all programs of the default image."""
    sources = PROGRAMS | {program.name: program.source for program in run.PROGRAMS}
    written_in_c = [name for name, source in sources.items() if source.endswith(".c")]
    mains = {name: main_of(source) for name, source in sources.items() if name not in written_in_c}
    large, small = TOGETHER
    units = [large, *((name,) for name in mains if name not in (*large, *small)), small]
    started = {
        name: session.submit(name, build_c_program, (ROOT / sources[name]).read_text(), session.target.name).result
        for name in written_in_c
    }
    for unit in units:
        started |= start_programs(session, {name: mains[name] for name in unit})
    files = {name: finish() for name, finish in started.items()}  # Links what is compiled while the rest is.
    return archive.pack({name: files[name] for name in sources})


ARCHIVE_ASSEMBLY = """
    .section .rodata.archive, "a"
    .balign 4096
    .globl user_archive, user_archive_end
user_archive:
    .incbin "data"
user_archive_end:
"""
"""The archive as a part of the kernel's read-only data."""
