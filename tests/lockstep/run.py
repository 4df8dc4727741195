"""One random program on a device and on the reference."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.lockstep import compare
from tests.lockstep.compare import BUILD, Result
from tests.lockstep.generator import Generator, Keep, Program, Shape

Device = Callable[[Path, Program, Path], Iterator[bytes]]
"""Gives packed records of an ELF file's run: (elf, program, folder)."""

MOST = 400_000
"""No program retires more, handlers included."""


def stand_in(elf: Path, program: Program, folder: Path) -> Iterator[bytes]:
    """QEMU once more, with interrupts at times of its own: proves programs and comparison without the core."""
    slowly = ("-icount", "shift=7,sleep=off") if program.interrupts else ()
    records = folder / "records"
    compare.record_reference(elf, records, folder / "program.lst", *slowly)
    yield records.read_bytes()
    records.unlink()


def rtl(elf: Path, program: Program, folder: Path) -> Iterator[bytes]:
    """The SoC."""
    from tests.lockstep import device

    return device.packed_records(elf, most=MOST)


DEVICES: dict[str, Device] = {"rtl": rtl, "qemu": stand_in}


@dataclass(frozen=True)
class Run:
    """One program's outcome, and where its files are."""

    program: Program
    folder: Path
    result: Result


def run(seed: int, shape: Shape, keep: Keep, device: Device, folder: Path | None = None) -> Run:
    """Generates, runs, compares. The files stay in `folder` (build/lockstep/current by default)."""
    folder = folder or BUILD / "current"
    program = Generator(seed, shape, keep).program()
    elf, reference = program.write(folder)
    records = device(elf, program, folder)
    result = compare.compare(reference, records, folder / "program.lst", program.asm.labels["end"])
    (folder / "report.txt").write_text(result.report)
    return Run(program, folder, result)
