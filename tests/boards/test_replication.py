"""Copies of drivers: no driver keeps too many loads, and nothing computes anything else than before."""

from typing import Any

import pytest

from boards.replication import replicate

INPUTS = {"LUT4": "ABCD", "PFUMX": ("ALUT", "BLUT", "C0"), "TRELLIS_FF": ("DI", "CLK")}
OUTPUTS = {"LUT4": "Z", "PFUMX": "Z", "TRELLIS_FF": "Q"}


def cell(kind: str, output: int, *inputs: int | str) -> dict[str, Any]:
    ports = dict(zip(INPUTS[kind], inputs, strict=True))
    return {
        "type": kind,
        "port_directions": {**dict.fromkeys(ports, "input"), OUTPUTS[kind]: "output"},
        "connections": {**{port: [net] for port, net in ports.items()}, OUTPUTS[kind]: [output]},
    }


def netlist() -> dict[str, Any]:
    """Clock 2, inputs 3..6; a register 10 and a widened table 13 of it, both with a hundred loads."""
    cells = {
        "first_TRELLIS_FF_Q": cell("TRELLIS_FF", 10, 3, 2),
        "low": cell("LUT4", 11, 10, 3, 4, "0"),
        "high": cell("LUT4", 12, 10, 5, "1", "0"),
        "wide": cell("PFUMX", 13, 11, 12, 6),
    }
    for n in range(100):
        cells[f"reader{n % 10}_TRELLIS_FF_Q_{n}"] = cell("TRELLIS_FF", 100 + n, 13, 2)
        cells[f"table{n}"] = cell("LUT4", 300 + n, 10, 100 + n, "0", "0")
    ports = {"clock": {"bits": [2]}, "inputs": {"bits": [3, 4, 5, 6]}, "out": {"bits": [300]}}
    return {"modules": {"top": {"cells": cells, "ports": ports, "netnames": {}}}}


def meaning(cells: dict[str, Any]) -> dict[str, Any]:
    """What drives each cell of the original, as a tree down to registers and inputs, without copies' names."""
    driver = {c["connections"][OUTPUTS[c["type"]]][0]: name for name, c in cells.items()}

    def tree(net: int | str, *, root: bool = False) -> Any:
        name = driver.get(net)  # type: ignore[arg-type]
        if name is None:
            return net
        original = name.split("_copy")[0]
        if cells[name]["type"] == "TRELLIS_FF" and not root:
            return original
        return original, [tree(cells[name]["connections"][port][0]) for port in INPUTS[cells[name]["type"]]]

    return {name: tree(c["connections"][OUTPUTS[c["type"]]][0], root=True) for name, c in cells.items()}


@pytest.mark.parametrize("most", (2, 7, 40))
def test_copies_share_the_loads_and_mean_the_same(most: int) -> None:
    before, after = netlist(), netlist()
    added = replicate(after, "top", most=most)
    old, new = before["modules"]["top"]["cells"], after["modules"]["top"]["cells"]
    assert len(new) - len(old) == added > 0
    loads: dict[int, int] = {}
    for c in new.values():
        for port in INPUTS[c["type"]]:
            loads[c["connections"][port][0]] = loads.get(c["connections"][port][0], 0) + 1
    driven = [c["connections"][OUTPUTS[c["type"]]][0] for c in new.values()]
    assert len(driven) == len(set(driven)), "two drivers of one net"
    assert max(loads.get(net, 0) for net in driven) <= most
    was = meaning(old)
    for name, tree in meaning(new).items():
        assert tree == was[name.split("_copy")[0]], name


def test_neighbours_by_name_share_a_driver() -> None:
    after = netlist()
    replicate(after, "top", most=10)
    cells = after["modules"]["top"]["cells"]
    groups = {cells[name]["connections"]["DI"][0] for name in cells if name.startswith("reader3_")}
    assert len(groups) == 1


def test_a_port_keeps_its_driver() -> None:
    after = netlist()
    after["modules"]["top"]["ports"]["out"]["bits"] = [13]
    replicate(after, "top", most=10)
    assert not [name for name in after["modules"]["top"]["cells"] if name.startswith("wide_copy")]


def test_too_few_loads_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 loads, not 1"):
        replicate(netlist(), "top", most=1)
