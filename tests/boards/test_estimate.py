"""The estimate of the longest paths: which path it is, and what it adds up."""

from typing import Any

import pytest

from boards.estimate import longest_paths, routing
from tests.boards.test_replication import cell


def netlist(**cells: dict[str, Any]) -> dict[str, Any]:
    """Clock 2; a register `start` with output 10."""
    cells = {"start_TRELLIS_FF_Q": cell("TRELLIS_FF", 10, 3, 2), **cells}
    return {"modules": {"top": {"cells": cells, "netnames": {"start": {"bits": [10]}}}}}


def test_the_longest_way_from_register_to_register_is_found_and_added_up():
    paths = longest_paths(
        netlist(
            one=cell("LUT4", 11, 10, "0", "0", "0"),
            two=cell("LUT4", 12, 11, 10, "0", "0"),
            end_TRELLIS_FF_Q=cell("TRELLIS_FF", 13, 12, 2),
        ),
        "top",
    )
    (worst,) = (path for path in paths if path.end == "end_TRELLIS_FF_Q")
    assert paths[0] is worst and worst.levels == 2 and worst.ends == ("start", "end")
    assert worst.nets == ("start", "11", "12")
    assert worst.nanoseconds == pytest.approx(0.525 + routing(2) + 0.24 + routing(1) + 0.24 + routing(1))


def test_a_widening_multiplexer_has_no_routing_from_its_tables_and_a_net_with_more_loads_takes_longer():
    cells = {
        "low": cell("LUT4", 11, 10, "0", "0", "0"),
        "high": cell("LUT4", 12, 10, "1", "0", "0"),
        "wide": cell("PFUMX", 13, 11, 12, 4),
        "end_TRELLIS_FF_Q": cell("TRELLIS_FF", 14, 13, 2),
    }
    paths = {path.end: path for path in longest_paths(netlist(**cells), "top")}
    worst = paths["end_TRELLIS_FF_Q"]
    assert worst.nanoseconds == pytest.approx(0.525 + routing(2) + 0.24 + 0.15 + routing(1))
    cells["other"] = cell("LUT4", 15, 13, "0", "0", "0")
    assert longest_paths(netlist(**cells), "top")[0].nanoseconds > worst.nanoseconds


def test_a_combinational_loop_is_an_error_that_names_a_net():
    loop = netlist(
        one=cell("LUT4", 11, 12, 10, "0", "0"),
        two=cell("LUT4", 12, 11, "0", "0", "0"),
        end_TRELLIS_FF_Q=cell("TRELLIS_FF", 13, 12, 2),
    )
    with pytest.raises(ValueError, match="combinational loop through 1[12]"):
        longest_paths(loop, "top")
