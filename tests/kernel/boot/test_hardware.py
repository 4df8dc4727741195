"""The kernel on the simulated hardware, on our firmware: one boot, and from its checkpoint everything that can be done
on the monitor's console. The same as the other architectures do on QEMU.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from firmware.image import build_firmware
from kernel import image
from rtl.soc import SocConfig
from sim import boot
from sim.machine import Checkpoint, Machine, Outcome, Reason

from .test_riscv64 import PANICS

pytestmark = pytest.mark.xdist_group("kernel on the hardware")
PROMPT = "\n> "
BANNER_CYCLES, COMMAND_CYCLES = 2_000_000, 1_000_000
OPENSBI_CYCLES = 20_000_000


@dataclass
class Booted:
    """The machine at the monitor's prompt, and the way back to there."""

    machine: Machine
    banner: str
    prompt: Checkpoint

    def type(self, text: str, until: str = PROMPT) -> tuple[str, Outcome]:
        """What is printed for it, and how that ended."""
        self.machine.console.read()
        self.machine.console.write(text.encode())
        outcome = self.machine.run(until=until, cycles=COMMAND_CYCLES)
        return self.machine.console.read().decode().replace("\r", ""), outcome


@pytest.fixture(scope="module")
def booted() -> Iterator[Booted]:
    with Machine(SocConfig()) as machine:
        kernel = image.build("riscv64").path
        machine.load_virt(bios=build_firmware().image, kernel=kernel, append="monitor two=3")
        outcome = machine.run(until=PROMPT, cycles=BANNER_CYCLES)
        banner = machine.console.read().decode().replace("\r", "")
        assert outcome.reason is Reason.TEXT, f"{outcome.reason.value} {machine.where()}:\n{banner}"
        yield Booted(machine, banner, machine.checkpoint())


@pytest.fixture
def monitor(booted: Booted) -> Booted:
    booted.machine.restore(booted.prompt)
    return booted


def test_the_banner_comes_within_two_million_cycles_of_reset(booted: Booted):
    assert booted.banner.endswith(PROMPT) and booted.prompt.cycle < BANNER_CYCLES


def test_the_banner_says_what_this_machine_is(booted: Booted):
    banner = booted.banner[booted.banner.index("\nSplax\n") :]
    assert "cpu         riscv, 1 in all, started on 0\n" in banner
    assert "features    rv64imac_zicsr" in banner
    assert re.search(r"memory +128 MiB, \d+ KiB free, kernel at 0x80200000\n", banner)
    assert "timer       10000000 Hz\n" in banner
    assert "interrupts  PLIC\n" in banner
    assert "boot        Linux Image\n" in banner
    assert "console     ns16550 at 0x10000000, interrupt 10\n" in banner
    assert "arguments   monitor two=3\n" in banner


def test_typed_lines_arrive_by_interrupt_and_the_timer_ticks(monitor: Booted):
    text, _ = monitor.type("interrupts\r")
    found = re.search(r"timer +(\d+)\n +devices +(\d+)", text)
    assert found and int(found[2]) > 0, text
    monitor.machine.run(cycles=50_000)
    later = re.search(r"timer +(\d+)\n", monitor.type("interrupts\r")[0])
    assert later and int(later[1]) > int(found[1])


@pytest.mark.parametrize(("command", "wanted"), PANICS)
def test_what_the_kernel_must_not_do_is_a_panic_with_a_backtrace(monitor: Booted, command: str, wanted: list[str]):
    text, outcome = monitor.type(command + "\r")
    assert (outcome.reason, outcome.status) == (Reason.FINISH, 1), text
    at = 0
    for part in wanted:
        at = text.find(part, at)
        assert at >= 0, f"no {part!r} in order in:\n{text}"


def test_poweroff_ends_the_machine_with_status_0(monitor: Booted):
    _, outcome = monitor.type("poweroff\r")
    assert (outcome.reason, outcome.status) == (Reason.FINISH, 0)


def test_reboot_starts_the_kernel_again(monitor: Booted):
    text, outcome = monitor.type("reboot\r")
    assert outcome.reason is Reason.RESET and text.endswith("rebooting\n")
    assert monitor.machine.layout
    monitor.machine.load(monitor.machine.layout)
    assert monitor.type("", until="\nSplax\r\n")[1].reason is Reason.TEXT


@pytest.mark.long
@pytest.mark.parametrize("firmware", ["fw_dynamic.bin", "fw_jump.bin"])
def test_on_opensbi_too_it_reboots_and_panics(firmware: str):
    """Debian's, unmodified: with the kernel's address in a structure, and at the address that is built in."""
    bios = boot.default_firmware().with_name(firmware)
    if not bios.exists():
        pytest.fail(f"{bios} is not there: apt-get install opensbi")
    with Machine(SocConfig()) as machine:
        machine.load_virt(bios=bios, kernel=image.build("riscv64").path, append="monitor two=3")
        for command, reason, status in (("reboot", Reason.RESET, 0), ("panic", Reason.FINISH, 1)):
            machine.console.read()
            assert machine.run(until=PROMPT, cycles=OPENSBI_CYCLES).reason is Reason.TEXT, machine.where()
            banner = machine.console.read().decode().replace("\r", "")
            assert "\nSplax\n" in banner and "  boot        Linux Image, OpenSBI " in banner, banner
            machine.console.write(command.encode() + b"\r")
            outcome = machine.run(cycles=OPENSBI_CYCLES)
            assert (outcome.reason, outcome.status) == (reason, status), machine.where()
            if reason is Reason.RESET:
                assert machine.layout
                machine.load(machine.layout)
        text = machine.console.read().decode()
    assert "panic: index out of bounds" in text and "kernel_monitor__fail+" in text and "kernel_start+" in text


def test_a_system_without_enough_memory_for_its_services_panics_with_status_1():
    with Machine(SocConfig(ram_bytes=8 << 20)) as machine:
        machine.load_virt(bios=build_firmware().image, kernel=image.build("riscv64").path)
        outcome = machine.run(cycles=2 * BANNER_CYCLES)
        text = machine.console.read().decode().replace("\r", "")
    assert "\npanic: the first program has ended, and with it the system\n" in text
    assert (outcome.reason, outcome.status) == (Reason.FINISH, 1), text
