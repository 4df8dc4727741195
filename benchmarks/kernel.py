"""The kernel: how large, how long to build, and on the simulated hardware what it takes from reset and in a message."""

import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

from firmware.image import build_firmware
from kernel import image
from rtl.soc import SocConfig
from sim.build import ROOT
from sim.errors import SplaxError
from sim.machine import Machine, Reason

BANNER, PROMPT = "\nSplax\r\n", "\nsplax> "
MOST_CYCLES = 50_000_000
ROUNDS = 100


@dataclass(frozen=True)
class Run:
    """A run of our firmware, our kernel and the services.

    banner, prompt  cycles from reset
    seconds         wall clock from reset to the prompt
    messages        ipcbench's rows: cycles, (least, median, most) of ROUNDS
    """

    banner: int
    prompt: int
    seconds: float
    messages: dict[str, tuple[int, int, int]]


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
            done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SplaxError(f"the {arch} kernel does not build:\n{done.stderr.rstrip()}")
            seconds.append(time.monotonic() - started)
    return seconds[0], seconds[1]


def run() -> Run:
    """From reset to the prompt, and `ipcbench` there. The same source gives the same cycles."""
    with Machine(SocConfig()) as machine:
        machine.load_virt(bios=build_firmware().image, kernel=image.build("riscv64").path)

        def until(text: str) -> int:
            outcome = machine.run(until=text, cycles=MOST_CYCLES)
            if outcome.reason is not Reason.TEXT:
                raise SplaxError(f"no {text!r} in {MOST_CYCLES} cycles: {machine.where()}")
            return outcome.cycle

        start = time.monotonic()
        banner, prompt = until(BANNER), until(PROMPT)
        seconds = time.monotonic() - start
        machine.console.read()
        machine.console.write(f"ipcbench {ROUNDS}\r".encode())
        until(PROMPT)
        text = machine.console.read().decode(errors="replace")
    rows = re.findall(r"^  (.*?) +(\d+) +(\d+) +(\d+)\r?$", text, re.M)
    return Run(banner, prompt, seconds, {name: (int(low), int(half), int(high)) for name, low, half, high in rows})
