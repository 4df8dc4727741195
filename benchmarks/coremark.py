"""CoreMark per MHz: EEMBC's sources, which stay where they are, with our port for the bare machine.

    git clone https://github.com/eembc/coremark
    splax bench --only coremark --coremark coremark

The result is taken from the core's own cycle counter. EEMBC asks for ten seconds of run time; twenty iterations of
a deterministic machine differ from two thousand only by the cold caches of the first. All checksums are checked.
"""

import re
import tempfile
from pathlib import Path

from sim.machine import Machine

from .bare_metal import PORT, compile_program

ITERATIONS = 20
SOURCES = ("core_main.c", "core_list_join.c", "core_matrix.c", "core_state.c", "core_util.c")
CPU = "-mcpu=sifive_u74+m+a+c+zba+zbb+zbs-f-d"
"""Our instruction set, scheduled for a short in-order pipeline (LLVM has no model of ours)."""
FLAGS = "-O3"
CHECKSUMS = {"crclist": "0xe714", "crcmatrix": "0x1fd7", "crcstate": "0x8e3a"}


def coremark_per_mhz(directory: Path) -> float:
    """Builds from EEMBC's `directory` and measures."""
    missing = [name for name in (*SOURCES, "coremark.h") if not (directory / name).is_file()]
    if missing:
        raise RuntimeError(f"{directory} is not EEMBC's CoreMark: {missing[0]} is not there")
    with tempfile.TemporaryDirectory() as work:
        arguments = [CPU, FLAGS, f"-DITERATIONS={ITERATIONS}", "-DPERFORMANCE_RUN=1", f'-DFLAGS_STR="{FLAGS} {CPU}"']
        arguments += [f"-I{PORT}", f"-I{directory}", str(PORT / "start.S"), str(PORT / "core_portme.c")]
        program = compile_program(
            [*arguments, *(str(directory / name) for name in SOURCES)], Path(work) / "coremark.elf"
        )
        with Machine() as machine:
            machine.load_elf(program)
            outcome = machine.run(cycles=50_000_000)
            text = machine.console.read().decode()
            if outcome.status:
                raise RuntimeError(f"CoreMark did not end: {outcome.reason.value}, {machine.where()}")
    for name, expected in CHECKSUMS.items():
        if not re.search(rf"{name}\s*: {expected}", text):
            raise RuntimeError(f"CoreMark's {name} is wrong:\n{text}")
    cycles = re.search(r"Total ticks\s*: (\d+)", text)
    if not cycles:
        raise RuntimeError(f"CoreMark printed no time:\n{text}")
    return ITERATIONS / int(cycles[1]) * 1e6
