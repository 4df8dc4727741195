"""Copies of drivers that have many loads, in a netlist that yosys wrote for ECP5.

A net with hundreds of loads spreads over the whole chip, and its last hop is then longer than all the logic before it
(10 ns of a 33 ns path in this core: "does the pipeline move?"). Neither synthesis nor place and route copies a driver,
and copies in the hardware description are merged again. So here, between the two: the loads are put in order by name,
which is that of the register they belong to, and every few dozen neighbours get a driver of their own.

Lookup tables with the multiplexers that widen them, and flip-flops, are copied; carry chains and memories are not.
"""

import re
from collections import defaultdict
from typing import Any

LUT_INPUTS = {"PFUMX": ("ALUT", "BLUT"), "L6MUX21": ("D0", "D1")}
"""Inputs of a widening multiplexer that only its own tables can drive: they are copied along."""
OUTPUTS = {"LUT4": "Z", "PFUMX": "Z", "L6MUX21": "Z", "TRELLIS_FF": "Q"}


def _order(name: str) -> tuple[str, ...]:
    """`name` in the order of places: bits of one register are neighbours."""
    return tuple(re.split(r"_(?:TRELLIS|LUT4|PFUMX|L6MUX|CCU2C)", name, maxsplit=1))


class Netlist:
    """One module of yosys' JSON, indexed by net."""

    def __init__(self, module: dict[str, Any]):
        self.module = module
        self.cells: dict[str, dict[str, Any]] = module["cells"]
        self.driver: dict[int, str] = {}
        self.loads: defaultdict[int, list[tuple[str, str, int]]] = defaultdict(list)
        ports = [bits for cell in self.cells.values() for bits in cell["connections"].values()]
        self.next_net = 1 + max(bit for bits in ports for bit in bits if isinstance(bit, int))
        self.fixed = {bit for port in module["ports"].values() for bit in port["bits"]}
        for name in self.cells:
            self._index(name)

    def _index(self, name: str) -> None:
        cell = self.cells[name]
        for port, bits in cell["connections"].items():
            for n, bit in enumerate(bits):
                if isinstance(bit, str):
                    continue
                if cell["port_directions"][port] == "output":
                    self.driver[bit] = name
                else:
                    self.loads[bit].append((name, port, n))

    def copy(self, net: int) -> int:
        """A second driver of what `net` is; gives its net."""
        source = self.driver[net]
        cell = self.cells[source]
        connections = {port: list(bits) for port, bits in cell["connections"].items()}
        for port in LUT_INPUTS.get(cell["type"], ()):
            connections[port] = [self.copy(connections[port][0])]
        new, self.next_net = self.next_net, self.next_net + 1
        connections[OUTPUTS[cell["type"]]] = [new]
        name = f"{source}_copy{new}"
        self.cells[name] = {**cell, "connections": connections}
        self.module["netnames"][f"{name}_net"] = {"hide_name": 1, "bits": [new], "attributes": {}}
        self._index(name)
        return new

    def copyable(self, net: int) -> bool:
        """Whether `net` may have a second driver."""
        cell = self.cells.get(self.driver.get(net, ""))
        return cell is not None and cell["type"] in OUTPUTS and net not in self.fixed

    def split(self, net: int, most: int) -> None:
        """Gives every `most` neighbours among the loads of `net` a driver of their own."""
        loads = sorted(self.loads[net], key=lambda load: (_order(load[0]), load[1:]))
        groups = -(-len(loads) // most)
        for group in range(1, groups):
            new = self.copy(net)
            mine = loads[len(loads) * group // groups : len(loads) * (group + 1) // groups]
            for cell, port, n in mine:
                self.cells[cell]["connections"][port][n] = new
            self.loads[new] = mine
        self.loads[net] = loads[: len(loads) // groups]


def replicate(netlist: dict[str, Any], top: str, *, most: int) -> int:
    """Copies drivers in yosys' JSON `netlist` until no driver that can be copied has more than `most` loads.

    Gives the number of cells that this added. What a copy reads gets more loads by it, so nets are split from the loads
    towards the sources.
    """
    if most < 2:
        raise ValueError(f"most must be at least 2 loads, not {most!r}")
    nets = Netlist(netlist["modules"][top])
    before = len(nets.cells)
    while True:
        crowded = [net for net, loads in nets.loads.items() if len(loads) > most and nets.copyable(net)]
        if not crowded:
            return len(nets.cells) - before
        for net in crowded:
            nets.split(net, most)
