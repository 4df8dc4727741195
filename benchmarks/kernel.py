"""The kernel: how large, how long to build, and the cycles from reset to what it says on the simulated hardware."""

import os
import subprocess
import sys
import tempfile
import time

from firmware.image import build_firmware
from kernel import image
from rtl.soc import SocConfig
from sim.build import ROOT
from sim.errors import SplaxError
from sim.machine import Machine, Reason

BANNER, PROMPT = "\nSplax\r\n", "splax> "
MOST_CYCLES = 50_000_000


def bytes_of(arch: str, part: str) -> int:
    """Bytes of a part of an image: text, rodata, data, bss, or the boot file; `firmware`'s is the firmware's file."""
    return build_firmware().sizes[part] if arch == "firmware" else image.build(arch).sizes[part]


def build_seconds(arch: str) -> tuple[float, float]:
    """Wall-clock seconds of `python -m kernel.image`: with an empty cache (the compiler's own too), and again."""
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"SPLAX_CACHE": cache, "PYTHONPATH": str(ROOT)}
        environment["ZIG_GLOBAL_CACHE_DIR"] = f"{cache}/zig"
        seconds = []
        for _ in range(2):
            started = time.monotonic()
            command = [sys.executable, "-m", "kernel.image", "--arch", arch]
            subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
            seconds.append(time.monotonic() - started)
    return seconds[0], seconds[1]


def cycles_until(text: str) -> int:
    """Cycles from reset to the end of a text: our firmware, our kernel, the services."""
    with Machine(SocConfig()) as machine:
        machine.load_virt(bios=build_firmware().image, kernel=image.build("riscv64").path)
        outcome = machine.run(until=text, cycles=MOST_CYCLES)
        if outcome.reason is not Reason.TEXT:
            raise SplaxError(f"no {text!r} in {MOST_CYCLES} cycles: {machine.where()}")
        return outcome.cycle
