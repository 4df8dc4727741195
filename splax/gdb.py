"""`splax gdb`: gdb on a running twin or simulation, with the kernel's symbols and its Python sources."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from sim.errors import InputError, MissingTool

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = "gdb-multiarch"


def program() -> str:
    """gdb for all architectures."""
    found = shutil.which(PROGRAM)
    if found is None:
        raise MissingTool(f"{PROGRAM} is not installed", f"apt-get install {PROGRAM}")
    return found


def target(connect: str) -> str:
    """gdb's name for a port of this machine or a Unix socket."""
    if connect.isdigit() and not 0 < int(connect) < 65536:
        raise InputError(f"--connect {connect} is not a port", "name the one that was given to --gdb")
    if not connect.isdigit() and not Path(connect).is_socket():
        raise InputError(f"--connect {connect}: there is no such socket", "start the machine with --gdb first")
    return f"127.0.0.1:{connect}" if connect.isdigit() else str(Path(connect).resolve())


def command(connect: str, elf: Path, symbols: Sequence[Path], arguments: Sequence[str]) -> list[str]:
    """gdb's command line. DWARF names sources relative to the project."""
    line = [program(), "-q", str(elf), "-iex", "set confirm off", "-ex", f"directory {ROOT}"]
    for path in symbols:
        line += ["-ex", f"add-symbol-file {path}"]
    line += ["-ex", "skip -gfi */runtime*.h"]  # A step goes to the next line of Python, not into a checked addition.
    return [*line, "-ex", f"target remote {target(connect)}", *arguments]


def run(connect: str, arch: str, elf: Path | None, symbols: Sequence[Path], arguments: Sequence[str]) -> int:
    """Runs gdb; gives its exit status."""
    program()
    target(connect)
    if elf is None:
        from .kernel import default_image

        elf = default_image(arch).elf
    for path in (elf, *symbols):
        if not path.is_file():
            raise InputError(f"{path} is not there", "name the ELF file of what runs")
    line = command(connect, elf.resolve(), [s.resolve() for s in symbols], arguments)
    return subprocess.run(line, cwd=ROOT, env=os.environ, check=False).returncode
