"""Machines with the stub SoC."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rtl.soc import SocConfig
from sim.machine import Machine

from .stub import BASE, StubSoc

MakeMachine = Callable[..., Machine]


@pytest.fixture
def stub_machine() -> Iterator[MakeMachine]:
    """Makes machines that run a stub program; closes them at the end."""
    made: list[Machine] = []

    def make(code: bytes, *, config: SocConfig | None = None, **options: object) -> Machine:
        machine = Machine(config or SocConfig(ram_bytes=16 << 20), design=StubSoc, **options)  # type: ignore[arg-type]
        made.append(machine)
        machine.memory.write(BASE, code)
        machine.reset()
        return machine

    yield make
    for machine in made:
        machine.close()


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A directory for the test's files."""
    return tmp_path
