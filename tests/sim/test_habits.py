"""What sim/engine/habits.txt says of programs that run from the caches holds while U-Boot computes a checksum."""

import pytest

from sim import boot
from sim.machine import Machine

PROMPT = "\n=> "
LOOKS, APART = 300, 1501


@pytest.mark.long
@pytest.mark.parametrize("past", ["help crc32", "cmp.b 84000000 84100000 400"])
def test_a_checksum_in_u_boot_runs_in_the_first_grade_whatever_ran_before(past: str):
    with Machine() as machine:
        machine.load_virt(kernel=boot.default_kernel())
        machine.run(until=PROMPT)
        machine.console.write(past.encode() + b"\n")
        machine.run(until=PROMPT)
        machine.console.write(b"crc32 84000000 40000\n")
        machine.run(cycles=200_000)
        first = 0
        for _ in range(LOOKS):
            machine.run(cycles=APART)
            first += machine.peek("quiet") == 1
        share = first / LOOKS
        assert share > 0.85, f"{share:.0%} of the cycles are of the first grade: run `python -m benchmarks.habits`"
