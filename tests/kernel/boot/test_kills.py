"""Services killed in turn at random moments (kernel/fuzz/kills): S-ATLAS brings them back, clients get errors, then
answers, nothing is lost. A thousand times each in the long regression:

    FUZZ_SEED=7 pytest -m long -s tests/kernel/boot/test_kills.py
"""

import re

import pytest

from kernel import image
from kernel.services.description import SYSTEM

from .machine import Machine
from .test_hostile import ICOUNT
from .test_kernel_fuzz import SEED
from .test_services import MACHINES

NAMES = [service.name for service in SYSTEM.services if service.at_boot]
SERVICES = len(NAMES)
SHORT, LONG = 14 * SERVICES, 1000 * SERVICES  # kills; seven in a row are more than a minute's restarts


def run(arch: str, seed: int, kills: int, seconds: float) -> None:
    command = [*MACHINES[arch], *ICOUNT, "-append", f"kills seed={seed} kills={kills}"]
    with Machine([*command, "-kernel", str(image.build(arch).path)]) as m:
        status = m.wait(seconds)
    lines = {int(n) for n in re.findall(r"^line +(\d+) whole\.$", m.text, re.M)}
    rest = "\n".join(line for line in m.text.splitlines() if line and not line.startswith("line "))
    print(rest[-1000:])
    assert status == 0 and "WRONG" not in m.text, rest[-3000:]
    assert f"kills: seed {seed}, {kills} kills, {2 * kills + 1} walks: all invariants held" in m.text
    ends = re.findall(r"^  (\S+) killed (\d+) times, brought back (\d+)$", m.text, re.M)
    assert [name for name, *_ in ends] == NAMES
    for name, killed, back in ends:
        assert int(killed) >= kills // SERVICES - 7, name
        assert int(back) >= int(killed), name
    middle, slowest = re.findall(r"in the middle of a request: (\d+); slowest new life (\d+) ms", m.text)[0]
    assert int(middle) > kills // 20, "hardly anybody was killed at work"
    assert 10_000 < int(slowest) < 100_000, "five restarts a minute, then a wait"
    written, found, errors, wrong = map(
        int, re.findall(r"customer: (\d+) lines, (\d+) found by name, (\d+) errors, (\d+) wrong", m.text)[0]
    )
    assert found > kills and errors > 0 and wrong == 0
    assert lines >= set(range(written)), "a line that the console took was not printed"


def test_killed_services_come_back_and_lose_nothing():
    run("riscv64", 1, SHORT, 60)


@pytest.mark.long
@pytest.mark.parametrize("arch", image.USER_MODE)
def test_a_thousand_kills_of_each(arch):
    run(arch, SEED, LONG, 7200)
