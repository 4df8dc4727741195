"""Finds services by S-ATLAS and talks to them: `run ask` shows what can be found, `run ask 0x3201` makes a request.

The digits, from the left: which trial service (1 never, 2 fail, 3 always), which request (`TrialCall`: 1 count, 2 exit,
3 fault, 4 panic, 5 pause, 6 drain, 7 unregister), and two of its value (exit status, seconds).
"""

from kernel import abi
from kernel.abi import TICKS_PER_SECOND, Error, Rights
from kernel.lang import *
from kernel.services.atlas.errors import put_atlas_error
from kernel.services.atlas.registry import AtlasError
from kernel.services.names import Name, name_words
from kernel.services.protocol import AtlasCall, TrialCall
from kernel.services.run import FINDER, FIRST_FREE_SLOT, SESSION
from kernel.user import calls, text
from kernel.user.message import Message
from kernel.user.text import put, put_decimal, put_name

FOUND_SLOT, MADE_SLOT = FIRST_FREE_SLOT, FIRST_FREE_SLOT + 1
PATIENCE = TICKS_PER_SECOND
_NAMES = ("trial-never", "trial-fail", "trial-always", "console", "shell", "nobody")
NAMES = constant(Array[Name, len(_NAMES)], [{"words": list(name_words(name))} for name in _NAMES])
TRIALS = 3
PROVIDED = constant(Name, {"words": list(name_words("trial"))})
ERROR_NAMES = constant(Array[Str, len(Error)], [abi.ERROR_TEXT[error] for error in Error])


@fn
def ask_atlas(operation: AtlasCall, name: Ptr[Name], after: u64, message: Ptr[Message]) -> AtlasError:
    """A request to S-ATLAS; a capability that comes goes into FOUND_SLOT."""
    message.words[0] = u64(operation)
    for i in range(3):
        message.words[1 + i] = name.words[i]
    message.words[4] = after
    message.capability = 0
    message.option = calls.accept_option(FOUND_SLOT)
    if calls.call_within(FINDER, message, PATIENCE) != Error.NONE or message.words[0] >= len(AtlasError):
        return AtlasError.SERVICE_UNHEALTHY
    return AtlasError(trunc(message.words[0], u8))


@fn
def put_answer(error: Error) -> None:
    """What the kernel said."""
    put(ERROR_NAMES[usize(u8(error))])
    put("\n")


@fn
def request(found: u64, operation: TrialCall, value: u64) -> u64:
    """One request to a trial service, and what it answers. Gives the exit status."""
    message = Message()
    message.words[0] = u64(operation)
    message.words[1] = value
    error = calls.call_within(found, ptr(message), PATIENCE)
    if error != Error.NONE:
        put("no answer: ")
        put_answer(error)
        return u64(error)
    put("answered ")
    put_decimal(message.words[0], 0)
    put(", calls so far ")
    put_decimal(message.words[1], 0)
    put("\n")
    return message.words[0]


@fn
def by_name(index: usize, message: Ptr[Message]) -> AtlasError:
    """Looks one of NAMES up."""
    name = Name()
    copy(name, NAMES[index])
    put_name(ptr(name), 15)
    return ask_atlas(AtlasCall.DISCOVER, ptr(name), 0, message)


@fn
def show_capability(found: u64) -> None:
    """What can be done with the capability besides calling: nothing."""
    message = Message()
    made: u64 = 0
    put("  to receive by it: ")
    put_answer(calls.receive(found, ptr(message), 0, 0))
    put("  to make one of it that can be handed on: ")
    put_answer(calls.derive(found, 0, MADE_SLOT, Rights.WRITE | Rights.GRANT, 0, 0, ptr(made)))


@fn
def find_again(index: usize) -> None:
    """Asks for what was found while FOUND_SLOT, where it is to go, is taken: S-ATLAS must not try for ever."""
    message = Message()
    name = Name()
    copy(name, NAMES[index])
    error = ask_atlas(AtlasCall.DISCOVER, ptr(name), 0, ptr(message))
    put("  again, with no place for it: ")
    if error == AtlasError.NONE and message.capability == 0:
        put("found, not given\n")
    else:
        put_atlas_error(error)


@fn
def show_all() -> u64:
    """By name, by capability, and what must not be."""
    message = Message()
    name = Name()
    found: u64 = 0
    put("by name:\n")
    for i in range(len(_NAMES)):
        error = by_name(i, ptr(message))
        if error == AtlasError.NONE:
            put("found, id ")
            put_decimal(message.words[1], 0)
            put("\n")
        else:
            put_atlas_error(error)
        if message.capability != 0:
            if i >= TRIALS:
                show_capability(message.capability)
                find_again(i)
            _ = calls.delete(message.capability)
    put('by capability, who provides "trial":\n')
    copy(name, PROVIDED)
    for _ in range(TRIALS + 1):
        error = ask_atlas(AtlasCall.DISCOVER_CAPABILITY, ptr(name), found, ptr(message))
        if error != AtlasError.NONE:
            put_atlas_error(error)
            break
        found = message.words[1]
        put("id ")
        put_decimal(found, 0)
        put(": ")
        _ = request(message.capability, TrialCall.COUNT, 0)
        _ = calls.delete(message.capability)
    put("to register as nobody: ")
    copy(name, NAMES[len(_NAMES) - 1])
    put_atlas_error(ask_atlas(AtlasCall.REGISTER, ptr(name), 0, ptr(message)))
    put("to stop the console: ")
    copy(name, NAMES[TRIALS])
    put_atlas_error(ask_atlas(AtlasCall.STOP, ptr(name), 0, ptr(message)))
    return 0


@fn
def main(argument: u64) -> u64:
    """With 0: what can be found. Else one request."""
    text.set_console(SESSION)
    status: u64 = 0
    trial = argument >> 12
    operation = argument >> 8 & 15
    if argument == 0:
        status = show_all()
    elif trial == 0 or trial > TRIALS or operation == 0 or operation > len(TrialCall):
        put("usage: run ask [0xTRVV]: T trial 1..3, R request 1..7, VV its value\n")
        status = 1
    else:
        message = Message()
        error = by_name(usize(trial - 1), ptr(message))
        if error == AtlasError.NONE:
            status = request(message.capability, TrialCall(trunc(operation, u8)), argument & 0xFF)
        else:
            put_atlas_error(error)
            status = u64(error)
    text.flush()
    return status
