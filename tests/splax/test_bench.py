"""`splax bench`: its table, verdicts, exit status and history, with measurements of our own."""

import json
from pathlib import Path

import pytest

from splax import bench
from splax.bench import Bench, Measurement, Row, Skipped, summary


def measured(*samples: float):
    return lambda bench: Measurement(list(samples), f"{len(samples)} samples")


def skips(bench: Bench) -> Measurement:
    raise Skipped("no board here")


ROWS = (
    Row("fast enough", "MHz", 1.5, True, "others 0.4", measured(1.0, 2.0, 3.0)),
    Row("too slow", "s", 60, False, "", measured(61)),
    Row("without a bar", "bytes", None, False, "", measured(1234567)),
    Row("not here", "MHz", 50, True, "", skips),
)


@pytest.fixture
def history(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    file = tmp_path / "benchmarks" / "history.jsonl"
    monkeypatch.setattr(bench, "HISTORY", file)
    monkeypatch.setattr(bench, "ROWS", ROWS)
    monkeypatch.setenv("COLUMNS", "200")
    return file


def rows_of(text: str) -> dict[str, list[str]]:
    """The table's lines by their first cell."""
    lines = [[cell.strip() for cell in line.strip("│┃ ").split("│")] for line in text.splitlines() if "│" in line]
    return {line[0]: line[1:] for line in lines}


def test_the_table_has_value_bar_verdict_and_how(history: Path, capsys) -> None:
    assert bench.run() == 1, "a bar is missed"
    rows = rows_of(capsys.readouterr().out)
    assert rows["fast enough"] == ["2 MHz", "at least 1.5 MHz", "meets", "others 0.4", "3 samples"]
    assert rows["too slow"] == ["61 s", "at most 60 s", "misses", "", "1 samples"]
    assert rows["without a bar"] == ["1,234,567 bytes", "", "", "", "1 samples"]
    assert rows["not here"] == ["-", "at least 50 MHz", "", "", "no board here"]


def test_what_was_measured_is_appended_to_the_history(history: Path) -> None:
    bench.run()
    bench.run(only="FAST")
    entries = [json.loads(line) for line in history.read_text().splitlines()]
    assert [entry["what"] for entry in entries] == ["fast enough", "too slow", "without a bar", "fast enough"]
    first = entries[0]
    assert first["summary"] == [1.0, 1.5, 2.0, 2.0, 2.5, 3.0, 1.0, 3]
    assert first["unit"] == "MHz" and first["how"] == "3 samples"
    assert first["machine"]["cores"] >= 1 and "amaranth" in first["versions"] and first["when"] and first["commit"]


def test_the_status_tells_whether_the_bars_of_what_was_asked_for_are_met(history: Path) -> None:
    assert bench.run(only="fast") == 0
    assert bench.run(only="slow") == 1
    assert bench.run(only="bar") == 0
    assert bench.run(only="not here") == 0


def test_a_summary_is_min_quartiles_mean_max_deviation_and_count() -> None:
    assert summary([5.0]) == [5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 0.0, 1]
    assert summary([4.0, 1.0, 3.0, 2.0]) == [1.0, 1.75, 2.5, 2.5, 3.25, 4.0, 1.291, 4]
