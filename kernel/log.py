"""The kernel's log: the newest LINES lines that it has printed or noted, each with its time. Never longer than that.

`kernel.printing` fills it, byte by byte; who holds a machine capability reads it (Facts.LOG). A line longer than
LINE_BYTES goes on in the next place. Empty lines are left out.
"""

from kernel.core import clock
from kernel.lang import *

LINES = 128
LINE_BYTES = 112


@struct
class LogLine:
    """A line, or a part of one."""

    time: u64  # of its first byte; 0 before the machine's clock is known
    length: u16
    more: bool  # the next place goes on with it
    text: Array[u8, LINE_BYTES]


lines = variable(Array[LogLine, LINES])
line_count = variable(u64, 0)  # so far; the ring is indexed by it
inside = variable(bool, False)  # of a line that has not ended


@fn
def begin_line() -> None:
    """A new line; the oldest one goes."""
    global line_count, inside
    line = ptr(lines[line_count % LINES])
    line.time = clock.now()
    line.length = 0
    line.more = False
    line_count += 1
    inside = True


@fn
def put_byte(byte: u8) -> None:
    """Appends; a line feed ends the line."""
    global inside
    if byte == 10:
        inside = False
        return
    if not inside:
        begin_line()
    line = ptr(lines[(line_count - 1) % LINES])
    if line.length == LINE_BYTES:
        line.more = True
        begin_line()
        line = ptr(lines[(line_count - 1) % LINES])
    line.text[line.length] = byte
    line.length += 1


@fn
def oldest() -> u64:
    """The number of the oldest line that is left."""
    return line_count - min(line_count, LINES)
