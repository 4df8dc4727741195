"""Hostile programs on QEMU: each attack is refused or ends the attacker, and nobody else notices (kernel/hostile)."""

import re

import pytest

from kernel import image
from kernel.hostile import attacks
from kernel.hostile.roles import Attack

from .machine import Machine
from .test_services import MACHINES

ICOUNT = ["-icount", "shift=3,sleep=off", "-rtc", "clock=vm"]
"""Time is instructions, 8 ns each, and jumps where nothing runs: a run does not depend on the host's load."""
HARDWARE_HZ = 20_000_000
"""Nominal clock of the simulated hardware: at the usual 1 MHz a time slice is shorter than a way through the kernel."""
DEATHS = 3  # of the functions: stack overflow, own code, data as code


@pytest.mark.parametrize("arch", image.USER_MODE)
def test_every_attack_is_refused_or_ends_the_attacker_and_nobody_else_notices(arch):
    with Machine([*MACHINES[arch], *ICOUNT, "-append", "hostile", "-kernel", str(image.build(arch).path)]) as m:
        status = m.wait(90)
    judge(m.text, status)


def on_the_hardware(append: str) -> tuple[str, int]:
    """What it says, and the status that it ends with."""
    from firmware.image import build_firmware
    from rtl.soc import SocConfig
    from sim.machine import Machine as Hardware
    from sim.machine import Reason

    with Hardware(SocConfig(clock_hz=HARDWARE_HZ)) as machine:
        machine.load_virt(bios=build_firmware().image, kernel=image.build("riscv64").path, append=append)
        outcome = machine.run()
        text = machine.console.read().decode().replace("\r", "")
    print(f"{text}\n{outcome.cycle} cycles")
    assert outcome.reason is Reason.FINISH, outcome
    return text, outcome.status


@pytest.mark.xdist_group("kernel on the hardware")
def test_no_reservation_outlives_an_interrupt_or_a_call_on_the_hardware():
    """On QEMU none does, whatever the kernel does: it drops them when the privilege changes."""
    text, status = on_the_hardware(f"hostile only={Attack.KEEP_RESERVATION}")
    assert re.search(r"^  keep reservation: refused, ", text, re.M) and "hostile: 1 attacks, 0 wrong" in text
    assert status == 0


@pytest.mark.long
def test_every_attack_on_the_hardware():
    judge(*on_the_hardware("hostile"))


def judge(text: str, status: int) -> None:
    """Every attack ended as it must, killed drivers left a device that their next lives could drive, and the neighbour
    went on."""
    killed = re.findall(
        r"^  driver killed (\w+) its interrupt: the next one works, neighbour at +\d+ calls$", text, re.M
    )
    assert killed == ["before", "after"] * 2, text
    ends = re.findall(r"^  (.+): (refused|stopped|died, cause *\d+), neighbour at +(\d+) calls$", text, re.M)
    functions = ends[: len(Attack)]
    assert "WRONG" not in text, text
    assert [name for name, *_ in functions] == [a.name.lower().replace("_", " ") for a in Attack]
    assert all(end.startswith("died") for _, end, _ in ends[len(Attack) - DEATHS :])
    spaces = re.findall(r"^  address spaces beside each other: (\d+), neighbour at +(\d+) calls$", text, re.M)
    assert len(spaces) == 1 and int(spaces[0][0]) + 5 > 4095, "as many as the CPU with the most identifiers has"
    progress = [int(calls) for *_, calls in ends]
    assert all(a < b for a, b in zip(progress, progress[1:], strict=False)), "the neighbour stood still"
    assert f"hostile: {len(ends)} attacks, 0 wrong, table and memory as before\n" in text
    assert len(ends) > len(Attack) + attacks.ACCESSES and status == 0
