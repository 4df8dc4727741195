"""x86_64: QEMU's q35, started by -kernel (PVH), by GRUB with Multiboot2 from BIOS and UEFI, and by Limine."""

import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from kernel import image, iso
from sim.other_twins import UEFI

from .machine import Machine, Monitor, monitor, reboots_and_panics
from .pc import DATA_AT, FAILED, kernel, limine, pc, pvh, stub, uefi
from .protection import PAGE, Mapping, check

PANICS = [
    ("panic", ["panic: index out of bounds", "values 1005, 128", "kernel_monitor__fail+", "kernel_start+"]),
    ("fault", ["panic: page fault", "cr2 0x8\n", "kernel_monitor__", "kernel_start+"]),
    ("overflow", ["panic: kernel stack overflow", "vector 0x8\n", "kernel_monitor__", "kernel_start+"]),
    ("write-text", ["panic: page fault", "error 0x3\n", "kernel_monitor__", "kernel_start+"]),
    ("run-data", ["panic: page fault", "error 0x11\n", "kernel_start+"]),
]


def works(machine: Machine, boot: str, *, mib: int = 128, seconds: float = 60) -> None:
    """What must work on every path: the banner's facts, typing by interrupt, the timer, power-off."""
    banner = machine.expect("\n> ", seconds)
    banner = banner[banner.index("\nSplax\n") :]
    assert re.search(r"cpu +QEMU TCG CPU version \S+, 1 in all, started on 0\n", banner)
    memory = re.search(r"memory +(\d+) KiB, (\d+) KiB free, kernel at 0x[0-9a-f]+000\n", banner)
    assert memory and (mib - 10) << 10 < int(memory[1]) < mib << 10 and int(memory[2]) < int(memory[1])
    hertz = re.search(r"timer +(\d+) Hz\n", banner)
    assert hertz and 100_000_000 < int(hertz[1]) < 10_000_000_000
    assert re.search(r"interrupts +APIC\n", banner)
    assert re.search(rf"boot +{boot}\n", banner)
    assert re.search(r"console +ns16550 at 0x3f8, interrupt 4\n", banner)
    assert re.search(r"arguments +monitor two=3\n", banner)
    machine.send("interrupts\r")
    found = re.search(r"timer +(\d+)\n +devices +(\d+)", machine.expect("\n> "))
    assert found and int(found[2]) > 0
    assert machine.ticks() > int(found[1])
    machine.send("poweroff\r")
    assert machine.wait() == 0


def test_pvh():
    with pvh("-append", "monitor two=3", memory="200M") as machine:
        works(machine, "PVH", mib=200)


@pytest.mark.parametrize("bios", ["grub", "uefi"])
def test_multiboot2_by_grub_as_splax_qemu_starts_it(bios: str):
    """`grub`: from QEMU's BIOS."""
    if iso.missing():
        pytest.skip(f"install {' '.join(iso.missing())}")
    if bios == "uefi" and not Path(UEFI["x86_64"][0]).exists():
        pytest.skip("install ovmf")
    command = [sys.executable, "-m", "splax", "qemu", "--arch", "x86_64", "--bios", bios, "--append", "monitor two=3"]
    with Machine(command) as machine:
        works(machine, "Multiboot2, GRUB 2.*", seconds=120)


@pytest.mark.long
@pytest.mark.parametrize("bios", ["grub", "uefi"])
def test_from_a_disc_too_it_reboots_and_panics(tmp_path: Path, bios: str):
    if iso.missing():
        pytest.skip(f"install {' '.join(iso.missing())}")
    disc = tmp_path / "splax.iso"
    iso.write(Path(kernel()), disc, "monitor")
    firmware = uefi() if bios == "uefi" else []
    with pc(*firmware, "-cdrom", str(disc), reboots=True) as machine:
        reboots_and_panics(machine, FAILED)


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_limine(tmp_path, firmware):
    release = limine()
    if shutil.which("xorriso") is None:
        pytest.skip("xorriso is missing: install xorriso")
    root = tmp_path / "root"
    files = {name: f"boot/limine/{name}" for name in ("limine-bios.sys", "limine-bios-cd.bin", "limine-uefi-cd.bin")}
    for name, place in (files | {"BOOTX64.EFI": "EFI/BOOT/BOOTX64.EFI"}).items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(release / name, root / place)
    shutil.copyfile(kernel(), root / "boot" / "splax")
    entry = "protocol: limine\nkernel_path: boot():/boot/splax\nkernel_cmdline: monitor two=3\n"
    (root / "boot/limine/limine.conf").write_text(f"timeout: 0\nserial: yes\n\n/Splax\n{entry}")
    out = tmp_path / "limine.iso"
    bios = f"-b {files['limine-bios-cd.bin']} -no-emul-boot -boot-load-size 4 -boot-info-table"
    efi = f"--efi-boot {files['limine-uefi-cd.bin']} -efi-boot-part --efi-boot-image --protective-msdos-label"
    subprocess.run(
        ["xorriso", "-as", "mkisofs", "-quiet", *bios.split(), *efi.split(), str(root), "-o", str(out)], check=True
    )
    with pc(*(uefi() if firmware == "uefi" else []), "-vga", "std", "-cdrom", str(out)) as machine:
        works(machine, "Limine, Limine", seconds=120)


@pytest.mark.parametrize(("command", "wanted"), PANICS)
def test_what_the_kernel_must_not_do_is_a_panic_with_a_backtrace(command: str, wanted: list[str]):
    with pvh() as machine:
        machine.expect("\n> ")
        machine.send(command + "\r")
        assert machine.wait() == FAILED
        for text in wanted:
            machine.expect(text, seconds=0.1)


def test_a_non_maskable_interrupt_is_a_panic_on_a_stack_of_its_own(tmp_path):
    with pvh(*monitor(tmp_path)) as machine:
        machine.expect("\n> ")
        Monitor(tmp_path / "monitor").ask("nmi")
        assert machine.wait() == FAILED
        machine.expect("panic: non-maskable interrupt", seconds=0.1)
        machine.expect("vector 0x2\n", seconds=0.1)
        symbols = image.Elf(image.build("x86_64").elf.read_bytes()).symbols
        rsp = int(re.search(r"rsp (0x[0-9a-f]+)", machine.expect("backtrace", seconds=0.1))[1], 16)
        assert symbols["stack_bottom"] < rsp <= symbols["stack_top"], "where the interrupted code was"


def test_reboot_starts_the_kernel_again():
    with pvh(reboots=True) as machine:
        machine.expect("\n> ")
        machine.send("reboot\r")
        machine.expect("rebooting")
        machine.expect("\nSplax\n")
        machine.expect("\n> ")


def test_qemu_sees_every_protection_on_and_no_page_writable_and_executable(tmp_path):
    with pvh(*monitor(tmp_path)) as machine:
        assert re.search(r"features +x86-64 nx smep smap umip pge pdpe1gb", machine.expect("\n> "))
        view = Monitor(tmp_path / "monitor")
        registers = view.ask("info registers")
        cr0, cr4, efer = (int(re.search(rf"{n}=([0-9a-f]+)", registers)[1], 16) for n in ("CR0", "CR4", "EFER"))
        assert cr0 >> 31 & 1 and cr0 >> 16 & 1, "paging, write protection"
        assert cr4 >> 20 & 1 and cr4 >> 21 & 1 and cr4 >> 11 & 1 and cr4 >> 7 & 1, "SMEP, SMAP, UMIP, global pages"
        assert efer >> 11 & 1 and efer >> 10 & 1, "execute disable, long mode"
        pages = re.findall(r"^([0-9a-f]{16}): ([0-9a-f]{16}) (\S{9})", view.ask("info tlb"), re.M)
        assert len(pages) > 100
        mappings = [
            Mapping(int(a, 16), int(p, 16), PAGE, write=f[8] == "W", execute=f[0] != "X", user=f[7] == "U")
            for a, p, f in pages
        ]
        check("x86_64", mappings, kernel_physical=0x20_0000)


def test_a_cpu_without_them_boots_all_the_same():
    with pvh(cpu="qemu64,-pdpe1gb") as machine:
        banner = machine.expect("\n> ")
        assert re.search(r"features +x86-64 nx pge\n", banner)
        assert machine.ticks() > 0


def test_without_an_hpet_the_8254_is_the_yardstick():
    with pvh("-no-hpet") as machine:
        hertz = re.search(r"timer +(\d+) Hz", machine.expect("\n> "))
        assert hertz and 100_000_000 < int(hertz[1]) < 10_000_000_000
        assert machine.ticks() > 0


def test_every_processor_that_the_madt_enables_is_counted():
    with pvh("-smp", "3") as machine:
        assert re.search(r"cpu +QEMU.*, 3 in all, started on 0\n", machine.expect("\n> "))


def test_memory_above_4_gib_is_used():
    with pvh(memory="5G") as machine:
        assert re.search(r"memory +(5242\d{3}|5243\d{3}) KiB", machine.expect("\n> "))
        machine.send("memory\r")
        assert "0x100000000..0x1c0000000" in machine.expect("\n> ")


@pytest.mark.parametrize(
    ("cpu", "reason"),
    [("qemu32", "this CPU has no 64-bit mode"), ("qemu64,-nx", "this CPU has no execute-disable bit")],
)
def test_a_cpu_that_cannot_run_the_kernel_is_told_so(cpu: str, reason: str):
    with pvh(cpu=cpu) as machine:
        assert f"boot stopped: {reason}" in machine.expect("\n")


MULTIBOOT2_EAX = 0x36D7_6289
START_INFO = struct.pack("<IIIIQQQQII", 0x336E_C578, 1, 0, 0, 0, 0, 0, DATA_AT + 0x100, 1, 0).ljust(0x100, b"\0")
START_INFO += struct.pack("<QQII", 0, 64 << 20, 1, 0)


@pytest.mark.parametrize(
    ("entry", "eax", "data", "reason"),
    [
        ("multiboot2_entry", 0x2BAD_B002, b"", "the boot loader does not speak Multiboot2"),
        ("multiboot2_entry", MULTIBOOT2_EAX, b"", "the Multiboot2 information's total_size is too small"),
        ("multiboot2_entry", MULTIBOOT2_EAX, struct.pack("<IIII", 16, 0, 0, 8), "the boot loader gives no memory map"),
        ("multiboot2_entry", MULTIBOOT2_EAX, struct.pack("<IIII", 24, 0, 1, 99), "a Multiboot2 tag is shorter"),
        ("pvh_entry", 0, b"", "the PVH start info has no magic number"),
        ("pvh_entry", 0, START_INFO, "ACPI: the boot loader gives no RSDP"),
    ],
)
def test_what_a_broken_loader_leaves_stops_the_boot_with_a_reason(tmp_path, entry, eax, data, reason):
    address = image.Elf(image.build("x86_64").elf.read_bytes()).symbols[entry] & 0xFFF_FFFF
    with pc(*stub(tmp_path, address, eax=eax, data=data)) as machine:
        machine.expect("boot stopped: ")
        assert machine.expect("\n").startswith(reason)
