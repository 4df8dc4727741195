"""`make setup` and `splax setup`: what is missing is installed or named exactly."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from splax.setup import PACKAGES

ROOT = Path(__file__).resolve().parents[2]
SETUP = ROOT / "setup.sh"
FROM_SYSTEM = ("sh", "tr", "cat", "env")


def needed() -> dict[str, str]:
    """setup.sh's list: package, and the command or file that tells that it is there."""
    found = re.search(r'needed="([^"]*)"', SETUP.read_text())
    assert found
    return dict(entry.split(":", 1) for entry in found[1].split())


class Computer:
    """A PATH with only what a test puts there; each stub writes its arguments to `calls`."""

    def __init__(self, directory: Path):
        self.path, self.calls = directory / "bin", directory / "calls"
        self.venv = directory / "venv"
        self.path.mkdir()
        for name in FROM_SYSTEM:
            self.path.joinpath(name).symlink_to(f"/bin/{name}")
        # `python3 -m venv D` makes a D/bin/python that writes down its arguments, too
        maker = f'case "$1$2" in -mvenv) mkdir -p "$3/bin"; cp {self.path}/noting "$3/bin/python";; esac'
        self.stub("noting", "")
        self.stub("python3", f'PATH=/bin:/usr/bin; [ "$1" = -c ] && exec {sys.executable} "$@"; {maker}')
        self.stub("id", "echo 0")

    def stub(self, name: str, does: str) -> None:
        """Adds a command."""
        file = self.path / name
        file.write_text(f'#!/bin/sh\necho "${{0##*/}} $*" >> {self.calls}\n{does}\n')
        file.chmod(0o755)

    def setup(self) -> "subprocess.CompletedProcess[str]":
        """Runs setup.sh on it."""
        environment = {"PATH": str(self.path), "HOME": str(self.path)}
        command = ["/bin/sh", str(SETUP), str(self.venv)]
        return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)

    def called(self) -> str:
        """What the stubs were called with."""
        return self.calls.read_text()


@pytest.fixture
def computer(tmp_path: Path) -> Computer:
    return Computer(tmp_path)


def commands() -> list[str]:
    return [sign for sign in needed().values() if not sign.startswith("/")]


def test_what_is_missing_is_named_when_it_cannot_be_installed(computer: Computer) -> None:
    done = computer.setup()
    assert done.returncode == 1, "nothing works without perl"
    line = next(line for line in done.stderr.splitlines() if "sudo apt-get install" in line)
    missing = {package for package, sign in needed().items() if not sign.startswith("/") or not os.path.exists(sign)}
    assert missing <= set(line.split()), line
    assert not computer.venv.exists()


def test_what_only_some_commands_need_does_not_stop_the_setup(computer: Computer) -> None:
    for command in commands():
        if command != "dtc":
            computer.stub(command, "")
    done = computer.setup()
    assert done.returncode == 0 and "sudo apt-get install" in done.stderr and "device-tree-compiler" in done.stderr
    assert "python -m pip install --quiet --editable ." in computer.called()


def test_what_is_missing_is_installed_where_that_is_possible(computer: Computer) -> None:
    for command in commands():
        if command != "perl":
            computer.stub(command, "")
    computer.stub("apt-get", "")
    done = computer.setup()
    assert done.returncode == 0 and "please run" not in done.stderr, done.stderr
    line = next(line for line in computer.called().splitlines() if line.startswith("apt-get install"))
    assert "--no-install-recommends" in line and "perl" in line.split() and "git" not in line.split()


def test_nothing_is_installed_where_nothing_is_missing(computer: Computer) -> None:
    files = [sign for sign in needed().values() if sign.startswith("/")]
    if not all(map(os.path.exists, files)):
        pytest.skip("this machine lacks some of the Debian packages")
    for command in commands():
        computer.stub(command, "")
    computer.stub("apt-get", "")
    assert computer.setup().returncode == 0
    assert "apt-get" not in computer.called()


def test_both_lists_of_packages_are_the_same() -> None:
    assert {package for package, _, _ in PACKAGES} == set(needed())


def test_splax_setup_names_a_missing_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys) -> None:
    from splax.setup import check

    monkeypatch.setenv("PATH", str(tmp_path))
    assert check() == 1
    said = capsys.readouterr().out
    assert "missing  perl: Verilator's front end" in said
    install = said.splitlines()[-1].split()
    assert install[:3] == ["sudo", "apt-get", "install"] and {"perl", "gdb-multiarch"} <= set(install)
