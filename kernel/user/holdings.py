"""What a program holds, as the kernel counts it: for who must see that all came back."""

from kernel.abi import Error
from kernel.lang import *
from kernel.user import calls, first_table
from kernel.user.message import Message


@fn
def occupied(table: u64, slots: u64) -> u64:
    """Slots of a table, of its first `slots`, that are not empty; table 0: the own one."""
    count: u64 = 0
    for slot in bounded(range(slots), 1 << first_table.TABLE_BITS):
        message = Message()
        message.words[0] = table
        error = calls.inspect(slot, ptr(message)) if table == 0 else calls.table_inspect(table, slot, ptr(message))
        if error == Error.NONE:
            count += 1
    return count


@fn
def used(untyped: u64) -> u64:
    """Bytes of an untyped that objects take; 0 when nothing was made of it."""
    message = Message()
    _ = calls.inspect(untyped, ptr(message))
    return message.words[2]
