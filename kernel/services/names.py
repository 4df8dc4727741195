"""Names as they travel in messages: up to 24 bytes of text in three words, padded with zero bytes."""

from kernel.lang import *

NAME_WORDS = 3
NAME_BYTES = 8 * NAME_WORDS


@struct
class Name:
    """A name. Two are the same when their words are."""

    words: Array[u64, NAME_WORDS]


def name_words(text: str) -> tuple[int, ...]:
    """The words of a name, for Python: descriptions, tests. Raises ValueError where the name cannot be one."""
    data = text.encode()
    if not 0 < len(data) <= NAME_BYTES or any(not 0x21 <= byte <= 0x7E for byte in data):
        raise ValueError(f"a name is 1 to {NAME_BYTES} printable ASCII characters without blanks, not {text!r}")
    padded = data.ljust(NAME_BYTES, b"\0")
    return tuple(int.from_bytes(padded[at : at + 8], "little") for at in range(0, NAME_BYTES, 8))


@fn
def same_name(left: Ptr[Name], right: Ptr[Name]) -> bool:
    """Whether two names are the same."""
    for i in range(NAME_WORDS):
        if left.words[i] != right.words[i]:
            return False
    return True


@fn
def is_name(name: Ptr[Name]) -> bool:
    """Whether the words, which may come from anybody, are a name: printable, not empty, nothing behind the padding."""
    ended = False
    for i in range(NAME_WORDS):
        for j in range(8):
            byte = trunc(name.words[i] >> (8 * u64(j)), u8)
            if byte == 0:
                ended = True
            elif ended or byte < 0x21 or byte > 0x7E:
                return False
    return trunc(name.words[0], u8) != 0


@fn
def name_length(name: Ptr[Name]) -> usize:
    """Bytes of the text."""
    for i in range(NAME_BYTES):
        if name_byte(name, i) == 0:
            return i
    return NAME_BYTES


@fn
def name_byte(name: Ptr[Name], index: usize) -> u8:
    """Byte `index` of the text, 0 in the padding."""
    return trunc(name.words[index // 8] >> (8 * u64(index % 8)), u8)


@fn
def read_name(text: View[u8], name: Ptr[Name]) -> bool:
    """Makes a name of text; False when it is none."""
    for i in range(NAME_WORDS):
        name.words[i] = 0
    if len(text) > NAME_BYTES:
        return False
    for i in bounded(range(len(text)), NAME_BYTES):
        name.words[i // 8] |= u64(text[i]) << (8 * u64(i % 8))
    return is_name(name)
