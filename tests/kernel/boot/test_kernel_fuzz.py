"""Random system calls on whole machines (kernel/fuzz): a few thousand here, a million and the RTL's ten thousand in the
long regression.

    FUZZ_SEED=7 pytest -m long -s tests/kernel/boot/test_kernel_fuzz.py

Seeds that once found something are kept in SEEDS.
"""

import os
import re

import pytest

from kernel import image

from .machine import Machine
from .test_hostile import HARDWARE_HZ, ICOUNT
from .test_services import MACHINES

SEED = int(os.environ.get("FUZZ_SEED", "1"))
SEEDS = (1, 2)
SHORT, LONG, ON_THE_RTL = 2_000, 1_000_000, 10_000
QUICKLY = "deep=64 whole=16 pause=3000"
"""On the RTL a call and its walk take about 100,000 cycles."""
MUST_SUCCEED = {
    "call", "reply receive", "send", "receive", "notify", "wait", "derive", "move", "delete", "revoke", "retype",
    "map table", "thread configure", "thread stop", "channel send", "channel receive", "interrupt bind", "inspect",
    "thread inspect", "channel inspect",
}  # fmt: skip
RARELY = {"reply", "map", "unmap", "thread start", "slice configure"}  # not within a few thousand calls of every seed


def judge(text: str, status: int, calls: int) -> None:
    """All calls were made, every invariant held after each, nothing was lost, and what can work did."""
    assert status == 0 and "BROKEN" not in text, text[-6000:]
    end = re.search(r"^fuzz: seed \d+, (\d+) calls in \d+ rounds, (\d+) walks over at most (\d+) slots, ", text, re.M)
    assert end and int(end[1]) == calls and int(end[2]) > calls and int(end[3]) > 150, text[-2000:]
    assert " of them deep: all invariants held, table and memory as before\n" in text
    last = re.findall(r"^ *\d+ calls:(.*)$", text, re.M)[-1]
    assert sum(int(n) for n in re.findall(r" (\d+),", last)) == calls
    (done,) = re.findall(r"^done of asked:(.*)$", text, re.M)
    succeeded = {name: int(count) for name, count in re.findall(r" ([a-z ]+) (\d+)/\d+", done)}
    wanted = MUST_SUCCEED | RARELY if calls >= ON_THE_RTL else MUST_SUCCEED
    assert all(succeeded[name] > 0 for name in wanted), done
    assert succeeded["machine stop"] == 0


def run(arch: str, seed: int, calls: int, seconds: float) -> None:
    command = [*MACHINES[arch], *ICOUNT, "-append", f"fuzz seed={seed} calls={calls}"]
    with Machine([*command, "-kernel", str(image.build(arch).path)]) as m:
        status = m.wait(seconds)
    print(m.text[m.text.index("fuzz: seed") :])
    judge(m.text, status, calls)


@pytest.mark.parametrize("arch", image.USER_MODE)
def test_random_calls_break_no_invariant_and_lose_nothing(arch):
    run(arch, SEEDS[-1], SHORT, 60)


def test_a_seed_gives_the_same_run_again():
    command = [*MACHINES["riscv64"], *ICOUNT, "-append", "fuzz seed=5 calls=300 trace=0"]
    texts = []
    for _ in range(2):
        with Machine([*command, "-kernel", str(image.build("riscv64").path)]) as m:
            assert m.wait(60) == 0
        texts.append(m.text)
    assert texts[0] == texts[1] and texts[0].count(" actor ") == 300


@pytest.mark.long
@pytest.mark.parametrize("arch", image.USER_MODE)
def test_a_million_calls(arch):
    run(arch, SEED, LONG, 7200)


@pytest.mark.long
def test_ten_thousand_calls_on_the_hardware():
    from firmware.image import build_firmware
    from rtl.soc import SocConfig
    from sim.machine import Machine as Hardware
    from sim.machine import Reason

    with Hardware(SocConfig(clock_hz=HARDWARE_HZ)) as machine:
        append = f"fuzz seed={SEED} calls={ON_THE_RTL} {QUICKLY}"
        machine.load_virt(bios=build_firmware().image, kernel=image.build("riscv64").path, append=append)
        outcome = machine.run()
        text = machine.console.read().decode().replace("\r", "")
    print(text[text.index("fuzz: seed") :])
    print(f"{outcome.cycle} cycles")
    assert outcome.reason is Reason.FINISH, outcome
    judge(text, outcome.status, ON_THE_RTL)
