"""The honest neighbours: a client that checks every answer of a server, and a victim of one that never answers."""

from kernel.abi import NEVER_TIMES_OUT, Error
from kernel.hostile import roles
from kernel.lang import *
from kernel.user import calls
from kernel.user.first_table import FIRST_LIFE
from kernel.user.message import Message

SERVICE = FIRST_LIFE | roles.SERVICE
CLIENT_BADGE = 7
ASK_PROGRESS = 0x9106
PAUSE = 2_000  # ticks between two calls
WITHOUT_LIMIT = 0xE7E
PATIENCE = 5_000  # of the victim, before it calls without a limit

honest_calls = variable(u64, 0)


@fn
def answer(message: Ptr[Message]) -> None:
    """Every word with its place added, modulo 2^64; whoever asks for progress hears how often the client has called."""
    if message.number == CLIENT_BADGE:
        global honest_calls
        honest_calls += 1
    if message.words[0] == ASK_PROGRESS:
        message.words[1] = honest_calls
    else:
        for i in range(8):
            message.words[i] = u64(w64(message.words[i]) + w64(u64(i)) + 1)
    message.capability = 0
    message.option = 0


@fn
def serve() -> u64:
    """The server: takes what comes, from whom ever."""
    message = Message()
    error = calls.receive(SERVICE, ptr(message), NEVER_TIMES_OUT, 0)
    for _ in range(1 << 60):
        if error == Error.NONE:
            answer(ptr(message))
        elif error == Error.INVALID_HANDLE:
            break
        error = calls.reply_receive(SERVICE, ptr(message), NEVER_TIMES_OUT)
    return 1


@fn
def ask() -> u64:
    """The client: ends only when an answer is wrong."""
    round: w64 = 1
    for _ in range(1 << 60):
        message = Message()
        for i in range(8):
            message.words[i] = u64((round << 8) + w64(u64(i)))
        if calls.call(SERVICE, ptr(message)) != Error.NONE:
            return 2
        for i in range(8):
            if message.words[i] != u64((round << 8) + w64(2 * u64(i)) + 1):
                return 3
        round = round + 1
        calls.sleep(PAUSE)
    return 4


@fn
def suffer() -> u64:
    """Calls one that never answers: with a time limit, then without, which ends when the other one does."""
    message = Message()
    if calls.call_within(SERVICE, ptr(message), PATIENCE) != Error.TIMED_OUT:
        return 5
    message.words[0] = WITHOUT_LIMIT
    return 0 if calls.call(SERVICE, ptr(message)) == Error.PEER_GONE else 6
