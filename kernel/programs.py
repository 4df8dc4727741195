"""The user programs of an image, and the archive that carries them. Part of an image build's own process."""

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path

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

SMALL = ("clock_server", "ipcbench-peer", "trial", "hello", "pages", "spin", "wild")
LOADERS = ("s-init", "hostile", "fuzz", "kills", "ipcbench")
"""What the compiler gets as one: programs too small for a start of it each, and those that load others, most of whose
code is the same. Every other program is a unit of its own, since one is what a change usually is in."""


def main_of(module: str) -> Function:
    """The `main` of a module."""
    return importlib.import_module(module).main


class Builder:
    """All programs of the default image, as they are built: started in two parts, then finished."""

    def __init__(self, session: Session):
        self._session = session
        self._sources = PROGRAMS | {program.name: program.source for program in run.PROGRAMS}
        self._started: dict[str, Callable[[], bytes]] = {}

    def start_small(self) -> None:
        """Those in C and the SMALL: what the compiler works on while the kernel's source is read."""
        for name, source in self._sources.items():
            if source.endswith(".c"):
                arguments = ((ROOT / source).read_text(), self._session.target.name)
                self._started[name] = self._session.submit(name, build_c_program, *arguments).result
        self._start(SMALL)

    def start_others(self) -> None:
        """The others, the largest unit first."""
        self._start(LOADERS)
        for name in self._sources:
            if name not in self._started:
                self._start([name])

    def finish(self) -> dict[str, bytes]:
        """Their ELF files by name. Links each of them when it is compiled, while the others are."""
        files = {name: finish() for name, finish in self._started.items()}
        return {name: files[name] for name in self._sources}

    def _start(self, unit: Sequence[str]) -> None:
        self._started |= start_programs(self._session, {name: main_of(self._sources[name]) for name in unit})
