"""Dying peers, capabilities that end in the middle of a wait, lent levels: `run peers` (kernel/examples/peers.py) on
machines prints who did what, in the order of the clock. The same everywhere; on the simulated hardware in the long
regression.
"""

import pytest

from kernel import image
from kernel.abi import ERROR_TEXT, Error

from .test_atlas import Console, qemu
from .test_transcript import Hardware

GONE, REVOKED, EXPIRED, DONE = (
    f"told '{ERROR_TEXT[error]}'" for error in (Error.PEER_GONE, Error.REVOKED, Error.EXPIRED, Error.NONE)
)
WANTED = {
    "a server dies with a call": ["client calls", "server receives", "server dies", f"client {GONE}"],
    "a server dies, its next life serves who queues": [
        "client calls", "server receives", "server dies", f"client {GONE}",
        "client calls", "server receives", "server answers", f"client {DONE}",
    ],
    "an endpoint ends": ["client calls", "second calls", f"client {GONE}", f"second {GONE}"],
    "a client dies, its server goes on": [
        "client calls", "server receives", "server answers",
        "second calls", "server receives", "server answers", f"second {DONE}",
    ],
    "a queued caller's capability is deleted": [
        "client calls", "second calls", f"client {REVOKED}", "server receives", "server answers", f"second {DONE}",
    ],
    "a receiver's capability is revoked": ["client waits", f"client {REVOKED}"],
    "a waiter's capability is revoked": ["client waits", f"client {REVOKED}"],
    "a queued caller's capability expires": ["client calls", f"client {EXPIRED}"],
    "an urgent caller queues": [
        "client calls", "server receives", "spinner begins", "urgent calls",
        "server answers (lifted)", "server receives (lifted)", "server answers (lifted)", f"urgent {DONE}",
        "spinner ends", f"client {DONE}",
    ],
    "an urgent caller queues for one that waits for another": [
        "client calls", "server receives", "second receives", "spinner begins", "urgent calls",
        "second answers (lifted)", "server answers (lifted)", "server receives (lifted)", "second receives (lifted)",
        "second answers (lifted)", "server answers (lifted)", f"urgent {DONE}",
        "spinner ends", f"client {DONE}",
    ],
}  # fmt: skip
"""What must happen, in this order: by scene."""


def judge(console: Console) -> None:
    before = console.ask("mem"), console.ask("caps")
    text = console.ask("run peers")
    seen = {name: events.split("; ") for name, events in (line.split(": ", 1) for line in text.splitlines()[:-1])}
    assert seen == WANTED
    assert text.endswith("peers ended with 0")
    assert (console.ask("mem"), console.ask("caps")) == before


@pytest.mark.parametrize("arch", image.USER_MODE)
def test_who_waits_is_told_and_who_is_urgent_lifts_whom_he_waits_for(arch: str):
    with qemu(arch) as machine:
        judge(Console(machine))


@pytest.mark.long
def test_who_waits_is_told_on_the_hardware():
    with Hardware() as machine:
        judge(Console(machine))
