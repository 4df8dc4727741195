"""The forms of `splax run` that scripts rely on, on the real SoC."""

import json
import re
from pathlib import Path

import pytest

from .bare_metal import (
    EXIT,
    FINISH,
    HELLO,
    JUMP_INTO_NOTHING,
    LOOP,
    SIGNATURE,
    SYSTEM_CALLS,
    TRAP_LOOP,
    assemble,
)
from .conftest import Splax


def test_program_prints_and_passes(splax: Splax, tmp_path: Path) -> None:
    done = splax("run", "--elf", assemble(tmp_path, HELLO), "--max-cycles", "100000")
    assert (done.returncode, done.stdout) == (0, "hello\n")
    assert "MHz" in done.stderr


@pytest.mark.parametrize(("value", "status"), [(1, 0), (3, 1), (2 * 42 + 1, 42)])
def test_tohost_is_the_exit_status(splax: Splax, tmp_path: Path, value: int, status: int) -> None:
    done = splax("run", "--elf", assemble(tmp_path, EXIT.format(value=value)), "--max-cycles", "100000")
    assert done.returncode == status


@pytest.mark.parametrize(("value", "status"), [(0x5555, 0), (7 << 16 | 0x3333, 7)])
def test_finisher_is_the_exit_status(splax: Splax, tmp_path: Path, value: int, status: int) -> None:
    done = splax("run", "--elf", assemble(tmp_path, FINISH.format(value=value)), "--max-cycles", "100000")
    assert done.returncode == status


def test_even_tohost_is_a_request_that_is_answered(splax: Splax, tmp_path: Path) -> None:
    """Writes 12 bytes and exits with the write's result."""
    done = splax("run", "--elf", assemble(tmp_path, SYSTEM_CALLS), "--max-cycles", "100000")
    assert (done.returncode, done.stdout) == (12, "by the host\n")


def test_signature_shows_what_the_cache_holds(splax: Splax, tmp_path: Path) -> None:
    program = assemble(tmp_path, SIGNATURE)
    done = splax("run", "--elf", program, "--signature", tmp_path / "signature", "--max-cycles", "100000")
    assert done.returncode == 0
    assert (tmp_path / "signature").read_text() == "11223344\ndeadbeef\n00000003\n00000004\n"


def test_cycle_limit_says_where_and_why(splax: Splax, tmp_path: Path) -> None:
    done = splax("run", "--elf", assemble(tmp_path, LOOP), "--max-cycles", "20000")
    assert done.returncode == 124
    line = next(line for line in done.stderr.splitlines() if "limit" in line)
    assert re.search(r"cycle limit reached at cycle 20000: pc 0x8000000\w \(spin\), machine mode", line)
    assert "loops over 1 instruction" in line


def test_time_limit_ends_with_124(splax: Splax, tmp_path: Path) -> None:
    done = splax("run", "--elf", assemble(tmp_path, LOOP), "--timeout", "0.5")
    assert done.returncode == 124
    assert "time limit reached" in done.stderr
    assert "(spin)" in done.stderr


def test_loop_in_its_own_handler_is_named(splax: Splax, tmp_path: Path) -> None:
    done = splax("run", "--elf", assemble(tmp_path, TRAP_LOOP), "--max-cycles", "50000")
    assert done.returncode == 124
    assert "(handler)" in done.stderr


def test_jump_into_nothing_ends_at_the_limit(splax: Splax, tmp_path: Path) -> None:
    done = splax("run", "--elf", assemble(tmp_path, JUMP_INTO_NOTHING), "--max-cycles", "50000")
    assert done.returncode == 124
    assert "machine mode" in done.stderr


def test_until_ends_with_0_behind_the_text(splax: Splax, tmp_path: Path) -> None:
    done = splax("run", "--elf", assemble(tmp_path, HELLO), "--until", "hell", "--max-cycles", "100000")
    assert (done.returncode, done.stdout) == (0, "hell")


def test_stats_are_complete_and_repeat(splax: Splax, tmp_path: Path) -> None:
    program = assemble(tmp_path, HELLO)
    results = []
    for turn in range(2):
        splax("run", "--elf", program, "--stats", tmp_path / f"stats{turn}", "--max-cycles", "100000")
        results.append(json.loads((tmp_path / f"stats{turn}").read_text()))
    first, second = results
    assert first["status"] == 0 and first["ended_by"] == "tohost"
    assert first["instructions"] > 20 and first["cpi"] >= 1
    assert {"icache_miss", "dcache_miss", "itlb_miss", "dtlb_miss", "branch_miss"} <= first["counters"].keys()
    assert first["counters"]["icache_miss"] >= 1
    assert first["wall_seconds"] > 0 and first["cpu_seconds"] > 0 and first["effective_mhz"] > 0
    exact = ("cycles", "instructions", "counters", "mtime", "dram_read_bytes", "dram_write_bytes")
    assert [first[name] for name in exact] == [second[name] for name in exact]


def test_trace_has_a_line_for_every_instruction(splax: Splax, tmp_path: Path) -> None:
    program = assemble(tmp_path, EXIT.format(value=1))
    done = splax("run", "--elf", program, "--trace", tmp_path / "trace", "--max-cycles", "100000")
    assert done.returncode == 0
    lines = (tmp_path / "trace").read_text().splitlines()
    pattern = re.compile(r" *\d+ [MSU] [0-9a-f]{16} [0-9a-f]{4}(    |[0-9a-f]{4}) \S.*")
    assert all(pattern.fullmatch(line) for line in lines)
    assert re.search(r"M 0000000000001000 00000297 auipc t0, 0x0 +t0=0000000000001000", lines[0])
    assert re.search(r"sd t1, 0\(t0\) +\[[0-9a-f]{16}\]=0000000000000001", lines[-1])


@pytest.mark.xdist_group("traced simulator")
def test_waves_cover_the_window(splax: Splax, tmp_path: Path) -> None:
    pywellen = pytest.importorskip("pywellen")
    program, waves = assemble(tmp_path, LOOP), tmp_path / "waves.fst"
    window = ("--wave", waves, "--wave-from", "300", "--wave-to", "400")
    assert splax("run", "--elf", program, *window, "--max-cycles", "1000").returncode == 124
    recorded = pywellen.Waveform(path=str(waves))
    times = [time for time in recorded.time_table] if hasattr(recorded, "time_table") else []
    assert waves.stat().st_size > 1000
    if times:
        assert (min(times), max(times)) == (600, 799)


def test_checkpoint_continues_where_it_was(splax: Splax, tmp_path: Path) -> None:
    program, saved = assemble(tmp_path, HELLO), tmp_path / "checkpoint"
    whole = splax("run", "--elf", program, "--max-cycles", "100000")
    first = splax("run", "--elf", program, "--until", "he", "--checkpoint", saved, "--max-cycles", "100000")
    rest = splax("run", "--elf", program, "--restore", saved, "--max-cycles", "100000")
    assert first.stdout + rest.stdout == whole.stdout
    counts = [re.search(r"(\d+) cycles, (\d+) instructions", done.stderr) for done in (whole, rest)]
    assert counts[0] and counts[1] and counts[0].groups() == counts[1].groups()
