"""Our kernel as U-Boot's `booti` starts it panics, and reboots to U-Boot: on both firmwares, on both machines.

What it says when it starts: test_debian.py and test_own_firmware.py.
"""

import pytest

from firmware.image import build_firmware
from tests.firmware.dialogue import (
    BOOT_KERNEL,
    COUNTDOWN,
    DEBIAN_12,
    PROMPT,
    SOC_CYCLES,
    Images,
    qemu_command,
    walk,
    walked_soc,
)
from tests.kernel.boot.machine import Machine as Qemu

pytestmark = pytest.mark.parametrize("firmware", ["opensbi", "splax"])
PANIC = ("panic: index out of bounds", "values 1005, 128", "kernel_monitor__fail+", "kernel_start+")


def images(firmware: str) -> Images:
    found = DEBIAN_12 if firmware == "opensbi" else Images(build_firmware().image, DEBIAN_12.kernel)
    if missing := found.missing():
        pytest.fail(f"{missing} is not there: apt-get install opensbi u-boot-qemu")
    return found


def test_on_qemu(firmware: str) -> None:
    with Qemu(qemu_command(images(firmware))) as machine:
        for command in ("reboot", "panic"):
            machine.expect(COUNTDOWN.decode(), seconds=60)
            machine.send("\n")
            machine.expect(PROMPT.decode())
            for line in BOOT_KERNEL:
                machine.send(f"{line}\n")
            machine.expect("\nSplax\n")
            machine.expect("\n> ")
            machine.send(f"{command}\r")
        for text in PANIC:
            machine.expect(text)
        assert machine.wait() == 1


@pytest.mark.long
def test_on_the_hardware(firmware: str) -> None:
    from sim.machine import Reason

    with walked_soc(images(firmware), BOOT_KERNEL) as machine:
        machine.console.write(b"reboot\r")
        assert machine.run(cycles=SOC_CYCLES).reason is Reason.RESET
        assert machine.layout
        machine.load(machine.layout)
        machine.console.read()
        walk(machine, BOOT_KERNEL)
        assert b"Splax\r\n" in machine.console.read()
        machine.console.write(b"panic\r")
        outcome = machine.run(cycles=SOC_CYCLES)
        said = machine.console.read().decode()
    assert (outcome.reason, outcome.status) == (Reason.FINISH, 1), said
    at = 0
    for text in PANIC:
        at = said.find(text, at)
        assert at >= 0, f"no {text!r} in order in:\n{said}"
