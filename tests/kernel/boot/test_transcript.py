"""The same console script gives the same transcript on the RTL and on QEMU's three machines, apart from figures.

A figure is a number; the blanks in front of one, which align it, go with it. Everything else must be the same, to the
blank. Left out is what a machine says about itself (the processor's name, its features, the banner), and that S-ATLAS
found a service late, which depends on how busy the host is.
"""

import re
from collections.abc import Callable

import pytest

from firmware.image import build_firmware
from kernel import image
from kernel.services.description import SYSTEM
from kernel.services.shell.main import HELP
from sim import machine as rtl

from .machine import Machine
from .test_services import MACHINES

PROMPT = "\nsplax> "
TWIN_SECONDS = 60
RTL_CYCLES = 40_000_000  # for one answer
SCRIPT = [
    "help",
    "help svc",
    "help nothing",
    "services",
    "caps",
    "ps",
    "mem",
    "channels",
    "audit",
    "dmesg",
    "irq",
    "lscpu",
    "uptime",
    "run",
    "run hello 3",
    "run hello-c",
    "run wild 0x123456789",
    "run nobody",
    "run pages 1",
    "kill",
    "nonsense",
    "svc stop nobody",
    "svc start console",
    "svc stop atlas",
    "svc restart console",
    "services",
    "svc kill console",
    "services",
    "dmesg",
    "ipcbench 20",
    "mem",
]
"""Each command of the shell; `reboot` and `shutdown` come behind."""

NUMBER = re.compile(r" *(0x[0-9a-f]+|\d+(,\d{3})*(\.\d+)?)")
OF_THE_MACHINE = re.compile(r"(processor|machine|features) ")
LEFT_OUT = re.compile(
    r"N  kernel   .*"  # the banner
    r"|N  atlas   \w+ (degraded|healthy)"
    r"|  The fastest null call and the median one differ: an emulator, whose times are meaningless\."
)


def without_figures(text: str) -> list[str]:
    """Lines with N for each number, without what is left out. aarch64 counts something else than cycles."""
    lines = [line for line in text.splitlines() if not OF_THE_MACHINE.match(line)]
    lines = [NUMBER.sub("N", line.replace("counts,", "cycles,")) for line in lines]
    return [line for line in lines if line and not LEFT_OUT.fullmatch(line)]


class Hardware:
    """The simulated hardware, typed on as a Machine under QEMU is."""

    def __init__(self) -> None:
        self.machine = rtl.Machine()
        self.machine.load_virt(bios=build_firmware().image, kernel=image.build("riscv64").path)

    def __enter__(self) -> "Hardware":
        return self

    def __exit__(self, *_: object) -> None:
        self.machine.close()

    def send(self, text: str) -> None:
        """Types."""
        self.machine.console.write(text.encode())

    def expect(self, wanted: str, _: float = 0) -> str:
        """Runs until the text comes, also through a reset; gives what came since the last one."""
        outcome = self.machine.run(until=wanted.replace("\n", "\r\n"), cycles=RTL_CYCLES)
        if outcome.reason is rtl.Reason.RESET and self.machine.layout:
            self.machine.load(self.machine.layout)
            outcome = self.machine.run(until=wanted.replace("\n", "\r\n"), cycles=RTL_CYCLES)
        text = self.machine.console.read().decode(errors="replace").replace("\r", "")
        assert outcome.reason is rtl.Reason.TEXT, f"no {wanted!r} in {RTL_CYCLES} cycles:\n{text}"
        return text

    def wait(self) -> int:
        """The exit status, once the machine ends by itself."""
        outcome = self.machine.run(cycles=RTL_CYCLES)
        assert outcome.reason is rtl.Reason.FINISH
        return outcome.status


def qemu(arch: str) -> Machine:
    """QEMU's machine of an architecture, which starts again when it is told to."""
    command = [word for word in MACHINES[arch] if word != "-no-reboot"]
    return Machine([*command, "-kernel", str(image.build(arch).path)])


def transcript(start: Callable[[], Machine | Hardware]) -> list[str]:
    """What the script makes a machine print, from its first prompt on; `caps` is what the build said, to the letter."""
    with start() as machine:
        machine.expect(PROMPT, TWIN_SECONDS)
        lines: list[str] = []
        for command in SCRIPT:
            machine.send(command + "\r")
            text = machine.expect(PROMPT, TWIN_SECONDS)
            if command == "caps":
                assert text == f"caps\n{SYSTEM.report()}splax> "
            lines += without_figures(text)
        machine.send("reboot\r")
        assert "`help` lists the commands\n" in machine.expect(PROMPT, TWIN_SECONDS)
        machine.send("shutdown\r")
        assert machine.wait() == 0
    return lines


@pytest.fixture(scope="module")
def on_qemu() -> list[str]:
    """The transcript that the others are compared with."""
    lines = transcript(lambda: qemu("riscv64"))
    commands = [usage.split()[0] for usage in HELP]
    assert {command.split()[0] for command in SCRIPT} >= set(commands) - {"reboot", "shutdown"}, "every command"
    assert len(lines) > 150 and "console      running  healthy   alwaysNNN" in lines
    return lines


@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
def test_every_architecture_gives_the_same_transcript(on_qemu: list[str], arch: str):
    assert transcript(lambda: qemu(arch)) == on_qemu


@pytest.mark.long
def test_the_hardware_gives_the_same_transcript(on_qemu: list[str]):
    assert transcript(Hardware) == on_qemu
