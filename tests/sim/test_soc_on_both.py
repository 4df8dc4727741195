"""The whole SoC on the cycle engine and on Verilator: two implementations of the same gates, the same run."""

import pytest

from firmware.image import build_firmware
from kernel import image
from rtl.soc import SocConfig
from sim.build import HABITS
from sim.engine.habits import Habits
from sim.machine import Machine

CYCLES, SLICE = 700_000, 50_000  # past the kernel's banner
LOOKS = 50


def boot(traced: bool) -> Machine:
    # With the DMA port, as for `splax run --elf --wave`: one traced simulator for all tests.
    machine = Machine(SocConfig(dma=True), traced=traced, rtc_time=0)
    machine.load_virt(bios=build_firmware().image, kernel=image.build("riscv64").path, append="monitor")
    return machine


@pytest.mark.xdist_group("traced simulator")
def test_firmware_and_kernel_take_the_same_steps_in_the_same_cycles():
    with boot(traced=False) as ours, boot(traced=True) as verilator:
        quiet = 0
        for _ in range(CYCLES // SLICE):
            seen = []
            for _ in range(LOOKS):
                ours.run(cycles=SLICE // LOOKS)
                quiet += ours.peek("quiet") > 0
            verilator.run(cycles=SLICE)
            for machine in (ours, verilator):
                status = machine.status
                counters = machine.statistics()["counters"]
                seen.append((machine.cycle, status.pc, status.privilege, status.instructions, counters))
            assert seen[0] == seen[1]
        printed = [bytes(machine.console.read()) for machine in (ours, verilator)]
        assert printed[0] == printed[1] and b"\nSplax\r\n" in printed[0]
        assert ours.memory.read(0x8000_0000, 16 << 20) == verilator.memory.read(0x8000_0000, 16 << 20)
        # Little rests while the caches are cold; a register that no longer does leaves no quiet cycle at all.
        share = quiet / (LOOKS * (CYCLES // SLICE))
        habits = Habits.parse(HABITS.read_text())
        gone = {*habits.grades[0], *habits.stays} - ours.words().keys()
        assert not gone, f"{HABITS.name} names {sorted(gone)}: run `python -m benchmarks.habits`"
        assert share > 0.1, f"{share:.0%} of the cycles are quiet: run `python -m benchmarks.habits`"
