"""What the core asks of the architecture, for each of them; on the host, a model that tests look into.

Everything else in kernel/core is the same on all architectures.
"""

from kernel.core.objects import Frame
from kernel.lang import *

host_time = variable(u64, 0)
host_deadline = variable(u64, 0)
host_translation = variable(u64, 0)
host_flushes = variable(u64, 0)
host_masked = variable(Array[bool, 96])


@fn
def host_read_time() -> u64:
    """The time that the test has set."""
    return host_time


@fn
def host_set_deadline(deadline: u64) -> None:
    """Notes when the kernel wants to be called."""
    global host_deadline
    host_deadline = deadline


@fn
def host_restart(frame: Ptr[Frame]) -> None:
    """rest[0] stands for the program counter."""
    frame.rest[0] -= 4


@fn
def host_start(frame: Ptr[Frame], entry: u64, stack: u64, argument: u64) -> None:
    """Registers of a thread that starts."""
    copy(frame.rest, zero(Array[u64, 27]))
    frame.rest[0] = entry
    frame.rest[1] = stack
    frame.handle = argument


read_time = by_arch(host=host_read_time)
set_deadline = by_arch(host=host_set_deadline)
restart = by_arch(host=host_restart)
start = by_arch(host=host_start)
