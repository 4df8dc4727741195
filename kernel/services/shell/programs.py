"""`run`: starts a program by S-INIT, and says how it ended."""

from kernel.abi import PANIC_STATUS, Error
from kernel.ipcbench.measure import ITERATIONS
from kernel.lang import *
from kernel.services.description import SYSTEM
from kernel.services.line_editor import LINE_BYTES, Line
from kernel.services.names import Name
from kernel.services.protocol import InitCall
from kernel.services.run import PROGRAM_COUNT, ROWS, Outcome
from kernel.services.shell.show import put_error
from kernel.services.shell.words import Words, word_is, word_name
from kernel.user import calls
from kernel.user.message import Message
from kernel.user.text import put, put_decimal, put_hex, put_name

INIT = SYSTEM.handle("shell", "init")

running = variable(bool, False)
background = variable(bool, False)


@fn
def takes_input() -> bool:
    """Whether a program runs for which what is typed waits."""
    return running and not background


@fn
def in_background() -> bool:
    """Whether a program runs beside the shell."""
    return running and background


@fn
def ask(operation: InitCall, message: Ptr[Message]) -> Error:
    """A request to S-INIT."""
    message.words[0] = u64(operation)
    error = calls.call(INIT, message)
    if error == Error.NONE:
        error = Error(trunc(message.words[0], u8))
    return error


@fn
def list_programs() -> None:
    """What there is to run."""
    for i in range(PROGRAM_COUNT):
        name = Name()
        copy(name, ROWS[i].name)
        put_name(ptr(name), 0)
        put(" " if i + 1 < PROGRAM_COUNT else "\n")


@fn
def number(line: Ptr[Line], start: usize, end: usize, value: Ptr[u64]) -> bool:
    """A decimal number of at most 18 digits, or a hexadecimal one behind 0x of at most 16."""
    hexadecimal = end - start > 2 and line.text[start] == 0x30 and line.text[start + 1] == 0x78
    first = start + 2 if hexadecimal else start
    most: usize = 16 if hexadecimal else 18
    if end - first > most:
        return False
    value.value = 0
    for i in bounded(range(first, end), LINE_BYTES):
        byte = line.text[i]
        if byte >= 0x30 and byte <= 0x39:
            digit = u64(byte) - 0x30
        elif hexadecimal and byte >= 0x61 and byte <= 0x66:
            digit = u64(byte) - 0x57
        elif hexadecimal and byte >= 0x41 and byte <= 0x46:
            digit = u64(byte) - 0x37
        else:
            return False
        value.value = value.value << 4 | digit if hexadecimal else value.value * 10 + digit
    return True


@fn
def run(line: Ptr[Line], words: Ptr[Words]) -> None:
    """`run NAME [NUMBER] [&]`."""
    message = Message()
    name = Name()
    beside = take_ampersand(line, words)
    if words.count < 2 or words.count > 3 or words.too_many:
        put("usage: run NAME [NUMBER] [&]; programs: ")
        list_programs()
        return
    if words.count == 3 and not number(line, words.start[2], words.end[2], ptr(message.words[4])):
        put("the argument is a number: decimal, up to 18 digits, or hexadecimal with 0x, up to 16\n")
        return
    if not word_name(line, words, 1, ptr(name)):
        put("that is no program; there are: ")
        list_programs()
        return
    start(ptr(name), ptr(message), beside)


@fn
def take_ampersand(line: Ptr[Line], words: Ptr[Words]) -> bool:
    """Takes `&` off the end of the line; whether it was there."""
    if words.too_many or words.count < 2 or not word_is(line, words, words.count - 1, "&"):
        return False
    words.count -= 1
    return True


@fn
def ipcbench(line: Ptr[Line], words: Ptr[Words]) -> None:
    """`ipcbench [N] [&]`: the program of that name."""
    message = Message()
    name = Name()
    beside = take_ampersand(line, words)
    good = word_name(line, words, 0, ptr(name)) and words.count <= 2 and not words.too_many
    if good and words.count == 2:
        good = number(line, words.start[1], words.end[1], ptr(message.words[4]))
        good = good and message.words[4] > 0 and message.words[4] <= ITERATIONS
    if good:
        start(ptr(name), ptr(message), beside)
    else:
        put("usage: ipcbench [N] [&]; N from 1 to ")
        put_decimal(ITERATIONS, 0)
        put("\n")


@fn
def start(name: Ptr[Name], message: Ptr[Message], beside: bool) -> None:
    """Has S-INIT start a program with the argument in word 4."""
    global running, background
    for i in range(3):
        message.words[1 + i] = name.words[i]
    error = ask(InitCall.RUN, message)
    if error == Error.NONE:
        running = True
        background = beside
    elif error == Error.BUSY:
        put("a program runs already: `kill` ends it\n")
    elif error == Error.OUT_OF_RANGE:
        put_name(name, 0)
        put(": no such program; there are: ")
        list_programs()
    else:
        put_name(name, 0)
        put(" was not started: ")
        put_error(u64(error))


@fn
def kill() -> None:
    """Ends the program that runs, and says so."""
    global running
    if not running:
        put("no program runs\n")
        return
    running = False
    message = Message()
    killed = ask(InitCall.KILL_PROGRAM, ptr(message)) == Error.NONE
    if ask(InitCall.OUTCOME, ptr(message)) == Error.NONE:
        if killed:
            put_ended(ptr(message))
            put(" was killed\n")
        else:
            report(ptr(message))


@fn
def kill_left_over() -> None:
    """A shell that starts again has forgotten what ran: nobody could end that any more."""
    message = Message()
    _ = ask(InitCall.KILL_PROGRAM, ptr(message))


@fn
def has_ended(message: Ptr[Message]) -> bool:
    """Whether the program that ran has ended; how is in the message then, for `report`."""
    global running
    if not running or ask(InitCall.OUTCOME, message) != Error.NONE:
        return False
    if message.words[1] == u64(Outcome.RUNNING):
        return False
    running = False
    return True


@fn
def put_ended(message: Ptr[Message]) -> None:
    """The name of the program that has ended."""
    name = Name()
    for i in range(3):
        name.words[i] = message.words[5 + i]
    put_name(ptr(name), 0)


@fn
def report(message: Ptr[Message]) -> None:
    """How it ended."""
    put_ended(message)
    if message.words[1] == u64(Outcome.FAULTED):
        put(" died: fault ")
        put_hex(message.words[2], 0)
        put(" of the CPU, at address ")
        put_hex(message.words[3], 0)
        put(", program counter ")
        put_hex(message.words[4], 0)
        put("\n")
    elif message.words[2] & ~u64(0xFFFF_FFFF) == PANIC_STATUS:
        put(" panicked in line ")
        put_decimal(message.words[2] & 0xFFFF_FFFF, 0)
        put("\n")
    else:
        put(" ended with ")
        put_decimal(message.words[2], 0)
        put("\n")
