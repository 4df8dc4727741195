"""Messages on the simulated hardware, gated: the cycles are what benchmarks/ipcbench.json says, exactly.

python -m benchmarks.ipcbench            measures and compares; status 1 where they differ
python -m benchmarks.ipcbench --refresh  measures and writes the new expectation

The bars beside them: `splax bench`.
"""

import argparse
import json
import sys
from pathlib import Path

from benchmarks import kernel

EXPECTED = Path(__file__).with_suffix(".json")


def differences(found: dict[str, tuple[int, int, int]]) -> list[str]:
    """A line for each row whose least or median cycles are not as expected. (The most depends on the timer.)"""
    expected = json.loads(EXPECTED.read_text())
    return [
        f"{name}: {list(found.get(name, ())[:2])} cycles (least, median), expected {expected.get(name, [])[:2]}"
        for name in dict.fromkeys([*expected, *found])
        if list(found.get(name, ())[:2]) != expected.get(name, [])[:2]
    ]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ipcbench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--refresh", action="store_true")
    options = parser.parse_args()
    found = kernel.run().messages
    for name, values in found.items():
        print(f"{name:<34}" + "".join(f"{value:>8}" for value in values))
    if options.refresh:
        rows = (f"  {json.dumps(name)}: {list(values)}" for name, values in found.items())
        EXPECTED.write_text("{\n" + ",\n".join(rows) + "\n}\n")
    if wrong := differences(found):
        sys.exit("\n".join([*wrong, "when this is meant: python -m benchmarks.ipcbench --refresh"]))


if __name__ == "__main__":
    main()
