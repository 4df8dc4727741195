"""Linux on our firmware under QEMU, with four harts, to its panic for want of a root file system: it finds every
extension, starts its CPUs by HSM, fences and interrupts them by RFENCE and IPI, keeps time by TIME, resets by SRST.

It needs a riscv64 kernel, whose place is given by LINUX (Debian's: boot/vmlinux-* of linux-image-riscv64's package).
"""

import os
import subprocess
from pathlib import Path

import pytest

from firmware.image import build_firmware

KERNEL = os.environ.get("LINUX", "")
EXTENSIONS = ("TIME", "IPI", "RFENCE", "SRST", "DBCN", "HSM")


@pytest.mark.long
@pytest.mark.parametrize("cpu", ["rv64", "rv64,sstc=false"])
def test_linux_runs_on_four_harts_and_resets(cpu: str):
    if not Path(KERNEL).is_file():
        pytest.skip("set LINUX to a riscv64 kernel image, such as that of Debian's package linux-image-riscv64")
    machine = ["qemu-system-riscv64", "-M", "virt", "-cpu", cpu, "-smp", "4", "-m", "512", "-nographic", "-no-reboot"]
    images = ["-bios", str(build_firmware().image), "-kernel", KERNEL]
    command = [*machine, *images, "-append", "console=ttyS0 earlycon=sbi panic=-1"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, "panic=-1 is a reset, with which this QEMU ends\n" + done.stdout[-3000:]
    for extension in EXTENSIONS:
        assert f"SBI {extension} extension detected" in done.stdout
    assert "smp: Brought up 1 node, 4 CPUs" in done.stdout
    assert "providing IPIs using SBI IPI extension" in done.stdout
    assert "Kernel panic - not syncing: VFS: Unable to mount root fs" in done.stdout
