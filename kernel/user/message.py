"""The registers of a system call as a struct: what user programs fill, and find filled.

The fields are those of kernel/abi's table, in its order; kernel/arch's `user` modules load them into registers, enter
the kernel and store them back.
"""

from kernel.abi import WORDS
from kernel.lang import *


@struct
class Message:
    """In: which call, by which capability, with what. Out: what came back. All of it changes in a call."""

    number: u64  # out: the badge of the message received, or a second result
    handle: u64  # out: the status, an `Error`
    words: Array[u64, WORDS]
    capability: u64
    option: u64
    timeout: u64


@struct
class Moments:
    """Cycle counts around an exchange, as client and server read them."""

    before: u64
    after: u64
