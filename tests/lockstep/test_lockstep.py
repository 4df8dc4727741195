"""Random programs on the core, instruction by instruction against QEMU.

The seeds are fixed, so that a change is judged by the same programs as the one before; the long regression
(`python -m tests.lockstep --instructions 10000000 --seed N`) takes new ones.
"""

from tests.lockstep.__main__ import keep_failure
from tests.lockstep.generator import Keep, Shape
from tests.lockstep.run import rtl, run

INSTRUCTIONS = 200_000
FIRST_SEED = 1


def test_the_core_agrees_with_qemu() -> None:
    instructions, interrupts, seed, shape = 0, 0, FIRST_SEED, Shape()
    while instructions < INSTRUCTIONS:
        outcome = run(seed, shape, Keep(), rtl)
        if not outcome.result.equal:
            folder = keep_failure(seed, shape, rtl, outcome, shrink=True)
            report = (folder / "report.txt").read_text()
            raise AssertionError(f"seed {seed}, kept in {folder}; python -m tests.lockstep --replay {folder}\n{report}")
        print(f"seed {seed}: {outcome.result.report.strip()}")
        instructions += outcome.result.instructions
        interrupts += outcome.result.interrupts
        seed += 1
    assert interrupts > 100, "hardly an interrupt was taken: the programs do not test them"
