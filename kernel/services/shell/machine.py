"""Commands about the machine: facts that the kernel has, and stopping it."""

from kernel.abi import TICKS_PER_SECOND, Error, Facts
from kernel.core.state import INTERRUPTS
from kernel.lang import *
from kernel.services.description import SYSTEM
from kernel.services.shell.show import put_error
from kernel.user import calls, text
from kernel.user.message import Message
from kernel.user.text import put, put_byte, put_decimal, put_padded, put_seconds

MACHINE = SYSTEM.handle("shell", "machine")
LABEL_WIDTH = 14
PIECE = 56
PIECES = 5  # of a text: the kernel keeps 256 bytes


@fn
def fact(what: Facts, number: u64, message: Ptr[Message]) -> bool:
    """Asks the kernel: see SystemCall.MACHINE_INSPECT."""
    message.words[0] = u64(what)
    message.words[1] = number
    return calls.machine_inspect(MACHINE, message) == Error.NONE


@fn
def put_fact_text(what: Facts) -> None:
    """A text fact, in pieces."""
    for piece in range(PIECES):
        message = Message()
        start = u64(piece) * PIECE
        if not fact(what, start, ptr(message)):
            return
        for i in range(PIECE):
            if start + u64(i) < message.words[0]:
                put_byte(trunc(message.words[1 + i // 8] >> (8 * u64(i % 8)), u8))


@fn
def text_row(label: Str, what: Facts) -> None:
    """A text fact, where the kernel could learn it."""
    message = Message()
    if fact(what, 0, ptr(message)) and message.words[0] > 0:
        put_padded(label, LABEL_WIDTH)
        put_fact_text(what)
        put("\n")


@fn
def banner() -> None:
    """What greets."""
    put("\nSplax on ")
    put_fact_text(Facts.CPU_MODEL)
    put("; `help` lists the commands\n")


@fn
def lscpu() -> None:
    """`lscpu`."""
    message = Message()
    text_row("processor", Facts.CPU_MODEL)
    text_row("machine", Facts.MACHINE)
    text_row("features", Facts.CPU_FEATURES)
    if fact(Facts.COUNTS, 0, ptr(message)):
        put("processors    ")
        put_decimal(message.words[3], 0)
        put("\ntimer         ")
        put_decimal(message.words[2], 0)
        put(" Hz\nmemory        ")
        put_decimal(message.words[1] >> 20, 0)
        put(" MiB\n")


@fn
def irq() -> None:
    """`irq`: interrupts that came, or that somebody waits for."""
    message = Message()
    put("number      came\n")
    for i in range(INTERRUPTS):
        if fact(Facts.INTERRUPT, u64(i), ptr(message)):
            if message.words[0] != 0 or message.words[3] != 0:
                put_decimal(u64(i), 6)
                put_decimal(message.words[0], 10)
                put("  bound\n" if message.words[3] != 0 else "  not bound\n")


@fn
def uptime() -> None:
    """`uptime`: since the machine's clock started, and how much of it nobody wanted to run."""
    message = Message()
    if fact(Facts.COUNTS, 0, ptr(message)):
        put("up ")
        put_seconds(message.words[0], TICKS_PER_SECOND)
        put(" s, idle ")
        put_seconds(message.words[7], TICKS_PER_SECOND)
        put(" s\n")


@fn
def stop(restart: bool) -> None:
    """`reboot`, `shutdown`."""
    text.flush()
    put_error(u64(calls.machine_stop(MACHINE, restart, 0)))
