"""`splax info`: what is built, said by the objects that build it."""

import shutil
import subprocess
from dataclasses import fields

from rtl import memory_map
from rtl.device_tree import isa_string
from rtl.memory_map import Interrupt
from rtl.soc import SocConfig
from sim.build import cache_directory, versions
from sim.machine import MEMORY_LATENCY


def text() -> str:
    """Memory map, interrupts, ISA, configuration, versions."""
    config = SocConfig()
    lines = ["Memory map"]
    for region in memory_map.REGIONS:
        lines.append(f"  {region.base:#011x}..{region.end - 1:#011x}  {region.name:<16} {region.doc}")
    lines += ["", "Interrupts (PLIC sources)"]
    lines += [f"  {interrupt.value:>3}  {interrupt.name.lower()}" for interrupt in Interrupt]
    lines += ["", "Core", f"  ISA string        {isa_string(config.core)}"]
    lines += [f"  {field.name:<17} {getattr(config.core, field.name)}" for field in fields(config.core)]
    lines += ["", "SoC"]
    lines += [f"  {'clock_hz':<17} {config.clock_hz} (nominal: cycles that make a second)"]
    lines += [f"  {'timebase_hz':<17} {memory_map.TIMEBASE_HZ}"]
    lines += [f"  {'ram':<17} {config.ram_bytes >> 20} MiB"]
    lines += [f"  {'memory latency':<17} {MEMORY_LATENCY} cycles"]
    lines += ["", "Versions"]
    lines += [f"  {name:<17} {version}" for name, version in versions().items()]
    lines += [f"  {'qemu':<17} {qemu_version()}", f"  {'builds kept in':<17} {cache_directory()}"]
    return "\n".join(lines)


def qemu_version() -> str:
    """The twin's version."""
    program = shutil.which("qemu-system-riscv64")
    if program is None:
        return "not installed (apt-get install qemu-system-misc)"
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout.split("\n")[0]
