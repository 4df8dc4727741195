"""Measures what the SoC's registers usually do, for the cycle engine: `python -m benchmarks.habits`.

Boots our own kernel and U-Boot, has that compute a checksum, and looks at every register in pairs of cycles all along.
What it finds becomes sim/engine/habits.txt; do this again when the hardware changed so much that its test says so.
"""

import sys
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

from firmware.image import build_firmware
from kernel import image
from rtl.soc import Soc, SocConfig
from sim import boot
from sim.build import HABITS
from sim.engine import netlist
from sim.engine.habits import names, returns
from sim.engine.netlist import Register
from sim.machine import Machine
from sim.top import SimTop

RESTS = 0.97
"""Share of the cycles, whatever runs, in which what rests has its value."""

OFTEN = 0.985
"""The same for U-Boot, which runs from the caches, and what often rests."""

STAYS = 0.003
"""Share of the cycles in which what stays may change."""

PATIENCE = 10
"""Samples in which what rests may have another value before it comes back."""

KEEPERS = ("core.csr.", "core.bits.", "core.divider.", "core.multiplier.", "core.memory.reservation")
"""Parts of the core whose registers keep what an instruction left in them; the others' pass with it."""

SAMPLES, EVERY = 2000, 1800

HEAD = """\
# What the SoC's registers and inputs usually do; see habits.py. Made by `python -m benchmarks.habits`.
"""


def own_kernel(machine: Machine) -> None:
    """Our firmware and kernel."""
    machine.load_virt(bios=build_firmware().image, kernel=image.build("riscv64").path)


def u_boot(machine: Machine) -> None:
    """OpenSBI and U-Boot."""
    machine.load_virt(kernel=boot.default_kernel())


def u_boot_command(machine: Machine) -> None:
    """A command at U-Boot's prompt."""
    u_boot(machine)
    machine.run(until="=> ")
    machine.console.write(b"crc32 84000000 200000\n")


Samples = dict[str, list[tuple[bytes, bytes]]]


def measure(load: Callable[[Machine], None], samples: Samples) -> None:
    """Adds what registers and ports have in pairs of cycles, by name."""
    with Machine(SocConfig(dma=True)) as machine:
        load(machine)
        words = machine.words()
        length = max(offset + size for offset, size in words.values())
        for _ in range(SAMPLES):
            machine.run(cycles=EVERY)
            before = machine.state(length)
            machine.run(cycles=1)
            after = machine.state(length)
            for name, (offset, size) in words.items():
                at = slice(offset, offset + size)
                samples.setdefault(name, []).append((before[at], after[at]))


def rows(name: str, pairs: list[tuple[bytes, bytes]], registers: dict[str, Register]) -> list[str]:
    """The lines of a register, or of an input that says that others matter."""
    if name not in registers and not name.endswith("_valid"):
        return []
    value, times = Counter(after for _, after in pairs).most_common(1)[0]
    number = int.from_bytes(value, "little")
    away = [after != value for _, after in pairs]
    back = sum(first and not second for first, second in pairwise(away))
    if any(away):
        returning = sum(away) <= PATIENCE * back
        rests = returning and times >= RESTS * len(pairs)
        often = returning and sum(away[SAMPLES:]) <= (1 - OFTEN) * len(away[SAMPLES:])
    else:
        # It was never seen anywhere else: because it always comes back soon, or because nobody has set it yet?
        often = not name.startswith(KEEPERS)
        rests = often and (name not in registers or name.startswith("core.") or returns(registers[name], number))
    found = [f"{name} rests {number:x}"] if rests else [f"{name} often {number:x}"] if often else []
    stays = sum(before != after for before, after in pairs) <= STAYS * len(pairs)
    return [*found, f"{name} stays"] if stays and not rests and name in registers else found


def main() -> int:
    """Writes the file."""
    samples: Samples = {}
    for load in (own_kernel, u_boot, u_boot_command):
        measure(load, samples)
    registers = names(netlist.read(netlist.elaborate(SimTop(Soc(SocConfig(dma=True))))))
    lines = [line for name, pairs in sorted(samples.items()) for line in rows(name, pairs, registers)]
    HABITS.write_text(HEAD + "".join(f"{line}\n" for line in lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
