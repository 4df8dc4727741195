"""The judge is judged: QEMU against itself agrees, and every kind of wrong record is found."""

import random
import struct
from pathlib import Path

import pytest

from tests.lockstep import compare
from tests.lockstep.generator import Generator, Keep, Program, Shape
from tests.lockstep.minimise import minimise
from tests.lockstep.run import STAND_IN_TICKS, run, stand_in

SIZE = 96
RD_VALUE, PC, CAUSE, TVAL, RD, TRAP = 32, 16, 64, 72, 84, 86
SMALL = Shape(phases=4, segments=20, interrupts=False)


@pytest.mark.parametrize("interrupts", [False, True])
def test_qemu_agrees_with_itself_wherever_interrupts_come(interrupts: bool, tmp_path: Path) -> None:
    outcome = run(3, Shape(phases=5, interrupts=interrupts, ticks=STAND_IN_TICKS), Keep(), stand_in, tmp_path)
    assert outcome.result.equal, outcome.result.report
    assert outcome.result.instructions > 5000
    assert (outcome.result.interrupts > 10) == interrupts


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Program, Path, Path, bytes]:
    folder = tmp_path_factory.mktemp("recorded")
    program = Generator(5, SMALL).program()
    elf, reference = program.write(folder)
    return program, folder, reference, b"".join(stand_in(elf, program, folder))


def _pick(records: bytes, rng: random.Random, what: str) -> int:
    """The offset of a random record that writes a register, or of one that traps."""
    field = TRAP if what == "trap" else RD
    found = [at for at in range(50 * SIZE, len(records) - 200 * SIZE, SIZE) if records[at + field]]
    return rng.choice(found)


@pytest.mark.parametrize(
    ("where", "field", "difference"),
    [("write", RD_VALUE, "register x"), ("write", PC, "pc"), ("trap", CAUSE, "cause"), ("trap", TVAL, "tval")],
)
def test_a_flipped_bit_is_found(recorded, where: str, field: int, difference: str) -> None:
    program, folder, reference, records = recorded
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    wrong = bytearray(records)
    at = _pick(records, rng, where) + field
    (value,) = struct.unpack_from("<Q", wrong, at)
    struct.pack_into("<Q", wrong, at, value ^ 1 << rng.randrange(1, 64))
    result = compare.compare(reference, [bytes(wrong)], folder / "program.lst", program.asm.labels["end"])
    assert not result.equal
    assert result.report.startswith(f"difference: {difference}"), result.report


def test_a_trap_that_was_not_taken_is_found(recorded) -> None:
    program, folder, reference, records = recorded
    wrong = bytearray(records)
    wrong[_pick(records, random.Random(1), "trap") + TRAP] = 0
    result = compare.compare(reference, [bytes(wrong)], folder / "program.lst", program.asm.labels["end"])
    assert result.report.startswith("difference: only the reference trapped")


def test_a_skipped_instruction_is_found(recorded) -> None:
    program, folder, reference, records = recorded
    at = _pick(records, random.Random(2), "write")
    wrong = records[:at] + records[at + SIZE :]
    assert not compare.compare(reference, [wrong], folder / "program.lst", program.asm.labels["end"]).equal


def test_a_device_that_stops_early_is_found(recorded) -> None:
    program, folder, reference, records = recorded
    wrong = records[: len(records) // 2 // SIZE * SIZE]
    result = compare.compare(reference, [wrong], folder / "program.lst", program.asm.labels["end"])
    assert result.report.startswith("difference: the device ended early")


def test_a_seed_gives_one_program(tmp_path: Path) -> None:
    first, _ = Generator(7, SMALL).program().write(tmp_path / "first")
    second, _ = Generator(7, SMALL).program().write(tmp_path / "second")
    other, _ = Generator(8, SMALL).program().write(tmp_path / "other")
    assert first.read_bytes() == second.read_bytes() != other.read_bytes()


def test_the_minimiser_finds_the_one_item_that_fails() -> None:
    guilty = (2, 7, 1)

    def fails(keep: Keep) -> bool:
        return all(keep(*guilty[: length + 1]) for length in range(3))

    keep = minimise(11, SMALL, fails)
    assert Generator(11, SMALL, keep).program().places == [guilty[:2], guilty]
