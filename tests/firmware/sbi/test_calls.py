"""Every function of the SBI with good and bad arguments (program.c), on QEMU with one and four harts, on processors
with and without Sstc, on the SoC, and with a firmware that has to emulate the counters.
"""

import re
import shutil
from unittest import mock

import pytest

from firmware import boot, image
from firmware.compile import compile_firmware
from tests.firmware.sbi import machine

pytestmark = pytest.mark.skipif(
    not shutil.which("qemu-system-riscv64"), reason="QEMU is missing: apt-get install qemu-system-misc"
)
WITHOUT_SSTC = "rv64,sstc=false"


def verdict(said: str) -> str:
    """The program's last line, after the checks that failed."""
    failed = [line for line in said.splitlines() if line.startswith("FAILED")]
    found = re.search(r"harts (\d+) checks (\d+) failed (\d+)", said)
    assert found, f"the program did not get to its end:\n{said}"
    assert not failed and found[3] == "0", "\n".join(failed)
    assert int(found[2]) > 400
    return found[1]


@pytest.mark.parametrize(("cpu", "harts"), [("rv64", 1), ("rv64", 4), (WITHOUT_SSTC, 4)])
def test_calls_keep_the_specification_on_qemu(cpu, harts):
    said = machine.qemu(image.build_firmware().image, machine.program(), cpu=cpu, harts=harts)
    assert verdict(said) == str(harts)
    assert f"of {harts}, rv64" in said and "by the debug console\nA\nB\n" in said
    assert ("Hz by CLINT" if cpu == WITHOUT_SSTC else "Hz by stimecmp") in said


def test_calls_keep_the_specification_on_the_soc():
    """Here misaligned accesses of devices trap, and the firmware does them."""
    said, status = machine.soc(image.build_firmware().image, machine.program(), 20_000_000)
    assert verdict(said) == "1" and status == 0


def test_counters_that_a_core_lacks_are_emulated():
    """The same program where no counter is readable below M-mode: each rdtime, rdcycle and rdinstret traps."""
    with mock.patch.object(boot, "COUNTERS", 0):
        firmware = compile_firmware().image
    assert firmware.read_bytes() != image.build_firmware().image.read_bytes()
    assert verdict(machine.qemu(firmware, machine.program(), cpu=WITHOUT_SSTC)) == "1"


def test_a_failed_shutdown_is_seen_outside():
    """SRST with the reason "system failure" is a failure of the whole run; the program says so when a check failed."""
    with mock.patch("firmware.sbi.IMPLEMENTATION", 1):
        firmware = compile_firmware().image
    with machine.Qemu(firmware, machine.program()) as qemu:
        said = qemu.console()
        assert "FAILED implementation: 1, wanted 0x53706c78" in said and "failed 1\n" in said
        assert qemu.process.wait(timeout=10) == 1
