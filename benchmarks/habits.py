"""Measures what the SoC's registers usually do, for the cycle engine: `python -m benchmarks.habits`.

Boots our own kernel and U-Boot to their prompts, has U-Boot compute checksums, and looks at every register in pairs of
cycles all along. What it finds becomes sim/engine/habits.txt; do this again when the hardware changed so much that its
test says so.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from firmware.image import build_firmware
from kernel import image
from rtl.soc import Soc, SocConfig
from sim import boot
from sim.build import HABITS
from sim.engine import netlist
from sim.engine.habits import names, returns
from sim.engine.netlist import Register
from sim.errors import SplaxError
from sim.machine import Machine
from sim.top import SimTop

RESTS = 0.001
"""Share of the cycles of each program in which what rests may have another value."""

OFTEN = 0.015
"""The same for what often rests, and for a program that runs from the caches."""

STAYS = 0.003
"""Share of the cycles in which what stays may change."""

PATIENCE = 10
"""Samples in which what rests may have another value before it comes back."""

KEEPERS = ("core.csr.", "core.bits.", "core.divider.", "core.multiplier.", "core.memory.reservation")
"""Parts of the core whose registers keep what an instruction left in them; the others' pass with it."""

OPTIONS = ("rtc_time",)
"""What a run's options set, which is no habit of the hardware."""

HEAD = """\
# What the SoC's registers and inputs usually do; see habits.py. Made by `python -m benchmarks.habits`.
"""

KERNEL, U_BOOT, CACHED = "our kernel", "U-Boot", "U-Boot's crc32"
PROMPT = "\n=> "
PASTS = ("echo", "cmp.b 84000000 84000000 40", "md 84000000 4", "printenv baudrate", "crc32 84000100 40", "base")
"""What runs before each checksum: what that left behind, a register that it does not use keeps, and is no habit."""

Pairs = list[tuple[bytes, bytes]]
Samples = dict[str, dict[str, Pairs]]
"""By name and program: what a register or port has in pairs of cycles."""


def look(machine: Machine, program: str, samples: Samples, *, count: int, every: int) -> Iterator[None]:
    """Looks at registers and ports in a pair of cycles, `count` times."""
    words = machine.words()
    length = max(offset + size for offset, size in words.values())
    for _ in range(count):
        machine.run(cycles=every)
        before = machine.state(length)
        machine.run(cycles=1)
        after = machine.state(length)
        for name, (offset, size) in words.items():
            at = slice(offset, offset + size)
            samples.setdefault(name, {}).setdefault(program, []).append((before[at], after[at]))
        yield


def measure() -> Samples:
    """Runs the programs."""
    samples: Samples = {}
    with Machine(SocConfig(dma=True)) as machine:
        machine.load_virt(bios=build_firmware().image, kernel=image.build("riscv64").path)
        for _ in look(machine, KERNEL, samples, count=1100, every=5000):
            pass
    with Machine(SocConfig(dma=True)) as machine:
        machine.load_virt(kernel=boot.default_kernel())
        printed = b""
        for _ in look(machine, U_BOOT, samples, count=4000, every=15000):
            printed += machine.console.read()
            if PROMPT.encode() in printed:
                break
        else:
            raise SplaxError(f"U-Boot's prompt did not come: {machine.where()}")
        for past in PASTS:
            machine.console.write(past.encode() + b"\n")
            machine.run(until=PROMPT)
            machine.console.write(b"crc32 84000000 40000\n")
            machine.run(cycles=200_000)
            for _ in look(machine, CACHED, samples, count=250, every=2000):
                pass
            machine.run(until=PROMPT)
    return samples


def habit(name: str, programs: dict[str, Pairs], registers: dict[str, Register]) -> str | None:
    """What a register does, or an input that says that others matter: a line's second and third word."""
    value, _ = Counter(after for pairs in programs.values() for _, after in pairs).most_common(1)[0]
    number = int.from_bytes(value, "little")
    away = {program: [after != value for _, after in pairs] for program, pairs in programs.items()}
    if not any(map(any, away.values())):
        # It was never seen anywhere else: because it always comes back soon, or because nobody has set it yet?
        if name.startswith(KEEPERS):
            return None
        certain = name not in registers or name.startswith("core.") or returns(registers[name], number)
        return f"{'rests' if certain else 'often'} {number:x}"
    if not any(0 < sum(seen) <= PATIENCE * sum(a and not b for a, b in pairwise(seen)) for seen in away.values()):
        return None
    share = {program: sum(seen) / len(seen) for program, seen in away.items()}
    for kind, found, limit in (
        ("rests", max(share.values()), RESTS),
        ("often", max(share.values()), OFTEN),
        ("cached", share[CACHED], OFTEN),
    ):
        if found <= limit:
            return f"{kind} {number:x}"
    return None


def rows(name: str, programs: dict[str, Pairs], registers: dict[str, Register]) -> Iterator[str]:
    """The lines of a register or port."""
    if name.startswith(OPTIONS) or (name not in registers and not name.endswith("_valid")):
        return
    found = habit(name, programs, registers)
    if found:
        yield f"{name} {found}"
    pairs = [pair for seen in programs.values() for pair in seen]
    stays = sum(before != after for before, after in pairs) <= STAYS * len(pairs)
    # What always rests is constant in each grade.
    if stays and name in registers and not (found and found.startswith("rests")):
        yield f"{name} stays"


def main() -> int:
    """Writes the file."""
    samples = measure()
    registers = names(netlist.read(netlist.elaborate(SimTop(Soc(SocConfig(dma=True))))))
    lines = [line for name, programs in sorted(samples.items()) for line in rows(name, programs, registers)]
    HABITS.write_text(HEAD + "".join(f"{line}\n" for line in lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
