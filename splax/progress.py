"""What a person sees of a build or a run while it lasts, on standard error, and the line at its end."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status

from sim.machine import Machine

FIRST_SHOWN = 2.0
INTERVAL = 0.25


class Progress:
    """Progress on standard error: live on a terminal, else nothing but the summary."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._live = self._console.is_terminal
        self._status: Status | None = None
        self._quiet = False
        self._start = self._shown = time.monotonic()

    @contextmanager
    def building(self, what: str = "the simulator") -> Iterator[Callable[[str], None]]:
        """Gives the function that is told each step of a build; where it is told none, nothing is shown."""
        if not self._live:
            yield lambda step: print(f"splax: building {what}: {step}", file=sys.stderr)
            return
        status = self._console.status("")

        def show(step: str) -> None:
            status.update(f"building {what} (once): {step}")
            status.start()

        try:
            yield show
        finally:
            status.stop()

    @contextmanager
    def running(self, machine: Machine, *, quiet: bool) -> Iterator[None]:
        """While the machine runs; `quiet` where the terminal is the machine's console: then its title tells."""
        self._start = self._shown = time.monotonic()
        self._quiet = quiet
        if quiet and self._live:
            self._console.print("splax: Ctrl-A x leaves", style="dim", end="\r\n", highlight=False)
        try:
            yield
        finally:
            if self._status:
                self._status.stop()
                self._status = None

    def update(self, machine: Machine) -> None:
        """Called every slice."""
        now = time.monotonic()
        if not self._live or now - self._start < FIRST_SHOWN or now - self._shown < INTERVAL:
            return
        self._shown = now
        text = f"cycle {machine.cycle:,}, {_megahertz(machine)}"
        if self._quiet:
            sys.stderr.write(f"\x1b]0;splax: {text}\x07")
            sys.stderr.flush()
            return
        if self._status is None:
            self._status = self._console.status(text)
            self._status.start()
        self._status.update(f"{text}, {machine.where()}")

    def summary(self, machine: Machine) -> None:
        """The line at the end of every run."""
        cycles, instructions = machine.cycle, machine.status.instructions
        cpi = f", {cycles / instructions:.2f} cycles each" if instructions else ""
        seconds = f"{machine.wall_seconds:.2f} s"
        print(
            f"splax: {cycles} cycles, {instructions} instructions{cpi}, {seconds}: {_megahertz(machine)}",
            file=sys.stderr,
        )


def _megahertz(machine: Machine) -> str:
    return f"{machine.cycle / machine.wall_seconds / 1e6:.3f} MHz" if machine.wall_seconds else "0 MHz"
