"""Line editing: the line against a model on a Python string, the screen against a small terminal."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.services.line_editor import HISTORY, LINE_BYTES, LineEditor, Result, clear, feed, show

KEYS = {
    "left": b"\x1b[D",
    "right": b"\x1b[C",
    "home": b"\x1b[H",
    "end": b"\x1b[F",
    "home~": b"\x1b[1~",
    "end~": b"\x1b[4~",
    "delete": b"\x1b[3~",
    "up": b"\x1b[A",
    "down": b"\x1bOB",
    "^A": b"\x01",
    "^E": b"\x05",
    "^B": b"\x02",
    "^F": b"\x06",
    "^K": b"\x0b",
    "^U": b"\x15",
    "^W": b"\x17",
    "backspace": b"\x7f",
    "^D": b"\x04",
    "enter": b"\r",
    "enter with line feed": b"\r\n",
    "^C": b"\x03",
    "unknown": b"\x1b[1;5Q",
    "not ASCII": "ü".encode(),
}


class Terminal:
    """One row of a terminal: printing, backspace, carriage return, line feed, bell."""

    def __init__(self):
        self.row, self.column = [], 0

    def write(self, data: bytes) -> None:
        for byte in data:
            if byte == 8:
                self.column -= 1
                assert self.column >= 0
            elif byte == 13:
                self.column = 0
            elif byte == 10:
                self.row = []
            elif byte != 7:
                assert 0x20 <= byte < 0x7F, f"a terminal would not print {byte:#x}"
                self.row[self.column :] = [chr(byte), *self.row[self.column + 1 :]]
                self.column += 1


class Model:
    """What the keys mean, on a string."""

    def __init__(self):
        self.line, self.cursor, self.history, self.back, self.draft = "", 0, [], 0, ""

    def recall(self, back):
        if 0 <= back <= len(self.history[-HISTORY:]):
            if self.back == 0:
                self.draft = self.line
            self.back = back
            self.line = self.history[-back] if back else self.draft
            self.cursor = len(self.line)

    def key(self, key):
        before, behind = self.line[: self.cursor], self.line[self.cursor :]
        match key:
            case "left" | "^B":
                self.cursor = max(self.cursor - 1, 0)
            case "right" | "^F":
                self.cursor = min(self.cursor + 1, len(self.line))
            case "home" | "home~" | "^A":
                self.cursor = 0
            case "end" | "end~" | "^E":
                self.cursor = len(self.line)
            case "delete" | "^D":
                self.line = before + behind[1:]
            case "backspace":
                self.line, self.cursor = before[:-1] + behind, max(self.cursor - 1, 0)
            case "^K":
                self.line = before
            case "^U":
                self.line, self.cursor = behind, 0
            case "^W":
                kept = before.rstrip(" ")
                kept = kept[: kept.rfind(" ") + 1]
                self.line, self.cursor = kept + behind, len(kept)
            case "up":
                self.recall(self.back + 1)
            case "down":
                self.recall(self.back - 1)
            case "enter" | "enter with line feed" | "^C":
                if key != "^C" and self.line and self.history[-1:] != [self.line]:
                    self.history.append(self.line)
                self.line, self.cursor, self.back = "", 0, 0
            case str() if len(key) == 1 and len(self.line) < LINE_BYTES:
                self.line, self.cursor = before + key + behind, self.cursor + 1


def typed(editor: LineEditor, data: bytes) -> tuple[list[Result], list[str], bytes]:
    """Feeds bytes; gives what they led to, the lines entered, and what was shown."""
    results, lines, shown = [], [], b""
    for byte in data:
        results.append(Result(feed(editor, byte)))
        shown += bytes(editor.out.text[i] for i in range(editor.out.length))
        editor.out.length = 0
        if results[-1] == Result.LINE:
            lines.append(bytes(editor.line.text[i] for i in range(editor.line.length)).decode())
            clear(editor)
    return results, lines, shown


character = st.characters(min_codepoint=0x20, max_codepoint=0x7E)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(character, st.just(" "), st.sampled_from(sorted(KEYS))), max_size=60))
def test_line_and_screen_are_what_the_keys_mean(keys):
    editor, model, terminal = LineEditor(), Model(), Terminal()
    for key in keys:
        if key == "^D" and not model.line:
            continue
        expected = model.line
        _, lines, shown = typed(editor, KEYS.get(key, key.encode()))
        model.key(key)
        terminal.write(shown)
        assert lines == ([expected] if key.startswith("enter") else [])
        assert bytes(editor.line.text[i] for i in range(editor.line.length)).decode() == model.line
        assert editor.cursor == terminal.column == model.cursor
        assert "".join(terminal.row).rstrip(" ") == model.line.rstrip(" ")


def test_a_full_line_rings_and_keeps_its_text():
    editor = LineEditor()
    typed(editor, b"x" * LINE_BYTES)
    assert typed(editor, b"y")[2] == b"\x07"
    assert typed(editor, b"\x01y")[2].endswith(b"\x07")
    assert typed(editor, b"\r")[1] == ["x" * LINE_BYTES]


def test_history_keeps_the_last_lines_and_no_repetitions():
    editor = LineEditor()
    for n in range(HISTORY + 4):
        typed(editor, b"line %d\r" % n * 2)
    typed(editor, KEYS["up"] * (HISTORY + 9))
    assert typed(editor, b"\r")[1] == ["line 4"]


@pytest.mark.parametrize(("keys", "result"), [(b"\x04", Result.END), (b"ab\x03", Result.CANCELLED)])
def test_keys_that_end_a_line(keys, result):
    editor = LineEditor()
    assert typed(editor, keys)[0][-1] == result and editor.line.length == 0


def test_clearing_the_screen_keeps_the_line():
    editor = LineEditor()
    results, _, shown = typed(editor, b"ab\x02\x0c")
    assert results[-1] == Result.REDRAW and shown.endswith(b"\x1b[2J\x1b[H")
    show(editor, 0, 0)
    assert bytes(editor.out.text[i] for i in range(editor.out.length)) == b"ab\x08"


@given(st.binary(max_size=200))
def test_no_input_breaks_it(data):
    editor = LineEditor()
    typed(editor, data)
    assert editor.cursor <= editor.line.length <= LINE_BYTES
