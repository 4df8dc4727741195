"""Names in messages come from anybody: only text is a name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.services.names import NAME_BYTES, Name, is_name, name_byte, name_length, name_words, read_name, same_name

printable = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=NAME_BYTES)


def make(text: str) -> Name:
    name = Name()
    for i, word in enumerate(name_words(text)):
        name.words[i] = word
    return name


@given(printable, printable)
def test_names_are_the_same_when_their_text_is(left, right):
    assert same_name(make(left), make(right)) == (left == right)


@given(printable)
def test_text_survives(text):
    name, again = make(text), Name()
    assert is_name(name)
    assert bytes(name_byte(name, i) for i in range(name_length(name))).decode() == text
    assert read_name(text.encode(), again) and same_name(name, again)


@given(st.binary(min_size=NAME_BYTES, max_size=NAME_BYTES))
def test_words_that_are_no_text_are_no_name(data):
    name = Name()
    for i in range(len(name.words)):
        name.words[i] = int.from_bytes(data[8 * i : 8 * i + 8], "little")
    text = data.rstrip(b"\0")
    assert is_name(name) == (len(text) > 0 and all(0x21 <= byte <= 0x7E for byte in text))


@pytest.mark.parametrize("text", ["", "two words", "x" * 25, "line\n", "Ünicode"])
def test_what_is_no_name_is_refused(text):
    with pytest.raises(ValueError, match="1 to 24 printable"):
        name_words(text)
    assert not read_name(text.encode(), Name())
