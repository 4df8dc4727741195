"""A service to begin yours with, and to try S-ATLAS with: counts its callers; dies, hangs or leaves when it is told.

The image has it three times, under each policy (`TRIALS` in kernel/services/description.py), not started: `svc start
trial-always`, then `run ask` to talk to it.
"""

from typing import Never

from kernel.abi import TICKS_PER_SECOND, Error
from kernel.arch.objects import pointer_maker
from kernel.lang import *
from kernel.services.atlas.registry import AtlasError
from kernel.services.description import SERVICE_COUNT, SERVICES, SYSTEM, TRIALS
from kernel.services.names import Name, name_words
from kernel.services.protocol import THREAD_SHIFT, UNKNOWN, AtlasCall, TrialCall
from kernel.user import calls, service
from kernel.user.message import Message

SELF = SYSTEM.handle("trial-always", "self")
CLIENTS = SYSTEM.handle("trial-always", "clients")
assert all(SYSTEM.handle(name, "self") == SELF and SYSTEM.handle(name, "clients") == CLIENTS for name in TRIALS)
INDEX_MASK = 0xFF_FFFF
PROVIDED = constant(Name, {"words": list(name_words("trial"))})

word_at = pointer_maker(u64)
own_name = variable(Name)
counted = variable(u64, 0)
registered = variable(bool, True)


@fn
def register() -> None:
    """By its name, and by what it provides."""
    provided = Name()
    copy(provided, PROVIDED)
    if service.register(ptr(own_name), CLIENTS) == AtlasError.NONE:
        _ = service.ask(AtlasCall.PROVIDE, ptr(provided), 0)


@fn
def obey(operation: TrialCall, value: u64) -> None:
    """What is done once the answer is given."""
    match operation:
        case TrialCall.EXIT:
            calls.exit(value)
        case TrialCall.FAULT:
            write_volatile(word_at(0), 0)
        case TrialCall.PANIC:
            assert value != value, "it was told to"
        case TrialCall.PAUSE:
            calls.sleep(value * TICKS_PER_SECOND)
        case TrialCall.COUNT | TrialCall.DRAIN | TrialCall.UNREGISTER:
            pass


@fn
def serve(message: Ptr[Message]) -> None:
    """A request, its answer, and what follows."""
    global counted, registered
    counted += 1
    wanted = message.words[0]
    value = min(message.words[1], 1 << 32)
    message.capability = 0
    message.option = 0
    if wanted == 0 or wanted > u64(TrialCall.UNREGISTER):
        message.words[0] = UNKNOWN
        _ = calls.reply(message)
        return
    operation = TrialCall(trunc(wanted, u8))
    message.words[0] = 0
    message.words[1] = counted
    if operation == TrialCall.DRAIN:
        message.words[0] = u64(service.ask(AtlasCall.DRAIN, ptr(own_name), 0))
    elif operation == TrialCall.UNREGISTER:
        message.words[0] = u64(service.ask(AtlasCall.UNREGISTER, ptr(own_name), 0))
        registered = False
    _ = calls.reply(message)
    obey(operation, value)


@fn
def run() -> Never:
    """Serves; S-ATLAS hears each second that it does."""
    message = Message()
    register()
    while True:
        if calls.receive(SELF, ptr(message), service.BEAT_WAIT, 0) == Error.NONE:
            serve(ptr(message))
        if registered and service.is_forgotten(ptr(own_name)):
            register()


@fn
def main(argument: u64) -> u64:
    """Its number says which of the trials it is."""
    index = argument >> THREAD_SHIFT & INDEX_MASK
    if index < SERVICE_COUNT:
        copy(own_name, SERVICES[index].name)
    run()
