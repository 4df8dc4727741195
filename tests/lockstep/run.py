"""One random program on a device and on the reference."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.lockstep import compare
from tests.lockstep.compare import BUILD, Result
from tests.lockstep.generator import Generator, Keep, Program, Shape

Device = Callable[[Path, Program, Path], Iterator[bytes]]
"""Gives packed records of an ELF file's run: (elf, program, folder)."""

STAND_IN_TICKS = 1 << 15
"""Between timer interrupts on QEMU, which takes 5 to 20 microseconds (50 to 200 ticks) an instruction when it logs."""

MOST = 400_000
"""No program retires more, handlers included."""


def stand_in(elf: Path, program: Program, folder: Path) -> Iterator[bytes]:
    """QEMU once more, with interrupts at times of its own: proves programs and comparison without the core.

    Its time is the host's: the programs need a `Shape` with STAND_IN_TICKS.
    """
    records = folder / "records"
    compare.record_reference(elf, records, folder / "program.lst")
    yield records.read_bytes()
    records.unlink()


def rtl(elf: Path, program: Program, folder: Path) -> Iterator[bytes]:
    """The SoC."""
    from tests.lockstep import device

    device.machine()  # its first build takes minutes: not while the reference waits
    return device.packed_records(elf, most=MOST)


DEVICES: dict[str, Device] = {"rtl": rtl, "qemu": stand_in}


@dataclass(frozen=True)
class Run:
    """One program's outcome, and where its files are."""

    program: Program
    folder: Path
    result: Result


def run(seed: int, shape: Shape, keep: Keep, device: Device, folder: Path | None = None) -> Run:
    """Generates, runs, compares. The files stay in `folder` (by default this process's own)."""
    folder = folder or BUILD / f"work-{os.getpid()}"
    program = Generator(seed, shape, keep).program()
    elf, reference = program.write(folder)
    records = device(elf, program, folder)
    result = compare.compare(reference, records, folder / "program.lst", program.asm.labels["end"])
    (folder / "report.txt").write_text(result.report)
    return Run(program, folder, result)
