"""The shell's loop: reads lines from the console, runs commands."""

from typing import Never

from kernel.abi import Error
from kernel.lang import *
from kernel.services import line_editor
from kernel.services.atlas.errors import put_atlas_error
from kernel.services.atlas.registry import AtlasError
from kernel.services.description import SYSTEM
from kernel.services.line_editor import OUT_BYTES, Line, LineEditor, Result
from kernel.services.names import Name, name_words
from kernel.services.protocol import ENDED_BIT, INPUT_BIT, READ_BYTES, AtlasCall, ConsoleCall
from kernel.services.shell import chains, channels, dmesg, machine, programs, show, threads
from kernel.services.shell.words import Words, split, word_is, word_name
from kernel.user import calls, service, text
from kernel.user.message import Message
from kernel.user.text import put, put_byte, put_name, put_padded

INPUT = SYSTEM.handle("shell", "input")
CONSOLE = SYSTEM.handle("shell", "console")
ATLAS = SYSTEM.handle("shell", "atlas")
PROMPT = "splax> "
NAME = constant(Name, {"words": list(name_words("shell"))})

HELP = {
    "help [COMMAND]": "this list, or what it says of one command",
    "caps [NAME SLOT]": "every service's capabilities; or one, and the chain of those that it was derived from",
    "ps": "every thread of S-INIT, the services and the running program, also what they have started",
    "mem": "every service's memory",
    "services": "what S-ATLAS knows: state, health, policy, restarts",
    "svc start|stop|restart|kill NAME": "starts, stops, kills a service; a killed one comes back by its policy",
    "channels": "every channel: who holds it, by which end, what went through it",
    "audit": "the newest entries of the kernel's audit ring",
    "dmesg": "what the kernel has said and what S-ATLAS has recorded, newest last",
    "irq": "interrupts: how often each came",
    "ipcbench [N] [&]": "measures messages between address spaces, N times, 10,000 where there is no N",
    "run NAME [NUMBER] [&]": "runs a program of the image with an argument; ^C ends it; with & beside the shell",
    "kill": "ends the program that runs beside the shell",
    "lscpu": "the processor",
    "uptime": "time since the start",
    "reboot": "starts the machine again",
    "shutdown": "powers it off",
}
"""What there is: how it is typed, what it does."""
USAGE_WIDTH = max(len(usage) for usage in HELP) + 2
USAGES = constant(Array[Str, len(HELP)], list(HELP))
MEANINGS = constant(Array[Str, len(HELP)], list(HELP.values()))

FIRST_STEERING = int(AtlasCall.START)
_STEERED = {
    AtlasCall.START: " was started\n",
    AtlasCall.STOP: " was stopped\n",
    AtlasCall.KILL: " was killed\n",
    AtlasCall.RESTART: " was restarted\n",
}
assert [int(call) for call in _STEERED] == [FIRST_STEERING + n for n in range(len(_STEERED))]
STEERING = constant(Array[Str, len(_STEERED)], [call.name.lower() for call in _STEERED])
STEERED = constant(Array[Str, len(_STEERED)], list(_STEERED.values()))
"""What `svc` does, in the order of the operations, and what it says then."""

editor = variable(LineEditor)
own_name = variable(Name)

AHEAD = 1024  # bytes that were typed and not yet looked at
ahead = variable(Array[u8, AHEAD])
ahead_first = variable(usize, 0)
ahead_used = variable(usize, 0)
asked = variable(u64, 0)
"""The sequence number of the last READ, and whether its answer came."""
answered = variable(bool, True)


@fn
def send_output() -> None:
    """Sends what the editor wants shown."""
    for i in bounded(range(editor.out.length), OUT_BYTES):
        put_byte(editor.out.text[i])
    editor.out.length = 0
    text.flush()


@fn
def steer(operation: AtlasCall, name: Ptr[Name]) -> AtlasError:
    """One request to S-ATLAS as operator."""
    message = Message()
    message.words[0] = u64(operation)
    for i in range(3):
        message.words[1 + i] = name.words[i]
    if calls.call(ATLAS, ptr(message)) != Error.NONE or message.words[0] >= len(AtlasError):
        return AtlasError.SERVICE_UNHEALTHY
    return AtlasError(trunc(message.words[0], u8))


@fn
def svc(line: Ptr[Line], words: Ptr[Words]) -> None:
    """`svc start|stop|restart|kill NAME`."""
    name = Name()
    if words.count != 3 or not word_name(line, words, 2, ptr(name)):
        put("usage: svc start|stop|restart|kill NAME\n")
        return
    for i in range(len(STEERING)):
        if word_is(line, words, 1, STEERING[i]):
            error = steer(AtlasCall(FIRST_STEERING + trunc(i, u8)), ptr(name))
            if error == AtlasError.NONE:
                put_name(ptr(name), 0)
                put(STEERED[i])
            else:
                put_atlas_error(error)
            return
    put("usage: svc start|stop|restart|kill NAME\n")


@fn
def is_about(row: usize, line: Ptr[Line], words: Ptr[Words], word: usize) -> bool:
    """Whether a row of the help is about a word."""
    usage = USAGES[row]
    length = words.end[word] - words.start[word]
    if length > len(usage) or (length < len(usage) and usage[length] != 0x20):
        return False
    for i in bounded(range(length), line_editor.LINE_BYTES):
        if line.text[words.start[word] + i] != usage[i]:
            return False
    return True


@fn
def is_command(line: Ptr[Line], words: Ptr[Words]) -> bool:
    """Whether the first word is a command."""
    for i in range(len(HELP)):
        if is_about(i, line, words, 0):
            return True
    return False


@fn
def show_help(line: Ptr[Line], words: Ptr[Words]) -> None:
    """`help [COMMAND]`."""
    if words.count > 2:
        put("usage: help [COMMAND]\n")
        return
    shown = False
    for i in range(len(HELP)):
        if words.count == 1 or is_about(i, line, words, 1):
            shown = True
            put_padded(USAGES[i], USAGE_WIDTH)
            put(MEANINGS[i])
            put("\n")
    if not shown:
        unknown(line, words, 1)


@fn
def unknown(line: Ptr[Line], words: Ptr[Words], word: usize) -> None:
    """A command that there is not."""
    for i in bounded(range(words.start[word], words.end[word]), line_editor.LINE_BYTES):
        put_byte(line.text[i])
    put(": no such command; `help` lists what there is\n")


@fn
def run_command(line: Ptr[Line]) -> None:
    """One line."""
    words = Words(count=0)
    split(line, ptr(words))
    if words.count == 0:
        return
    if word_is(line, ptr(words), 0, "svc"):
        svc(line, ptr(words))
    elif word_is(line, ptr(words), 0, "run"):
        programs.run(line, ptr(words))
    elif word_is(line, ptr(words), 0, "ipcbench"):
        programs.ipcbench(line, ptr(words))
    elif word_is(line, ptr(words), 0, "caps") and words.count > 1:
        chains.caps_of_slot(line, ptr(words))
    elif word_is(line, ptr(words), 0, "help"):
        show_help(line, ptr(words))
    elif words.count > 1 and is_command(line, ptr(words)):
        put("that command takes no arguments; `help` lists what there is\n")
    elif word_is(line, ptr(words), 0, "caps"):
        show.caps()
    elif word_is(line, ptr(words), 0, "ps"):
        threads.ps()
    elif word_is(line, ptr(words), 0, "mem"):
        show.mem()
    elif word_is(line, ptr(words), 0, "services"):
        show.services()
    elif word_is(line, ptr(words), 0, "channels"):
        channels.channels()
    elif word_is(line, ptr(words), 0, "kill"):
        programs.kill()
    elif word_is(line, ptr(words), 0, "audit"):
        show.audit()
    elif word_is(line, ptr(words), 0, "dmesg"):
        dmesg.dmesg()
    else:
        run_machine_command(line, ptr(words))


@fn
def run_machine_command(line: Ptr[Line], words: Ptr[Words]) -> None:
    """Commands about the machine."""
    if word_is(line, words, 0, "irq"):
        machine.irq()
    elif word_is(line, words, 0, "lscpu"):
        machine.lscpu()
    elif word_is(line, words, 0, "uptime"):
        machine.uptime()
    elif word_is(line, words, 0, "reboot"):
        machine.stop(True)
    elif word_is(line, words, 0, "shutdown"):
        machine.stop(False)
    else:
        unknown(line, words, 0)


@fn
def prompt() -> None:
    """Shows the prompt."""
    put(PROMPT)
    text.flush()


@fn
def redraw() -> None:
    """The prompt, and the line as far as it was typed."""
    prompt()
    line_editor.show(ptr(editor), 0, 0)
    send_output()


@fn
def typed(byte: u8) -> None:
    """One byte from the console."""
    result = line_editor.feed(ptr(editor), byte)
    send_output()
    match result:
        case Result.LINE:
            run_command(ptr(editor.line))
            line_editor.clear(ptr(editor))
            if not programs.takes_input():
                prompt()
        case Result.CANCELLED:
            prompt()
        case Result.REDRAW:
            redraw()
        case Result.END | Result.EDITING:
            pass


@fn
def arrived(byte: u8) -> None:
    """A byte from the console: it waits while a program runs, except ^C, which ends that. What does not fit is lost."""
    global ahead_used
    if byte == 0x03 and programs.takes_input():
        ahead_used = 0
        put("^C\n")
        programs.kill()
        prompt()
    elif ahead_used < AHEAD:
        ahead[(ahead_first + ahead_used) % AHEAD] = byte
        ahead_used += 1


@fn
def look_ahead() -> None:
    """Acts on what was typed, until a program runs."""
    global ahead_first, ahead_used
    while bounded(ahead_used > 0 and not programs.takes_input(), AHEAD):
        byte = ahead[ahead_first]
        ahead_first = (ahead_first + 1) % AHEAD
        ahead_used -= 1
        typed(byte)


@fn
def program_ended() -> None:
    """S-INIT says that the program has ended, if that is not old news."""
    beside = programs.in_background()
    outcome = Message()
    if programs.has_ended(ptr(outcome)):
        if beside:
            put("\n")
        programs.report(ptr(outcome))
        redraw()
        look_ahead()


@fn
def take_input() -> None:
    """Everything that the console holds."""
    global asked, answered
    for _ in range(64):
        message = Message()
        if answered:
            asked = max(asked + 1, calls.clock())
        message.words[0] = u64(ConsoleCall.READ)
        message.words[1] = asked
        answered = calls.call_within(CONSOLE, ptr(message), service.BEAT_WAIT) == Error.NONE
        if not answered:
            return
        count = min(message.words[0], READ_BYTES)
        if count == 0:
            return
        for i in bounded(range(count), READ_BYTES):
            arrived(trunc(message.words[1 + i // 8] >> (8 * (i % 8)), u8))
        look_ahead()
        service.beat(ptr(own_name), 0)


@fn
def wait_for_console(ticks: u64) -> None:
    """The console is away; S-ATLAS is told meanwhile that the shell is not."""
    calls.sleep(ticks)
    service.beat(ptr(own_name), 0)


@fn
def run() -> Never:
    """Serves whoever types."""
    bits: u64 = 0
    text.set_console(CONSOLE)
    text.set_wait(wait_for_console)
    copy(own_name, NAME)
    _ = service.register(ptr(own_name), 0)
    machine.banner()
    programs.kill_left_over()
    prompt()
    take_input()
    while True:
        bits = 0
        _ = calls.wait(INPUT, service.BEAT_WAIT, ptr(bits))
        if bits & ENDED_BIT != 0:
            program_ended()
        if bits & INPUT_BIT != 0 or not programs.takes_input():
            take_input()
        service.beat(ptr(own_name), 0)


@fn
def main(argument: u64) -> u64:
    """The service."""
    _ = argument
    run()
