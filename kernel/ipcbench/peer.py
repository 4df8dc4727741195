"""The side of ipcbench that is woken: says when a capability, a notification or a page has reached it."""

from kernel.abi import NEVER_TIMES_OUT, Error, SystemCall
from kernel.lang import *
from kernel.user import calls
from kernel.user.first_table import first_life
from kernel.user.message import Message

ENDPOINT_SLOT, NOTIFICATION_SLOT, CHANNEL_SLOT, ARRIVAL_SLOT = 1, 2, 3, 8
CAPABILITY, NOTIFY, PAGE = 0, 1, 2
"""What is measured next: word 2 of a call."""
FOR_EVER = 0xFFFF_FFFF_FFFF_FFFF


@fn
def arrival(mode: u64) -> u64:
    """Waits for the notification, takes the page where there is one; the cycle count then."""
    bits: u64 = 0
    _ = calls.wait(first_life(NOTIFICATION_SLOT), NEVER_TIMES_OUT, ptr(bits))
    if mode == NOTIFY:
        return calls.read_cycles()
    message = Message()
    message.words[0] = ARRIVAL_SLOT
    error = calls.enter(ptr(message), SystemCall.CHANNEL_RECEIVE, first_life(CHANNEL_SLOT))
    time = calls.read_cycles()
    if error != Error.NONE:
        return 0
    _ = calls.delete(message.words[0])
    return time


@fn
def main(argument: u64) -> u64:
    """One arrival after the other; the next call asks for its time, and says what comes next."""
    mode = argument
    while bounded(True, FOR_EVER):
        time: u64 = 0
        if mode != CAPABILITY:
            time = arrival(mode)
        message = Message()
        if calls.receive(first_life(ENDPOINT_SLOT), ptr(message), NEVER_TIMES_OUT, ARRIVAL_SLOT) != Error.NONE:
            return 1
        if mode == CAPABILITY:
            time = calls.read_cycles()
            if message.capability != 0:
                _ = calls.delete(message.capability)
        mode = message.words[2]
        message.words[1] = time
        message.capability = 0
        message.option = 0
        _ = calls.reply(ptr(message))
    return 0
