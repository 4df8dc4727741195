"""For all tests: what is random repeats, test by test, so that a change is judged by what it changed.

`--hypothesis-profile=search`, as `make long-test` runs them, looks elsewhere each time. Hypothesis has no time limit an
example: a first call builds what it calls, which takes seconds.
"""

import random

import pytest
from hypothesis import settings

settings.register_profile("splax", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None)
settings.load_profile("splax")


def searches(config: pytest.Config) -> bool:
    return config.getoption("--hypothesis-profile") == "search"


def pytest_configure(config: pytest.Config) -> None:
    if not searches(config):
        random.seed(0)  # for what modules draw when they are imported


@pytest.fixture(autouse=True)
def repeated(request: pytest.FixtureRequest) -> None:
    """Python's own random numbers start from the test's name."""
    if not searches(request.config):
        random.seed(request.node.nodeid)
