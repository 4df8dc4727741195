"""The independent model: QEMU, one instruction a block, with its log of registers and traps.

`-d cpu -singlestep` writes the state before every instruction at 100..180 thousand instructions a second (QEMU 7.2 on
a small shared machine), which is ten times what its gdb stub gives. Unicorn 2.1 is quicker still, but its RISC-V is
QEMU 5's: no Zba/Zbb/Zbs, no Sstc, and traps that its user must take apart.

The model has what the core has and nothing else (`CPU`), so that the rest is illegal on both.
"""

import functools
import re
import shutil
import subprocess
from pathlib import Path

from tests.lockstep import layout

QEMU = "qemu-system-riscv64"
CPU = "rv64,f=false,d=false,h=false,v=false,zbc=false,debug=false,pmu-num=8"
LOG = "cpu,int,nochain"


class Missing(RuntimeError):
    """QEMU is not installed."""


@functools.cache
def version() -> tuple[int, int]:
    """QEMU's version."""
    if not shutil.which(QEMU):
        raise Missing(f"{QEMU} is not installed (Debian: apt-get install qemu-system-misc)")
    text = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"version (\d+)\.(\d+)", text)
    if not found:
        raise Missing(f"{QEMU} --version says {text!r}, which holds no version")
    return int(found[1]), int(found[2])


def cpu() -> str:
    """The model's `-cpu`, with what later versions added switched off too."""
    extra = ""
    if version() >= (8, 0):
        extra += ",zawrs=false,zicbom=false,zicboz=false,zfa=false"
    if version() >= (9, 0):
        extra += ",svade=false,svadu=true,zicbop=false,zacas=false,zcb=false,zicond=false"
    return CPU + extra


def command(elf: Path, *more: str, log: str | None = None) -> list[str]:
    """The command that runs a bare-metal ELF until it writes the test finisher."""
    single = ["-singlestep"] if version() < (8, 1) else []
    accelerator = ["-accel", "tcg,one-insn-per-tb=on"] if not single else ["-accel", "tcg"]
    logging = [*single, *accelerator, "-d", LOG, "-D", log] if log else ["-accel", "tcg"]
    machine = ["-M", "virt", "-cpu", cpu(), "-m", str(layout.RAM_SIZE >> 20), "-bios", "none", "-kernel", str(elf)]
    # A machine that could have two harts makes QEMU use real atomics, whose faults are store faults as they should be.
    machine += ["-smp", "1,maxcpus=2"]
    return [QEMU, *machine, "-display", "none", "-monitor", "none", "-serial", "none", *logging, *more]
