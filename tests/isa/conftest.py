"""`--qemu-only` proves the programs where there is no core to run them on."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--qemu-only", action="store_true", help="run the directed programs on QEMU alone")


@pytest.fixture
def everywhere(request: pytest.FixtureRequest, tmp_path):
    """Runs a finished `Checks`; `qemu=False` where QEMU 7.2 is known to do otherwise."""
    from tests.isa.program import run_everywhere, run_on_core

    def nowhere(*_: object) -> None:
        pass

    core = nowhere if request.config.getoption("--qemu-only") else run_on_core

    def run(checks, *, qemu: bool = True) -> None:
        run_everywhere(checks, tmp_path, qemu=qemu, core=core)

    return run
