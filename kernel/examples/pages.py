"""Sends a page through a channel to itself: shared, so that it keeps it, then moved, so that it is gone.

Then it waits, so that `channels` has something to show: `run pages &`.
"""

from kernel.abi import Error, Kind, Rights
from kernel.lang import *
from kernel.services import run
from kernel.user import calls, text
from kernel.user.first_table import first_life
from kernel.user.message import Message
from kernel.user.text import put, put_decimal

CHANNEL_SLOT = run.FIRST_FREE_SLOT
PAGE_SLOT = CHANNEL_SLOT + 1
ARRIVAL_SLOT = PAGE_SLOT + 1
SHARED = 3
LONG = 10_000_000  # ticks: 1 s


@fn
def try_all() -> Error:
    """Shares the page three times, moves it, and takes the shared ones out: what was moved stays in the channel."""
    channel: u64 = 0
    page: u64 = 0
    memory = first_life(run.KIT_MEMORY)
    error = calls.retype(memory, 0, CHANNEL_SLOT, Kind.CHANNEL, 0, ptr(channel))
    if error == Error.NONE:
        error = calls.retype(memory, 0, PAGE_SLOT, Kind.FRAME, 12, ptr(page))
    share = calls.grant_option(Rights.READ, False)
    for i in range(SHARED):
        if error == Error.NONE:
            error = calls.channel_send(channel, page, share, u64(i))
    if error == Error.NONE:
        error = calls.channel_send(channel, page, calls.grant_option(0, True), SHARED)
    gone = Message()
    if error == Error.NONE and calls.inspect(page, ptr(gone)) != Error.INVALID_HANDLE:
        put("the moved page is still here\n")
    for _ in range(SHARED):
        came = Message()
        if error == Error.NONE:
            error = calls.channel_receive(channel, ARRIVAL_SLOT, ptr(came))
        if error == Error.NONE:
            error = calls.delete(came.words[0])
        put_decimal(came.words[4], 0)
        put(" left in the channel\n")
    return error


@fn
def main(argument: u64) -> u64:
    """Gives the error of the first call that failed; with an argument, ends after so many seconds."""
    text.set_console(run.SESSION)
    error = try_all()
    text.flush()
    seconds: u64 = 0
    while bounded(error == Error.NONE and (argument == 0 or seconds < argument), 0xFFFF_FFFF_FFFF_FFFF):
        calls.sleep(LONG)
        seconds += 1
    return u64(error)
