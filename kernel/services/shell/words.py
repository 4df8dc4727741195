"""A command line taken apart: words between blanks."""

from kernel.lang import *
from kernel.services.line_editor import LINE_BYTES, Line
from kernel.services.names import Name, read_name

MAX_WORDS = 4


@struct
class Words:
    """Where the words are in the line; what is behind the last one counts as too many."""

    count: usize
    start: Array[usize, MAX_WORDS]
    end: Array[usize, MAX_WORDS]
    too_many: bool


@fn
def split(line: Ptr[Line], words: Ptr[Words]) -> None:
    """Finds the words."""
    words.count = 0
    words.too_many = False
    inside = False
    for i in bounded(range(line.length), LINE_BYTES):
        blank = line.text[i] == 0x20
        if not blank and not inside:
            if words.count == MAX_WORDS:
                words.too_many = True
                return
            words.start[words.count] = i
            words.count += 1
        if not blank:
            words.end[words.count - 1] = i + 1
        inside = not blank


@fn
def word_is(line: Ptr[Line], words: Ptr[Words], index: usize, text: Str) -> bool:
    """Whether a word is this text."""
    if index >= words.count or words.end[index] - words.start[index] != len(text):
        return False
    for i in bounded(range(len(text)), LINE_BYTES):
        if line.text[words.start[index] + i] != text[i]:
            return False
    return True


@fn
def word_name(line: Ptr[Line], words: Ptr[Words], index: usize, name: Ptr[Name]) -> bool:
    """A word as a name; False when there is none, or it cannot be one."""
    if index >= words.count:
        return False
    return read_name(view(line.text)[words.start[index] : words.end[index]], name)
