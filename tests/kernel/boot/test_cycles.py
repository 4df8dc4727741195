"""What the kernel costs on the simulated hardware, to the cycle; it keeps its bars of `splax bench`, of size too."""

import pytest

from benchmarks import ipcbench
from splax.bench import ROWS, Bench

OTHERS = ("kernel banner", "kernel shell prompt", "kernel text, riscv64")

pytestmark = pytest.mark.xdist_group("kernel on the hardware")


def test_messages_and_the_boot_take_as_many_cycles_as_they_did():
    bench = Bench()
    found = bench.kernel_run()
    assert not ipcbench.differences(found.messages), "when this is meant: python -m benchmarks.ipcbench --refresh"
    rows = [row for row in ROWS if row.name in {*found.messages, *OTHERS}]
    assert len(rows) == len(found.messages) + len(OTHERS)
    slow = {row.name: row.measure(bench).samples for row in rows if row.measure(bench).samples[0] > (row.bar or 0)}
    assert not slow


def test_a_row_that_changed_or_is_missing_is_named(monkeypatch, tmp_path):
    expected = tmp_path / "expected.json"
    expected.write_text('{"same": [1, 2, 3], "slower": [5, 6, 7], "gone": [1, 1, 1]}')
    monkeypatch.setattr(ipcbench, "EXPECTED", expected)
    lines = ipcbench.differences({"same": (1, 2, 9), "slower": (5, 8, 9), "new": (1, 1, 1)})
    assert [line.split(":")[0] for line in lines] == ["slower", "gone", "new"]
