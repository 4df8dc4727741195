"""ipcbench on the simulated hardware: exact cycles, gated on what benchmarks/ipcbench.json says.

python -m benchmarks.ipcbench            measures and compares; status 1 where they differ or miss a bar
python -m benchmarks.ipcbench --refresh  measures and writes the new expectation
"""

import argparse
import json
import re
import sys
from pathlib import Path

from kernel import image
from rtl.soc import SocConfig
from sim.machine import Machine

EXPECTED = Path(__file__).with_suffix(".json")
PROMPT = "\nsplax> "
ITERATIONS = 100
BARS = {
    "call, 8 words, one way": 500,
    "reply-and-receive, one way": 500,
    "call with a capability, one way": 900,
    "notification to a waiting thread": 600,
    "page share over a channel": 1500,
    "null system call": 120,
}
"""Median cycles at most."""


def measure() -> dict[str, list[int]]:
    """min, median, max of each row, and the cycles from reset to the prompt."""
    with Machine(SocConfig()) as machine:
        machine.load_virt(kernel=image.build("riscv64").path)
        command(machine, None)
        boot = machine.cycle
        text = command(machine, f"ipcbench {ITERATIONS}")
    rows = re.findall(r"^  (.*?) +(\d+) +(\d+) +(\d+)\r?$", text, re.M)
    found = {name: [int(low), int(median), int(high)] for name, low, median, high in rows}
    if set(found) != set(BARS):
        raise RuntimeError(f"ipcbench printed other rows than {', '.join(BARS)}:\n{text}")
    return found | {"reset to the prompt": [boot] * 3}


def command(machine: Machine, text: str | None) -> str:
    """Types a command, gives what it printed; None only waits for the prompt."""
    if text is not None:
        machine.console.read()
        machine.console.write(text.encode() + b"\r")
    outcome = machine.run(until=PROMPT, seconds=600)
    if outcome.status:
        raise RuntimeError(f"no prompt behind {text!r}: {machine.where()}")
    return machine.console.read().decode(errors="replace")


def differences(found: dict[str, list[int]]) -> list[str]:
    """What is not as expected, a line each: min and median exactly, bars kept."""
    expected = json.loads(EXPECTED.read_text())
    lines = [
        f"{name}: min, median {values[:2]}, expected {expected.get(name, [])[:2]}"
        for name, values in found.items()
        if values[:2] != expected.get(name, [])[:2]
    ]
    return lines + [
        f"{name}: {found[name][1]} cycles, {bar} at most" for name, bar in BARS.items() if found[name][1] > bar
    ]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ipcbench", description=__doc__)
    parser.add_argument("--refresh", action="store_true")
    options = parser.parse_args()
    found = measure()
    for name, values in found.items():
        print(f"{name:<34} {values}")
    if options.refresh:
        EXPECTED.write_text(json.dumps(found, indent=1) + "\n")
    wrong = differences(found)
    if wrong:
        sys.exit("\n".join([*wrong, "when this is meant: python -m benchmarks.ipcbench --refresh"]))


if __name__ == "__main__":
    main()
