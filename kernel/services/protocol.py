"""What services say to each other. Word 0 of a request is the operation, word 0 of an answer a status.

| to | operation | words in | words out |
|---|---|---|---|
| S-ATLAS | REGISTER | name 1..3, with a capability to the service | AtlasError |
| | PROVIDE | name 1..3 of what it can be found by | AtlasError |
| | HEARTBEAT, UNREGISTER, DRAIN | | AtlasError |
| | DISCOVER | name 1..3 | AtlasError, id, with a capability to the service |
| | DISCOVER_CAPABILITY | name 1..3, id to look behind 4 | AtlasError, id, with a capability to the service |
| | LIST | row 1 | AtlasError, name 1..3, state/status/policy 4, id 5, restarts 6, since 7 |
| | EVENTS | number 1 | AtlasError, name 1..3, type 4, id 5, time 6, events so far 7 |
| | START, STOP, KILL, RESTART | name 1..3 (operator only) | AtlasError |
| S-INIT | START | service 1 (S-ATLAS only) | Error |
| | STOP | service 1, 1: it stays down 2 (S-ATLAS only) | Error; OUT_OF_RANGE when no program of it was there |
| | RELEASE | service 1 (S-ATLAS only): it has left, its program may go on | Error |
| | INSPECT | service 1, what 2: INSPECT_..., which thread 3 (operator only) | Error, with a capability to look at it |
| | RUN | name 1..3, argument 4 (operator only) | Error |
| | KILL_PROGRAM | (operator only) | Error |
| | OUTCOME | (operator only) | Error, Outcome 1, status or cause 2, address 3, place 4, name 5..7 |
| trial | COUNT | | 0, calls so far 1 |
| | EXIT | status 1 | 0, then it ends |
| | FAULT, PANIC | | 0, then it dies |
| | PAUSE | seconds 1 | 0, then it is deaf and silent so long |
| | DRAIN, UNREGISTER | | what S-ATLAS said |
| console | WRITE | count and sequence number 1, bytes 2..7 | bytes taken |
| | READ | sequence number 1 | count, bytes 1..7 |
| | INPUT | (its own interrupt thread) | |

An operation that is not known is answered with UNKNOWN. A sequence number that is not 0 says that a client who had no
answer in time may send the same again: it is not printed twice, and what was read is given once more.
"""

from enum import IntEnum

from kernel.lang import enum

UNKNOWN = 0xFFFF
WRITE_BYTES = 48
SEQUENCE_SHIFT = 8
READ_BYTES = 56
INSPECT_TABLE, INSPECT_THREAD, INSPECT_MEMORY = 0, 1, 2
INSPECT_PROGRAM, INSPECT_FREE, INSPECT_INIT = 0xFFFF, 0xFFFE, 0xFFFD
"""Instead of a service's number: the program that `run` started; for its memory, also what no service has; for its
table and its thread, also S-INIT."""
INPUT_BIT, ENDED_BIT = 1, 2
"""In the shell's notification: something was typed; the program that ran has ended."""

FAULT_BADGE = 1 << 32
"""In the badge of a service's fault capability: what comes by it is from the kernel."""
OPERATOR_BADGE = 1 << 33
"""In the badge of who may start and stop services."""
GUEST_BADGE = 1 << 34
"""In the badge of a program that `run` started, with its number + 1: it finds services, and is none."""
INDEX_MASK = 0xFFFF_FFFF
THREAD_SHIFT, WANTED_SHIFT = 8, 32
"""A service's threads start with: the thread's number; above THREAD_SHIFT, 24 bits, the service's number; above
WANTED_SHIFT which services are not to stay down, a bit each."""


@enum(8)
class AtlasCall(IntEnum):
    """Operations of S-ATLAS."""

    REGISTER = 1
    PROVIDE = 2
    HEARTBEAT = 3
    UNREGISTER = 4
    DRAIN = 5
    DISCOVER = 6
    DISCOVER_CAPABILITY = 7
    LIST = 8
    EVENTS = 9
    START = 10
    STOP = 11
    KILL = 12
    RESTART = 13


@enum(8)
class TrialCall(IntEnum):
    """Operations of the trial services: kernel/examples/trial.py."""

    COUNT = 1
    EXIT = 2
    FAULT = 3
    PANIC = 4
    PAUSE = 5
    DRAIN = 6
    UNREGISTER = 7


@enum(8)
class InitCall(IntEnum):
    """Operations of S-INIT."""

    START = 1
    STOP = 2
    RELEASE = 3
    INSPECT = 4
    RUN = 5
    KILL_PROGRAM = 6
    OUTCOME = 7


@enum(8)
class ConsoleCall(IntEnum):
    """Operations of the console."""

    WRITE = 1
    READ = 2
    INPUT = 3
