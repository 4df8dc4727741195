"""Words of the command line like `seed=7`, for a first program."""

from kernel.abi import Error, Facts
from kernel.lang import *
from kernel.user import calls, first_table
from kernel.user.first_table import first_life
from kernel.user.message import Message

LINE = 256
PIECE = 56

line = variable(Array[u8, LINE])


@fn
def letter(at: usize) -> u8:
    """A byte of the command line; 0 behind its end."""
    return line[at] if at < LINE else 0


@fn
def value_of(word: Str, otherwise: u64) -> u64:
    """The number behind a word like `seed=`; another one where the word is not there."""
    for start in range(LINE):
        if start == 0 or line[start - 1] == 32:
            same = True
            for i in bounded(range(len(word)), 16):
                same = same and letter(start + i) == word[i]
            if same:
                value: u64 = 0
                for i in range(18):
                    digit = letter(start + len(word) + i)
                    if digit < 48 or digit > 57:
                        return value
                    value = value * 10 + u64(digit) - 48
                return value
    return otherwise


@fn
def read_line() -> None:
    """Asks the kernel."""
    for piece in range(LINE // PIECE + 1):
        message = Message()
        message.words[0] = u64(Facts.COMMAND_LINE)
        message.words[1] = u64(piece) * PIECE
        if calls.machine_inspect(first_life(first_table.MACHINE), ptr(message)) == Error.NONE:
            for i in range(PIECE):
                if piece * PIECE + i < LINE:
                    line[piece * PIECE + i] = trunc(message.words[1 + i // 8] >> (8 * u64(i % 8)), u8)
