"""riscv64: QEMU's virt machine, by `-kernel` on OpenSBI."""

import re

import pytest

from kernel import image

from .machine import Machine, Monitor, monitor
from .protection import Mapping, check

QEMU = "qemu-system-riscv64 -M virt -display none -monitor none -nodefaults -serial stdio -no-reboot".split()


def machine(*more: str) -> Machine:
    return Machine([*QEMU, "-kernel", str(image.build("riscv64").path), "-append", "monitor", *more])


def test_the_banner_says_what_this_machine_is():
    with machine("-m", "192", "-smp", "2", "-append", "monitor two=3") as m:
        banner = m.expect("\n> ")
        assert re.search(r"cpu +riscv, 2 in all, started on [01]\n", banner)
        assert re.search(r"features +rv64ima\w*_zicsr", banner)
        assert re.search(r"memory +192 MiB, \d+ KiB free, kernel at 0x80200000\n", banner)
        assert re.search(r"timer +10000000 Hz\n", banner)
        assert re.search(r"interrupts +PLIC\n", banner)
        assert re.search(r"boot +Linux Image, OpenSBI \d+\.\d+\n", banner)
        assert re.search(r"console +ns16550 at 0x10000000, interrupt 10\n", banner)
        assert re.search(r"arguments +monitor two=3\n", banner)
        m.send("poweroff\r")
        assert m.wait() == 0


def test_typed_lines_arrive_by_interrupt_and_the_timer_ticks():
    with machine() as m:
        m.expect("\n> ")
        m.send("interrupts\r")
        found = re.search(r"timer +(\d+)\n +devices +(\d+)", m.expect("\n> "))
        assert found and int(found[2]) > 0
        assert m.ticks() > int(found[1])


PANICS = [
    ("panic", ["panic: index out of bounds", "values 1005, 128", "kernel_monitor__fail+", "kernel_start+"]),
    ("fault", ["fault in the kernel", "load page fault", "stval 0x8\n", "kernel_monitor__", "kernel_start+"]),
    ("overflow", ["kernel stack overflow", "store page fault", "kernel_monitor__", "kernel_start+"]),
    ("write-text", ["fault in the kernel", "store page fault", "kernel_monitor__", "kernel_start+"]),
    ("run-data", ["fault in the kernel", "instruction page fault"]),
]
"""What the monitor does wrong when asked, and what the panic says, in this order."""


@pytest.mark.parametrize(("command", "wanted"), PANICS)
def test_what_the_kernel_must_not_do_is_a_panic_with_a_backtrace(command: str, wanted: list[str]):
    with machine() as m:
        m.expect("\n> ")
        m.send(command + "\r")
        assert m.wait() == 1
        for text in wanted:
            m.expect(text, seconds=0.1)


def test_qemu_sees_no_page_writable_and_executable(tmp_path):
    with machine(*monitor(tmp_path)) as m:
        m.expect("\n> ")
        text = Monitor(tmp_path / "monitor").ask("info mem")
    rows = re.findall(r"^([0-9a-f]{16}) ([0-9a-f]{16}) ([0-9a-f]{16}) r([w-])([x-])([u-])", text, re.M)
    mappings = [
        Mapping(int(v, 16), int(p, 16), int(n, 16), write=w == "w", execute=x == "x", user=u == "u")
        for v, p, n, w, x, u in rows
    ]
    check("riscv64", mappings, kernel_physical=0x8020_0000)


def test_reboot_starts_the_kernel_again():
    command = [part for part in QEMU if part != "-no-reboot"]
    with Machine([*command, "-kernel", str(image.build("riscv64").path), "-append", "monitor"]) as m:
        m.expect("\n> ")
        m.send("reboot\r")
        m.expect("rebooting")
        m.expect("\nSplax\n")
        m.expect("\n> ")


def test_without_stimecmp_the_timer_ticks_through_the_firmware():
    with machine("-cpu", "rv64,sstc=false") as m:
        assert "_sstc" not in m.expect("\n> ")
        assert m.ticks() > 0
