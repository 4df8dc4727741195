"""Hostile programs on QEMU: each attack is refused or ends the attacker, and nobody else notices (kernel/hostile)."""

import re

import pytest

from kernel import image
from kernel.hostile import attacks
from kernel.hostile.roles import Attack

from .machine import Machine
from .test_services import MACHINES

ICOUNT = ["-icount", "shift=3,sleep=off"]
"""Time is instructions, 8 ns each, and jumps where nothing runs: a run does not depend on the host's load."""
DEATHS = 3  # of the functions: stack overflow, own code, data as code


@pytest.mark.parametrize("arch", image.USER_MODE)
def test_every_attack_is_refused_or_ends_the_attacker_and_nobody_else_notices(arch):
    with Machine([*MACHINES[arch], *ICOUNT, "-append", "hostile", "-kernel", str(image.build(arch).path)]) as m:
        status = m.wait(90)
    ends = re.findall(r"^  (.+): (refused|stopped|died, cause *\d+), neighbour at +(\d+) calls$", m.text, re.M)
    functions = ends[: len(Attack)]
    assert "WRONG" not in m.text, m.text
    assert [name for name, *_ in functions] == [a.name.lower().replace("_", " ") for a in Attack]
    assert all(end.startswith("died") for _, end, _ in ends[len(Attack) - DEATHS :])
    progress = [int(calls) for *_, calls in ends]
    assert all(a < b for a, b in zip(progress, progress[1:], strict=False)), "the neighbour stood still"
    assert f"hostile: {len(ends)} attacks, 0 wrong, table and memory as before\n" in m.text
    assert len(ends) > len(Attack) + attacks.ACCESSES and status == 0
