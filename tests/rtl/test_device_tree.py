"""The generated device tree, judged by `dtc` and by the tree that QEMU makes for its `virt` machine."""

import shutil
import struct
import subprocess
import threading
from pathlib import Path

import pytest

from rtl import memory_map
from rtl.cpu_riscv64.config import CoreConfig
from rtl.device_tree import UART_PATH, device_tree, isa_string
from rtl.flattened_tree import Node, cells, flatten, strings, unflatten
from rtl.soc import SocConfig

QEMU = "qemu-system-riscv64"
OPENSBI = Path("/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin")
U_BOOT = Path("/usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin")
QEMU_CPU = "rv64,f=false,d=false,h=false,v=false,zbc=false"

OURS_ALONE = {
    # mandatory for an interrupt controller; QEMU 7.2 forgets it, and dtc warns
    ("/cpus/cpu@0/interrupt-controller", "#address-cells"),
    # the newer way to say riscv,isa
    ("/cpus/cpu@0", "riscv,isa-base"),
    ("/cpus/cpu@0", "riscv,isa-extensions"),
}
DIFFERENT = {
    ("/cpus/cpu@0", "mmu-type"),  # we have Sv39, QEMU Sv48
    ("/chosen", "rng-seed"),
}


def needs(command: str) -> str:
    if shutil.which(command) is None:
        pytest.skip(f"{command} is not installed: it is the judge of this test")
    return command


def qemu_tree(folder: Path) -> Node:
    file = folder / "virt.dtb"
    command = [needs(QEMU), "-M", f"virt,dumpdtb={file}", "-m", "128M", "-cpu", QEMU_CPU, "-display", "none"]
    subprocess.run(command, check=True, capture_output=True)
    return unflatten(file.read_bytes())


def test_every_node_of_a_device_we_have_is_qemus(tmp_path: Path) -> None:
    theirs = dict(qemu_tree(tmp_path).walk())
    ours = dict(device_tree(SocConfig(ram_bytes=128 << 20)).walk())
    missing = {path.split("@")[0].strip("/") for path in theirs.keys() - ours.keys()}
    assert missing == {"fw-cfg", "platform-bus", "soc/virtio_mmio"}, "devices that we do not have"
    assert ours.keys() <= theirs.keys()
    for path, node in ours.items():
        if path == "/pmu":
            continue  # other counters than QEMU's
        for name in node.properties.keys() | theirs[path].properties.keys():
            if (path, name) in OURS_ALONE:
                assert name not in theirs[path].properties
            elif (path, name) not in DIFFERENT:
                assert node.properties.get(name) == theirs[path].properties.get(name), f"{path} {name}"


def test_dtc_accepts_it_without_a_warning(tmp_path: Path) -> None:
    tree = device_tree(
        SocConfig(), bootargs="console=ttyS0", initrd=(0x8400_0000, 0x8410_0000), rng_seed=bytes(range(32))
    )
    file = tmp_path / "soc.dtb"
    file.write_bytes(flatten(tree))
    result = subprocess.run(
        [needs("dtc"), "-I", "dtb", "-O", "dts", str(file)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0 and result.stderr == ""
    assert 'bootargs = "console=ttyS0"' in result.stdout


def test_dtc_reads_what_we_write_and_we_read_what_dtc_writes(tmp_path: Path) -> None:
    file, again = tmp_path / "soc.dtb", tmp_path / "again.dtb"
    tree = device_tree(SocConfig())
    file.write_bytes(flatten(tree))
    subprocess.run([needs("dtc"), "-q", "-I", "dtb", "-O", "dtb", "-o", str(again), str(file)], check=True)
    assert unflatten(again.read_bytes()) == tree
    assert unflatten(flatten(tree)) == tree


def console(tree: Path | None) -> list[str]:
    """What OpenSBI and U-Boot print on QEMU up to U-Boot's countdown."""
    command = [needs(QEMU), "-M", "virt", "-m", "128M", "-cpu", QEMU_CPU, "-nographic", "-monitor", "none"]
    command += ["-bios", str(OPENSBI), "-kernel", str(U_BOOT), *(["-dtb", str(tree)] if tree else [])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        text = b""
        while b"autoboot" not in text and (part := process.stdout.read1()):
            text += part
        watchdog.cancel()
        process.kill()
    assert b"autoboot" in text, f"no countdown after {text[-300:]!r}"
    text = text[: text.index(b"autoboot")]  # what follows counts down
    return text.decode().replace("\r", "").splitlines()


def test_firmware_prints_the_same_with_our_tree_as_with_qemus(tmp_path: Path) -> None:
    if not (OPENSBI.exists() and U_BOOT.exists()):
        pytest.skip("Debian's opensbi and u-boot-qemu are not installed: they are the judges of this test")
    file = tmp_path / "soc.dtb"
    file.write_bytes(flatten(device_tree(SocConfig(ram_bytes=128 << 20))))
    theirs, ours = console(None), console(file)
    # U-Boot counts the devices of the tree, and puts its copy of the tree where it fits.
    varying = ("Core:", "Working FDT")
    assert [line for line in ours if not line.startswith(varying)] == [
        line for line in theirs if not line.startswith(varying)
    ]
    assert "CPU:   rv64imac_zicsr_zifencei_zihintpause_zba_zbb_zbs_sstc" in ours


def test_chosen_says_what_the_caller_asked_for() -> None:
    chosen = device_tree(SocConfig(), bootargs="quiet", initrd=(0x1_0000_0000, 0x1_0000_1000)).find("/chosen")
    assert chosen.properties["bootargs"] == strings("quiet")
    assert chosen.properties["linux,initrd-start"] == struct.pack(">Q", 0x1_0000_0000)
    assert chosen.properties["linux,initrd-end"] == struct.pack(">Q", 0x1_0000_1000)
    assert chosen.properties["stdout-path"] == strings(UART_PATH)
    assert device_tree(SocConfig()).find("/chosen").properties.keys() == {"stdout-path"}


def test_ram_size_is_the_machines_not_the_default() -> None:
    memory = device_tree(SocConfig(), ram_bytes=1 << 32).find("/memory@80000000")
    assert memory.properties["reg"] == struct.pack(">QQ", memory_map.DRAM_BASE, 1 << 32)


def test_without_counters_there_is_no_pmu() -> None:
    tree = device_tree(SocConfig(core=CoreConfig(hpm_counters=0)))
    assert "pmu" not in [child.name for child in tree.children]


def test_isa_string_is_qemus() -> None:
    assert isa_string(CoreConfig()) == "rv64imac_zicsr_zifencei_zihintpause_zba_zbb_zbs_sstc"


@pytest.mark.parametrize(
    ("blob", "message"),
    [
        (b"", "header"),
        (bytes(64), "not a device tree"),
        (flatten(Node("", {"a": cells(1)}))[:-4], "cut off"),
    ],
)
def test_what_is_no_device_tree_is_named(blob: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        unflatten(blob)


def test_a_missing_node_is_named_with_what_is_there() -> None:
    with pytest.raises(KeyError, match="clint@2000000"):
        device_tree(SocConfig()).find("/soc/clint")
