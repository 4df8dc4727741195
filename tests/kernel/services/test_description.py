"""The system description: what cannot be is refused, services start after those they call, the report is complete."""

import pytest

from kernel.services.atlas.registry import Policy
from kernel.services.description import SYSTEM, Grant, GrantKind, Service, System


def service(name: str, *uses: str, **options: object) -> Service:
    grants = [Grant(f"of-{use}", GrantKind.CLIENT, use) for use in uses]
    return Service(name, Policy.NEVER, grants, **options)  # type: ignore[arg-type]


def test_services_start_after_those_they_call():
    system = System([service("c", "b"), service("b", "a"), service("a")], [])
    assert [s.name for s in system.services] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("services", "message"),
    [
        ([service("a"), service("a")], "'a' is there twice"),
        ([service("two words")], "printable ASCII"),
        ([service("a", "b")], "'b', which is not there"),
        ([service("a", "b"), service("b", "a")], "need each other to start: a, b"),
        ([service("a", threads=3)], "threads must be 1 or 2, not 3"),
        ([service(f"s{n}") for n in range(17)], "17 services: 16 at most"),
        ([service("a", *["a"] * 13)], "13 grants, 12 at most"),
    ],
)
def test_what_cannot_be_is_refused(services, message):
    with pytest.raises(ValueError, match=message):
        System(services, [])


def test_a_handle_is_the_first_life_of_the_grants_slot():
    assert SYSTEM.handle("shell", "console") == 1 << 32 | SYSTEM.slot("shell", "console") == 1 << 32 | 2
    with pytest.raises(ValueError):
        SYSTEM.slot("shell", "registers")


def test_only_the_console_touches_the_uart_and_only_the_shell_stops_the_machine():
    holders = {(row.kind.name, row.service) for row in SYSTEM.rows()}
    assert [s for kind, s in holders if kind == "DEVICE"] == ["console"]
    assert [s for kind, s in holders if kind == "INTERRUPT"] == ["console"]
    assert [s for kind, s in holders if kind == "MACHINE"] == ["shell"]
