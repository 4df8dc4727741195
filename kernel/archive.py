"""The programs that an image carries: a directory of names, and ELF files on pages of their own.

    count u64, reserved u64, count * (name 24 bytes, offset u64, bytes u64), files

The image builder packs it (`pack`); the kernel finds the first program in it, the first program all others.
"""

import struct as binary
from collections.abc import Mapping

from kernel.lang import *
from kernel.services.names import NAME_WORDS, Name, name_words, same_name

PAGE = 4096
ENTRY_BYTES = 40
MOST_PROGRAMS = 64
MOST_BYTES = 1 << 21


def pack(programs: Mapping[str, bytes]) -> bytes:
    """The archive, padded to a power of two."""
    if len(programs) > MOST_PROGRAMS:
        raise ValueError(f"{len(programs)} programs: an image carries {MOST_PROGRAMS} at most")
    at = -(-(16 + ENTRY_BYTES * len(programs)) // PAGE) * PAGE
    directory, files = binary.pack("<QQ", len(programs), 0), b""
    for name, data in programs.items():
        directory += binary.pack("<3Q", *name_words(name)) + binary.pack("<QQ", at + len(files), len(data))
        files += data.ljust(-(-len(data) // PAGE) * PAGE, b"\0")
    whole = directory.ljust(at, b"\0") + files
    size = max(PAGE, 1 << (len(whole) - 1).bit_length())
    if size > MOST_BYTES:
        raise ValueError(f"the programs take {size} bytes: an image carries {MOST_BYTES} at most")
    return whole.ljust(size, b"\0")


@struct
class Entry:
    """A program: where its file is in the archive."""

    offset: u64
    bytes: u64


@fn
def find(file: View[u8], name: Ptr[Name], entry: Ptr[Entry]) -> bool:
    """Looks a program up."""
    for i in bounded(range(min(word(file, 0), MOST_PROGRAMS)), MOST_PROGRAMS):
        at = 16 + i * ENTRY_BYTES
        found = Name()
        for j in range(NAME_WORDS):
            found.words[j] = word(file, at + 8 * u64(j))
        if same_name(ptr(found), name):
            entry.offset = word(file, at + 24)
            entry.bytes = word(file, at + 32)
            return True
    return False


@fn
def word(file: View[u8], at: u64) -> u64:
    """A number of the directory."""
    value: u64 = 0
    for i in range(8):
        value |= u64(file[usize(at) + i]) << (8 * u64(i))
    return value
