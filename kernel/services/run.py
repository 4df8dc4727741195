"""The programs that `run` starts, and the rule of what each of them holds.

Every program finds in its table one capability and no other: SESSION, to write on the console. It lives in memory that
S-INIT has set aside for it, and nothing that it could do makes that more. A program of which `kit_bits` is not 0 has,
besides, what making other programs takes: its own table and space, a time slice as authority, the archive, and
2**kit_bits bytes of its own memory. One with `finds` has FINDER, by which S-ATLAS lets it find those services.

While it runs, what is typed waits for the shell; ^C ends it. With `&` behind it, the shell goes on; `kill` ends it.
Whatever ended it, all of its memory is taken back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from kernel.lang import *
from kernel.services.names import Name, name_words
from kernel.user.first_table import FIRST_LIFE

PROGRAM_BITS = 20
"""log2 of the bytes that all of a running program may take."""
SESSION_SLOT = 1
SESSION = FIRST_LIFE | SESSION_SLOT
SESSION_BADGE = 0x8000
"""By which the console knows a program, and who has found it by S-ATLAS: they may write, not read."""
FINDER_SLOT = 7
FINDER = FIRST_LIFE | FINDER_SLOT
KIT_TABLE, KIT_SPACE, KIT_SLICE, KIT_ARCHIVE, KIT_MEMORY = 2, 3, 4, 5, 6
FIRST_FREE_SLOT = 8
LEVEL = 4
"""Within the interactive class: below all services, so that the shell hears ^C. The authority of a kit is one above."""


@enum(8)
class Outcome(IntEnum):
    """How a program ended."""

    RUNNING = 0
    EXITED = 1
    FAULTED = 2
    KILLED = 3


@dataclass(frozen=True)
class Program:
    """A program: its name, and the module whose `main` it is, or its file in C."""

    name: str
    source: str
    kit_bits: int = 0
    finds: Sequence[str] = ()


PROGRAMS: Sequence[Program] = (
    Program("ask", "kernel.examples.ask", finds=("console", "trial-never", "trial-fail", "trial-always")),
    Program("hello", "kernel.examples.hello"),
    Program("hello-c", "kernel/examples/hello.c"),
    Program("ipcbench", "kernel.ipcbench.program", kit_bits=18),
    Program("pages", "kernel.examples.pages", kit_bits=14),
    Program("peers", "kernel.examples.peers", kit_bits=16),
    Program("spin", "kernel.examples.spin"),
    Program("wild", "kernel.examples.wild"),
)


@struct
class ProgramRow:
    """A program, for S-INIT."""

    name: Name
    kit_bits: u8
    finds: bool


PROGRAM_COUNT = len(PROGRAMS)
ROWS = constant(
    Array[ProgramRow, PROGRAM_COUNT],
    [{"name": {"words": list(name_words(p.name))}, "kit_bits": p.kit_bits, "finds": bool(p.finds)} for p in PROGRAMS],
)
