"""The kernel's log: its newest lines with their times, for who may read them, and never more than there is room for."""

from typing import Any

import pytest

from kernel import log, printing
from kernel.abi import Error, Facts, Kind, SystemCall
from kernel.boot_info import BootInfo
from kernel.core import boot, machine, state
from kernel.lang import layout
from tests.kernel.core.machine import KernelUnderTest

READ, WRITE = 1, 2


class Log:
    """A kernel with a capability to read its log, and one that may not."""

    def __init__(self) -> None:
        self.kernel = KernelUnderTest()
        self.info: Any = layout.host(BootInfo)
        state.kernel.value.facts = self.info
        self.reader = boot.add(200, Kind.MACHINE, 0, 0, READ)
        self.writer = boot.add(201, Kind.MACHINE, 0, 0, WRITE)
        printing.leave_console()
        printing.put("\n")

    def ask(self, handle: int, number: int, offset: int = 0) -> Error:
        return self.kernel.do(self.kernel.boot, SystemCall.MACHINE_INSPECT, handle, Facts.LOG, number, offset)

    def read(self, number: int) -> tuple[int, int, bool, str]:
        """(number, time, whether the next one goes on with it, text) of a line."""
        text, offset = b"", 0
        while self.ask(self.reader, number, offset) == Error.NONE:
            words = [self.kernel.boot.word(i) for i in range(8)]
            text += b"".join(word.to_bytes(8, "little") for word in words[4:])
            offset += 32
            if offset >= words[2]:
                return words[0], words[1], bool(words[3]), text[: words[2]].decode()
        raise IndexError(number)


@pytest.fixture
def kernel_log() -> Log:
    return Log()


def say(text: str, time: int) -> None:
    machine.host_time.value = time
    printing.put(text)


def test_lines_have_the_time_of_their_first_byte_and_empty_ones_are_left_out(kernel_log: Log):
    first = log.line_count.value
    say("one ", 5000)
    say("line\n\n", 6000)
    say("two\n", 7000)
    assert kernel_log.read(first) == (first, 5000, False, "one line")
    assert kernel_log.read(first + 1) == (first + 1, 7000, False, "two")
    assert kernel_log.ask(kernel_log.reader, first + 2) == Error.OUT_OF_RANGE


def test_only_who_may_read_the_machine_reads_the_log(kernel_log: Log):
    say("secret\n", 1)
    assert kernel_log.ask(kernel_log.writer, 0) == Error.DENIED
    assert kernel_log.ask(kernel_log.kernel.untyped, 0) == Error.WRONG_KIND
    assert kernel_log.ask(kernel_log.reader, 0, log.LINE_BYTES) == Error.OUT_OF_RANGE


def test_a_long_line_goes_on_in_the_next_place(kernel_log: Log):
    first = log.line_count.value
    text = "".join(chr(33 + i % 90) for i in range(2 * log.LINE_BYTES + 7))
    say(text + "\n", 9)
    parts = [kernel_log.read(first + i) for i in range(3)]
    assert "".join(part for *_, part in parts) == text
    assert [more for _, _, more, _ in parts] == [True, True, False]
    say("x" * log.LINE_BYTES + "\n", 9)
    assert kernel_log.read(first + 3)[2:] == (False, "x" * log.LINE_BYTES), "one that just fits does not go on"


@pytest.mark.parametrize("more", [1, log.LINES - 1, 3 * log.LINES + 5])
def test_the_newest_lines_are_kept(kernel_log: Log, more: int):
    first = log.line_count.value
    for number in range(log.LINES + more):
        say(f"line {number}\n", number)
    oldest = first + more
    assert kernel_log.read(0) == (oldest, more, False, f"line {more}"), "asked for one that is gone: the oldest"
    for number in (more, more + 1, log.LINES + more - 1):
        assert kernel_log.read(first + number) == (first + number, number, False, f"line {number}")
    assert log.line_count.value == first + log.LINES + more
