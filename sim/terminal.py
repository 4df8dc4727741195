"""This process's standard input and output as the console's other end.

On a terminal: raw mode, so that every key reaches the machine, but for Ctrl-A, which QEMU uses too: Ctrl-A x leaves,
Ctrl-A s says where the machine is, Ctrl-A Ctrl-A types Ctrl-A. Two Ctrl-C within a second leave as well. Input from a
file is there from the first cycle on, so that runs repeat exactly; the end of input does not end the run.
"""

import os
import select
import signal
import stat
import sys
import termios
import time
import tty
from collections.abc import Callable
from types import FrameType
from typing import Any

from .errors import InputError

ESCAPE = 0x01
INTERRUPT = 0x03
CHUNK = 1 << 16
FIRST_INPUT_PATIENCE = 0.05
MOST_FIRST_INPUT = 1 << 20


class Left(Exception):
    """The person at the terminal wants to leave; `status` is the exit status."""

    def __init__(self, status: int):
        super().__init__(status)
        self.status = status


class Terminal:
    """Standard input and output; use as a context manager, which puts the terminal back as it was.

    Parameters
    ----------
    on_status
        Gives the line that Ctrl-A s shows.
    """

    def __init__(self, on_status: Callable[[], str] = lambda: ""):
        self._on_status = on_status
        self._input = sys.stdin.fileno() if sys.stdin and not sys.stdin.closed else -1
        self._output = sys.stdout.fileno()
        self.interactive = self._input >= 0 and os.isatty(self._input)
        self._open = self._input >= 0
        self._saved: list[Any] | None = None
        self._escaped = False
        self._interrupted = -10.0
        self._signals: dict[int, Any] = {}

    def __enter__(self) -> "Terminal":
        for number in (signal.SIGTERM, signal.SIGHUP):
            self._signals[number] = signal.signal(number, _leave)
        if self.interactive:
            self._saved = termios.tcgetattr(self._input)
            tty.setraw(self._input, termios.TCSADRAIN)
        return self

    def __exit__(self, *_: object) -> None:
        if self._saved is not None:
            termios.tcsetattr(self._input, termios.TCSADRAIN, self._saved)
            self._saved = None
        for number, handler in self._signals.items():
            signal.signal(number, handler)

    def first_input(self) -> bytes:
        """What is there before the first cycle: a whole file, or what a pipe already holds."""
        if not self._open or self.interactive:
            return b""
        if stat.S_ISREG(os.fstat(self._input).st_mode):
            return self._read_all()
        return self._read_ready(FIRST_INPUT_PATIENCE)

    def typed(self) -> bytes:
        """What was typed since; raises Left when the person leaves."""
        data = self._read_ready(0) if self._open else b""
        return self._keys(data) if self.interactive and data else data

    def _read_all(self) -> bytes:
        parts = []
        while part := os.read(self._input, CHUNK):
            parts.append(part)
        self._open = False
        return b"".join(parts)

    def _read_ready(self, patience: float) -> bytes:
        parts = []
        while select.select([self._input], [], [], patience)[0]:
            try:
                part = os.read(self._input, CHUNK)
            except BlockingIOError:
                break
            except OSError:  # the terminal is gone
                part = b""
            if not part:
                self._open = False
                break
            parts.append(part)
            if patience == 0 or len(parts) * CHUNK > MOST_FIRST_INPUT:
                break
        return b"".join(parts)

    def _keys(self, data: bytes) -> bytes:
        """Takes what is meant for us out of what was typed."""
        passed = bytearray()
        for key in data:
            if self._escaped:
                self._escaped = False
                if key in b"xX":
                    raise Left(0)
                if key in b"sS":
                    self.write(f"\r\n{self._on_status()}\r\n".encode())
                elif key == ESCAPE:
                    passed.append(key)
                else:
                    self.write(b"\r\nCtrl-A x: leave, Ctrl-A s: where the machine is, Ctrl-A Ctrl-A: Ctrl-A\r\n")
            elif key == ESCAPE:
                self._escaped = True
            else:
                if key == INTERRUPT:
                    now = time.monotonic()
                    if now - self._interrupted < 1.0:
                        raise Left(130)
                    self._interrupted = now
                passed.append(key)
        return bytes(passed)

    def write(self, data: bytes) -> None:
        """Shows what the console printed."""
        while data:
            try:
                data = data[os.write(self._output, data) :]
            except BlockingIOError:
                select.select([], [self._output], [])
            except BrokenPipeError:
                raise Left(141) from None
            except OSError as error:
                raise InputError(
                    f"cannot write the console to standard output: {error.strerror}", "free some space"
                ) from error


def _leave(number: int, frame: FrameType | None) -> None:
    raise Left(128 + number)
