"""Runs the command as people and scripts do."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sim.build import ROOT

Splax = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def splax() -> Splax:
    """`splax` with arguments; gives status, output and errors."""

    def run(*arguments: str | Path, timeout: float = 900, **options: object) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "splax", *map(str, arguments)]
        settings: dict[str, object] = {"cwd": ROOT, "capture_output": True, "text": True, "stdin": subprocess.DEVNULL}
        return subprocess.run(command, timeout=timeout, check=False, **(settings | options))  # type: ignore[call-overload]

    return run
