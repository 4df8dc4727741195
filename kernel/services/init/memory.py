"""Free memory that a first program finds in its table."""

from kernel.abi import Error, Kind
from kernel.lang import *
from kernel.user import calls, first_table
from kernel.user.message import Message


@fn
def largest_untyped() -> u64:
    """The handle of the largest free memory."""
    best: u64 = 0
    best_bits: u64 = 0
    for slot in range(first_table.FIRST_UNTYPED, first_table.LAST_UNTYPED + 1):
        message = Message()
        if calls.inspect(u64(slot), ptr(message)) == Error.NONE:
            if message.words[0] == u64(Kind.UNTYPED) and message.words[4] > best_bits:
                best = message.words[7]
                best_bits = message.words[4]
    return best
