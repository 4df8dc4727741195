"""aarch64: QEMU's virt machine, by `-kernel` (the Image header) and from UEFI (the same file as an EFI application)."""

import re
from pathlib import Path

import pytest

from kernel import image

from .machine import Machine, Monitor, monitor, reboots_and_panics
from .protection import PAGE, Mapping, check

QEMU = "qemu-system-aarch64 -display none -monitor none -nodefaults -serial stdio -no-reboot".split()
STATUS = ["-semihosting-config", "enable=on,target=native"]  # by which a panic is a status, as `splax qemu` has it
FIRMWARE = Path("/usr/share/qemu-efi-aarch64/QEMU_EFI.fd")


def machine(*more: str, kind: str = "virt", cpu: str = "cortex-a57", status: bool = True) -> Machine:
    ours = ["-kernel", str(image.build("aarch64").path), "-append", "monitor"]
    return Machine([*QEMU, "-M", kind, "-cpu", cpu, *ours, *(STATUS if status else []), *more])


@pytest.mark.parametrize(
    ("kind", "controller"), [("virt", "GICv2"), ("virt,gic-version=3", "GICv3"), ("virt,virtualization=on", "GICv2")]
)
def test_the_banner_says_what_this_machine_is_and_the_timer_ticks(kind: str, controller: str):
    with machine("-m", "192", "-smp", "2", "-append", "monitor two=3", kind=kind) as m:
        banner = m.expect("\n> ")
        assert "cpu         arm,cortex-a57, 2 in all, started on 0\n" in banner
        assert "features    armv8-a fp advsimd crc32 aes sha256\n" in banner
        assert re.search(r"memory +192 MiB, \d+ KiB free, kernel at 0x40200000\n", banner)
        assert re.search(r"timer +62500000 Hz\n", banner)
        assert re.search(rf"interrupts +{controller}\n", banner)
        assert re.search(r"boot +Linux Image\n", banner)
        assert re.search(r"console +PL011 at 0x9000000, interrupt 33\n", banner)
        assert re.search(r"arguments +monitor two=3\n", banner)
        m.send("interrupts\r")
        found = re.search(r"timer +(\d+)\n +devices +(\d+)", m.expect("\n> "))
        assert found and int(found[2]) > 0
        assert m.ticks() > int(found[1])
        m.send("poweroff\r")
        assert m.wait() == 0


def test_the_services_run_with_gicv3_too():
    with machine("-append", "services", kind="virt,gic-version=3") as m:
        m.expect("\nsplax> ", 60)
        m.send("ipcbench 20\r")
        m.expect("ipcbench ended with 0", 60)


@pytest.mark.parametrize(
    ("kind", "name", "controller"),
    [
        ("virt,acpi=off", "arm,cortex-a57", "GICv2"),  # with a device tree; the others have ACPI's tables only
        ("virt", "MIDR 0x411fd070", "GICv2"),
        ("virt,gic-version=3,virtualization=on", "MIDR 0x411fd070", "GICv3"),
    ],
)
def test_the_image_is_an_efi_application_too(kind: str, name: str, controller: str):
    if not FIRMWARE.exists():
        pytest.skip(f"{FIRMWARE} is missing: install qemu-efi-aarch64")
    words = ("-append", "monitor two=3")
    with machine("-m", "256", "-smp", "2", "-bios", str(FIRMWARE), *words, kind=kind) as m:
        m.expect("\nSplax\n", seconds=60)
        banner = m.expect("\n> ")
        assert f"cpu         {name}, 2 in all, started on 0\n" in banner
        assert re.search(r"memory +2\d\d( MiB|\d\d\d KiB), 2\d\d\d\d\d KiB free, kernel at 0x\w+00000\n", banner)
        assert f"interrupts  {controller}\n" in banner
        assert "console     PL011 at 0x9000000, interrupt 33\n" in banner
        assert re.search(r"boot +UEFI, \w+", banner)
        assert re.search(r"arguments +monitor two=3\n", banner)
        m.send("memory\r")
        assert " reserved\n" in m.expect("\n> ")  # the firmware's run-time services
        m.send("interrupts\r")
        assert re.search(r"devices +[1-9]", m.expect("\n> "))
        assert m.ticks() > 0
        m.send("poweroff\r")
        assert m.wait() == 0


@pytest.mark.long
def test_from_uefi_too_it_reboots_and_panics():
    if not FIRMWARE.exists():
        pytest.skip(f"{FIRMWARE} is missing: install qemu-efi-aarch64")
    with machine("-m", "256", "-bios", str(FIRMWARE)) as m:
        m.command.remove("-no-reboot")
    with Machine(m.command) as m:
        reboots_and_panics(m, 1)


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        ("panic", ["panic: index out of bounds", "values 1005, 128", "kernel_monitor__fail+", "kernel_start+"]),
        ("fault", ["fault in the kernel", "read, translation fault", "far 0x8\n", "kernel_monitor__", "kernel_start+"]),
        ("overflow", ["kernel stack overflow", "write, translation fault", "kernel_monitor__", "kernel_start+"]),
        ("write-text", ["fault in the kernel", "write, permission fault", "kernel_monitor__", "kernel_start+"]),
        ("run-data", ["fault in the kernel", "instruction fetch, permission fault"]),
    ],
)
def test_what_the_kernel_must_not_do_is_a_panic_with_a_backtrace(command: str, wanted: list[str]):
    with machine() as m:
        m.expect("\n> ")
        m.send(command + "\r")
        assert m.wait() == 1
        for text in wanted:
            m.expect(text, seconds=0.1)


def walk(view: Monitor, table: int, virtual: int = -1 << 39, level: int = 1) -> list[Mapping]:
    """What tables of the 4 KiB granule map (DDI 0487 D8.3): QEMU shows an Arm's memory, not what it means."""
    found = []
    text = view.ask(f"xp /512gx {table:#x}")
    entries = [int(word, 16) for word in re.findall(r" (0x[0-9a-f]{16})", text)]
    assert len(entries) == 512, text
    size = PAGE << 9 * (3 - level)
    for index, entry in enumerate(entries):
        target, here = entry & 0xFFFF_FFFF_F000, virtual + index * size
        if entry & 3 == 3 and level < 3:
            assert entry >> 59 == 0, "no rights taken away for what is below"
            found += walk(view, target, here, level + 1)
        elif entry & 1:
            assert entry & 2 or level < 3, f"reserved descriptor {entry:#x}"
            writable, user = not entry >> 7 & 1, bool(entry >> 6 & 1)
            found.append(Mapping(here & (1 << 64) - 1, target, size, writable, not entry >> 53 & 1, user))
            assert entry >> 54 & 1, "UXN: never executable in user mode"
    return found


def test_no_page_is_writable_and_executable(tmp_path):
    symbols = image.Elf(image.build("aarch64").elf.read_bytes()).symbols
    kernel_physical = 0x4020_0000
    with machine(*monitor(tmp_path)) as m:
        m.expect("\n> ")
        root = symbols["kernel_arch_aarch64_paging__root"] - symbols["image_start"] + kernel_physical
        check("aarch64", walk(Monitor(tmp_path / "monitor"), root), kernel_physical)


def test_a_panic_ends_the_machine_where_nobody_takes_a_status():
    with machine(status=False) as m:
        m.expect("\n> ")
        m.send("panic\r")
        assert m.wait() == 0
        assert "panic while" not in m.expect("kernel_start+", seconds=0.1)


def test_reboot_starts_the_kernel_again():
    with machine() as m:
        m.command.remove("-no-reboot")
    with Machine(m.command) as m:
        m.expect("\n> ")
        m.send("reboot\r")
        m.expect("rebooting")
        m.expect("\nSplax\n")
        m.expect("\n> ")
