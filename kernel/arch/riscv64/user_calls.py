"""What ipcbench measures with: system calls with the cycle counter read next to the instruction."""

from kernel.abi import REGISTERS, SystemCall
from kernel.lang import *
from kernel.user.message import Message, Moments

_NAMES = REGISTERS["riscv64"]
_LOADS = "\n".join(f"ld {r}, {8 * i}(s1)" for i, r in enumerate(_NAMES))
_STORES = "\n".join(f"sd {r}, {8 * i}(s1)" for i, r in enumerate(_NAMES))
_CLOBBERS = ["memory", "s1", "s2", "s3", "t5", "t6", *_NAMES]


@assembly(
    "riscv64",
    f"mv s1, {{message}}\nmv s3, {{moments}}\n{_LOADS}\nrdcycle s2\necall\nrdcycle t6\n"
    f"sd s2, {Moments.fields['before'].offset}(s3)\nsd t6, {Moments.fields['after'].offset}(s3)\n{_STORES}",  # type: ignore[attr-defined]
    clobbers=_CLOBBERS,
)
def timed_call(message: Ptr[Message], moments: Ptr[Moments]) -> None:
    """The same, with the cycle counter read right before and right after the instruction."""


@assembly(
    "riscv64",
    f"mv s1, {{endpoint}}\nli a7, {int(SystemCall.RECEIVE)}\nmv a0, s1\nli t2, 0\nli t3, 0\nli t4, -1\necall\n"
    f"1: rdcycle a2\nbnez a0, 2f\nli a7, {int(SystemCall.REPLY_RECEIVE)}\nmv a0, s1\nli t2, 0\nli t3, 0\nli t4, -1\n"
    "rdcycle a3\necall\nj 1b\n2: mv {result}, a0",
    clobbers=_CLOBBERS,
)
def serve_moments(endpoint: u64) -> u64:
    """Answers every call with the cycle counts at its arrival (word 1) and at the departure of the answer (word 2)."""
    return 0
