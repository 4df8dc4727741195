"""What `splax run` and `splax qemu` boot when nothing is named: our firmware, our kernel, the services."""

import json


def test_the_shell_comes_up_on_the_hardware_within_ten_million_cycles(splax, tmp_path):
    stats = tmp_path / "stats"
    done = splax("run", "--until", "splax> ", "--max-cycles", "10000000", "--stats", stats)
    assert done.returncode == 0, done.stderr
    assert "boot        Linux Image" in done.stdout and "`help` lists the commands" in done.stdout
    assert json.loads(stats.read_text())["cycles"] < 10_000_000


def test_the_shell_comes_up_on_the_twin(splax):
    done = splax("qemu", "--until", "splax> ", "--timeout", "60")
    assert done.returncode == 0, done.stderr
    assert "`help` lists the commands" in done.stdout
