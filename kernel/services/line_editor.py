"""Editing a line on a terminal: what was typed goes in byte by byte, what to show comes out.

Pure state, for whoever owns a console. The keys are those of readline on a VT100: left right home end, ^A ^E ^B ^F,
backspace, delete, ^D, ^K ^U ^W, up down ^P ^N for history, ^L, ^C. What is no key does nothing; a byte that is not
printable ASCII is not taken into the line. The cursor's column is always known: nothing is asked of the terminal.
"""

from enum import IntEnum

from kernel.lang import *

LINE_BYTES = 256
HISTORY = 16
OUT_BYTES = 1024


@enum(8)
class Result(IntEnum):
    """What a byte led to."""

    EDITING = 0
    LINE = 1  # the line is complete; it is in `line`, and in the history
    CANCELLED = 2  # ^C: the line is empty again
    END = 3  # ^D in an empty line
    REDRAW = 4  # ^L: the screen was cleared; the caller prints the prompt, then `show`


@enum(8)
class Escape(IntEnum):
    """How far an escape sequence has come."""

    NONE = 0
    ESCAPE = 1
    BRACKET = 2
    NUMBER = 3


@struct
class Line:
    """Text without its end of line."""

    length: usize
    text: Array[u8, LINE_BYTES]


@struct
class Output:
    """What to send to the terminal; whoever sends it sets `length` to 0."""

    length: usize
    text: Array[u8, OUT_BYTES]


@struct
class LineEditor:
    """One line being edited, and the lines before it."""

    line: Line
    cursor: usize
    history: Array[Line, HISTORY]  # a ring indexed by `entered`
    entered: u64
    recalled: u64  # how far back the line shown is from: 0 is the new one
    draft: Line  # the new one, while an older one is shown
    out: Output
    number: u32
    escape: Escape
    after_return: bool  # a line feed right behind a carriage return is the same key


@fn
def emit(editor: Ptr[LineEditor], byte: u8) -> None:
    """Adds a byte to the output. One key makes at most OUT_BYTES of them: lines are short."""
    editor.out.text[editor.out.length] = byte
    editor.out.length += 1


@fn
def emit_many(editor: Ptr[LineEditor], byte: u8, count: usize) -> None:
    """Adds a byte several times."""
    for _ in bounded(range(count), LINE_BYTES + 1):
        emit(editor, byte)


@fn
def show(editor: Ptr[LineEditor], start: usize, erase: usize) -> None:
    """From the screen's cursor, at column `start` of the line: writes the rest, blanks `erase` columns, goes back."""
    for i in bounded(range(start, editor.line.length), LINE_BYTES):
        emit(editor, editor.line.text[i])
    emit_many(editor, 0x20, erase)
    emit_many(editor, 0x08, editor.line.length + erase - editor.cursor)


@fn
def go_to(editor: Ptr[LineEditor], cursor: usize) -> None:
    """Moves the cursor within the line."""
    for i in bounded(range(editor.cursor, max(cursor, editor.cursor)), LINE_BYTES):
        emit(editor, editor.line.text[i])
    emit_many(editor, 0x08, editor.cursor - min(cursor, editor.cursor))
    editor.cursor = cursor


@fn
def insert(editor: Ptr[LineEditor], byte: u8) -> None:
    """A printable byte at the cursor; a full line takes no more."""
    line = ptr(editor.line)
    if line.length == LINE_BYTES:
        emit(editor, 0x07)
        return
    for i in bounded(range(line.length - editor.cursor), LINE_BYTES):
        line.text[line.length - i] = line.text[line.length - i - 1]
    line.text[editor.cursor] = byte
    line.length += 1
    editor.cursor += 1
    show(editor, editor.cursor - 1, 0)


@fn
def cut(editor: Ptr[LineEditor], start: usize, end: usize) -> None:
    """Takes bytes start..end out of the line; the cursor goes to `start`."""
    line = ptr(editor.line)
    go_to(editor, start)
    for i in bounded(range(end, line.length), LINE_BYTES):
        line.text[start + i - end] = line.text[i]
    line.length -= end - start
    show(editor, start, end - start)


@fn
def word_start(editor: Ptr[LineEditor]) -> usize:
    """Where the word in front of the cursor begins."""
    at = editor.cursor
    while bounded(at > 0 and editor.line.text[at - 1] == 0x20, LINE_BYTES):
        at -= 1
    while bounded(at > 0 and editor.line.text[at - 1] != 0x20, LINE_BYTES):
        at -= 1
    return at


@fn
def recall(editor: Ptr[LineEditor], back: u64) -> None:
    """Shows the line that was entered `back` lines ago, 0 for the one begun; nothing where there is none."""
    if back > min(editor.entered, HISTORY):
        emit(editor, 0x07)
        return
    if editor.recalled == 0:
        copy(editor.draft, editor.line)
    old = editor.line.length
    go_to(editor, 0)
    editor.recalled = back
    if back == 0:
        copy(editor.line, editor.draft)
    else:
        copy(editor.line, editor.history[(editor.entered - back) % HISTORY])
    editor.cursor = editor.line.length
    show(editor, 0, max(old, editor.line.length) - editor.line.length)


@fn
def same_line(left: Ptr[Line], right: Ptr[Line]) -> bool:
    """Whether two lines hold the same text."""
    if left.length != right.length:
        return False
    for i in bounded(range(left.length), LINE_BYTES):
        if left.text[i] != right.text[i]:
            return False
    return True


@fn
def remember(editor: Ptr[LineEditor]) -> None:
    """The line goes into the history, unless it is empty or the last one again."""
    if editor.line.length == 0:
        return
    if editor.entered > 0:
        last = ptr(editor.history[(editor.entered - 1) % HISTORY])
        if same_line(last, ptr(editor.line)):
            return
    copy(editor.history[editor.entered % HISTORY], editor.line)
    editor.entered += 1


@fn
def clear(editor: Ptr[LineEditor]) -> None:
    """Begins a new line; the output stays."""
    editor.line.length = 0
    editor.cursor = 0
    editor.recalled = 0
    editor.escape = Escape.NONE


@fn
def new_row(editor: Ptr[LineEditor]) -> None:
    """The terminal goes to the start of its next row."""
    emit(editor, 0x0D)
    emit(editor, 0x0A)


@fn
def finish_escape(editor: Ptr[LineEditor], byte: u8) -> None:
    """The last byte of ESC [ or ESC [ number."""
    editor.escape = Escape.NONE
    end = editor.line.length
    match byte:
        case 0x41:  # A: up
            recall(editor, editor.recalled + 1)
        case 0x42:  # B: down
            if editor.recalled > 0:
                recall(editor, editor.recalled - 1)
        case 0x43:  # C: right
            go_to(editor, min(editor.cursor + 1, end))
        case 0x44:  # D: left
            go_to(editor, max(editor.cursor, 1) - 1)
        case 0x48:  # H: home
            go_to(editor, 0)
        case 0x46:  # F: end
            go_to(editor, end)
        case 0x7E:  # ~: the number says which
            if editor.number == 1 or editor.number == 7:
                go_to(editor, 0)
            elif editor.number == 4 or editor.number == 8:
                go_to(editor, end)
            elif editor.number == 3 and editor.cursor < end:
                cut(editor, editor.cursor, editor.cursor + 1)
        case _:
            pass


@fn
def escaped(editor: Ptr[LineEditor], byte: u8) -> None:
    """A byte inside of an escape sequence (ECMA-48 section 5.4: ESC [ parameters, then a final byte 0x40..0x7E)."""
    match editor.escape:
        case Escape.ESCAPE:
            editor.escape = Escape.BRACKET if byte == 0x5B or byte == 0x4F else Escape.NONE
            editor.number = 0
        case Escape.BRACKET | Escape.NUMBER:
            if byte >= 0x30 and byte <= 0x39:
                editor.escape = Escape.NUMBER
                editor.number = min(editor.number * 10 + u32(byte) - 0x30, 10000)
            elif byte >= 0x40 and byte <= 0x7E:
                finish_escape(editor, byte)
            elif byte < 0x20:
                editor.escape = Escape.NONE
        case Escape.NONE:
            pass


@fn
def control(editor: Ptr[LineEditor], byte: u8) -> Result:
    """A control key."""
    end = editor.line.length
    match byte:
        case 0x0D | 0x0A:
            go_to(editor, end)
            new_row(editor)
            remember(editor)
            return Result.LINE
        case 0x03:  # ^C
            emit(editor, 0x5E)
            emit(editor, 0x43)
            new_row(editor)
            clear(editor)
            return Result.CANCELLED
        case 0x04:  # ^D
            if end == 0:
                return Result.END
            if editor.cursor < end:
                cut(editor, editor.cursor, editor.cursor + 1)
        case 0x08 | 0x7F:
            if editor.cursor > 0:
                cut(editor, editor.cursor - 1, editor.cursor)
        case 0x01:  # ^A
            go_to(editor, 0)
        case 0x05:  # ^E
            go_to(editor, end)
        case 0x02:  # ^B
            go_to(editor, max(editor.cursor, 1) - 1)
        case 0x06:  # ^F
            go_to(editor, min(editor.cursor + 1, end))
        case 0x0B:  # ^K
            cut(editor, editor.cursor, end)
        case 0x15:  # ^U
            cut(editor, 0, editor.cursor)
        case 0x17:  # ^W
            cut(editor, word_start(editor), editor.cursor)
        case 0x10:  # ^P
            recall(editor, editor.recalled + 1)
        case 0x0E:  # ^N
            if editor.recalled > 0:
                recall(editor, editor.recalled - 1)
        case 0x0C:  # ^L: erase the display, home (ECMA-48 ED, CUP)
            for byte_out in CLEAR_SCREEN:
                emit(editor, byte_out)
            return Result.REDRAW
        case 0x1B:
            editor.escape = Escape.ESCAPE
        case _:
            pass
    return Result.EDITING


CLEAR_SCREEN = constant(Array[u8, 7], list(b"\x1b[2J\x1b[H"))


@fn
def feed(editor: Ptr[LineEditor], byte: u8) -> Result:
    """Takes one byte that was typed. After LINE the caller reads `line` and calls `clear`."""
    second_half = editor.after_return and byte == 0x0A
    editor.after_return = byte == 0x0D
    if second_half:
        return Result.EDITING
    if editor.escape != Escape.NONE:
        escaped(editor, byte)
        return Result.EDITING
    if byte < 0x20 or byte == 0x7F:
        return control(editor, byte)
    if byte < 0x7F:
        insert(editor, byte)
    return Result.EDITING
