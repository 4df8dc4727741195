"""The longest paths of a netlist that yosys wrote for ECP5, estimated in seconds, without place and route.

    python -m boards.estimate build/ecp5_core/core.json

A cell costs its delay of speed grade 6, a net what nets of that many loads cost on average in this design after place
and route: 0.75 ns and 0.22 ns more each time its loads double. So a path that place and route treats well or badly is
not seen; which paths are long, and what a change to the hardware does to them, is. Paths that begin in the same
register and end in the same one are one line.
"""

import argparse
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CLOCK_TO_OUTPUT = {"TRELLIS_FF": 0.525, "DP16KD": 5.6}
"""Nanoseconds from the clock edge to the output."""
ENDS = {"TRELLIS_FF": r"DI|CE|LSR|M", "DP16KD": r"(?!CLK).*", "TRELLIS_DPR16X4": r"DI|WAD|WRE"}
"""Inputs where a path ends, by cell."""
DEDICATED = {("PFUMX", "ALUT"), ("PFUMX", "BLUT"), ("L6MUX21", "D0"), ("L6MUX21", "D1"), ("CCU2C", "CIN")}
"""Inputs with a wire of their own, that are not routed."""


@dataclass(frozen=True)
class TimedPath:
    """A longest path: its time in ns, the levels of logic and the net names on the way, and the input it ends at."""

    nanoseconds: float
    levels: int
    nets: tuple[str, ...]
    end: str

    @property
    def ends(self) -> tuple[str, str]:
        """The registers it begins and ends in."""
        return register(self.nets[0]), register(self.end)


def register(name: str) -> str:
    """The register a cell or net belongs to, as the hardware description calls it."""
    name = re.split(r"_(?:TRELLIS|LUT4|PFUMX|L6MUX|CCU2C|DP16KD|MULT)", name, maxsplit=1)[0]
    return re.sub(r"\[\d+\]$|\.\d+\.\d+.*$", "", name)


def routing(loads: int) -> float:
    """Nanoseconds that a net of so many loads costs on average."""
    return 0.75 + 0.22 * math.log2(max(loads, 1))


def _arcs(cell: dict[str, Any]) -> Iterator[tuple[str, str, float, int]]:
    """(input, output, nanoseconds, levels) of a cell's combinational ways."""
    kind, directions = cell["type"], cell["port_directions"]
    if kind == "LUT4":
        yield from ((port, "Z", 0.24, 1) for port in "ABCD")
    elif kind in ("PFUMX", "L6MUX21"):
        yield from ((p, "Z", 0.15, 0) if (kind, p) in DEDICATED else (p, "Z", 0.2, 1) for p in directions if p != "Z")
    elif kind == "CCU2C":
        for port in "ABCD":
            yield from ((f"{port}0", "S0", 0.45, 1), (f"{port}0", "S1", 0.65, 1), (f"{port}0", "COUT", 0.45, 1))
            yield from ((f"{port}1", "S1", 0.45, 1), (f"{port}1", "COUT", 0.45, 1))
        yield from (("CIN", "COUT", 0.07, 0), ("CIN", "S0", 0.44, 0), ("CIN", "S1", 0.47, 0))
    elif kind == "TRELLIS_DPR16X4":
        yield ("RAD", "DO", 0.25, 1)
    elif kind == "MULT18X18D":
        outputs = [port for port, way in directions.items() if way == "output" and re.fullmatch(r"P\d+", port)]
        inputs = [port for port, way in directions.items() if way == "input" and re.fullmatch(r"[AB]\d+", port)]
        yield from ((i, o, 3.9, 2) for i in inputs for o in outputs)


def longest_paths(netlist: dict[str, Any], top: str) -> list[TimedPath]:
    """For every input where paths end the longest one there, the longest first.

    Raises ValueError where the netlist has a combinational loop.
    """
    module = netlist["modules"][top]
    cells = module["cells"]
    names: dict[int, str] = {}
    for name, net in sorted(module["netnames"].items(), key=lambda item: (item[1].get("hide_name", 0), len(item[0]))):
        for n, bit in enumerate(net["bits"]):
            names.setdefault(bit, f"{name}[{n}]" if len(net["bits"]) > 1 else name)
    loads: Counter[int] = Counter()
    kinds: dict[int, str] = {}  # of the drivers
    for cell in cells.values():
        for port, bits in cell["connections"].items():
            wires = [bit for bit in bits if isinstance(bit, int)]
            if cell["port_directions"][port] == "output":
                kinds.update(dict.fromkeys(wires, cell["type"]))
            else:
                loads.update(wires)
    before: defaultdict[int, list[tuple[int, float, int]]] = defaultdict(list)
    for cell in cells.values():
        for source, target, delay, levels in _arcs(cell):
            for come in cell["connections"].get(source, ()):
                wire = 0 if (cell["type"], source) in DEDICATED else routing(loads[come])
                for go in cell["connections"].get(target, ()):
                    if isinstance(come, int) and isinstance(go, int):
                        before[go].append((come, delay + wire, levels))

    arrival: dict[int, tuple[float, int, int | None]] = {}

    def arrive(net: int) -> tuple[float, int, int | None]:
        stack = [net]
        while stack:
            current = stack[-1]
            waits = [come for come, _, _ in before[current] if come not in arrival]
            if len(stack) > len(before) + len(arrival) + 2:
                raise ValueError(f"a combinational loop through {names.get(current, current)}")
            if waits:
                stack.append(waits[0])
                continue
            start = (CLOCK_TO_OUTPUT.get(kinds.get(current, ""), 0.5), 0, None)
            ways = [(arrival[come][0] + d, arrival[come][1] + n, come) for come, d, n in before[current]]
            arrival[current] = max(ways, key=lambda way: way[0], default=start)
            stack.pop()
        return arrival[net]

    def way_to(net: int) -> tuple[str, ...]:
        nets, at = [], net
        while at is not None:
            nets.append(names.get(at, str(at)))
            at = arrival[at][2]
        return tuple(reversed(nets))

    ends = [
        (arrive(bit)[0] + routing(loads[bit]), bit, name, port)
        for name, cell in cells.items()
        if cell["type"] in ENDS
        for port, bits in cell["connections"].items()
        if cell["port_directions"][port] == "input" and re.fullmatch(ENDS[cell["type"]], port)
        for bit in bits
        if isinstance(bit, int)
    ]
    ends.sort(key=lambda end: -end[0])
    return [TimedPath(time, arrival[bit][1], way_to(bit), name) for time, bit, name, _ in ends]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("netlist", type=Path, help="what yosys wrote, as JSON")
    parser.add_argument("--top", default="top", help="module")
    parser.add_argument("--lines", type=int, default=30, help="pairs of registers to print")
    parser.add_argument("--nets", type=int, default=1, help="print the nets of so many of them")
    arguments = parser.parse_args()
    paths = longest_paths(json.loads(arguments.netlist.read_text()), arguments.top)
    groups: dict[tuple[str, str], list[TimedPath]] = {}
    for path in paths:
        groups.setdefault(path.ends, []).append(path)
    for n, (ends, members) in enumerate(list(groups.items())[: arguments.lines]):
        worst = members[0]
        print(f"{worst.nanoseconds:6.2f} ns  {worst.levels:2} levels  {' -> '.join(ends)}  ({len(members)})")
        if n < arguments.nets:
            print("".join(f"            {net}\n" for net in worst.nets), end="")


if __name__ == "__main__":
    main()
