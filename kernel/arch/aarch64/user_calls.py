"""What ipcbench measures with: system calls with the virtual counter read next to the instruction.

The counter of cycles (PMCCNTR_EL0) is not there without a performance monitor; the virtual counter runs at CNTFRQ_EL0.
"""

from kernel.abi import REGISTERS, SystemCall
from kernel.lang import *
from kernel.user.message import Message, Moments

_FIELDS = list(zip(REGISTERS["aarch64"], range(0, Message.size, 8), strict=True))
_LOAD = "\n".join(f"ldr {r}, [x19, #{at}]" for r, at in _FIELDS)
_STORE = "\n".join(f"str {r}, [x19, #{at}]" for r, at in _FIELDS)
_CLOBBERS = ["memory", "cc", *(f"x{n}" for n in range(24))]
_READ = "isb\nmrs {}, cntvct_el0"
_BEFORE, _AFTER = (Moments.fields[name].offset for name in ("before", "after"))  # type: ignore[attr-defined]


@assembly(
    "aarch64",
    f"mov x19, {{message}}\nmov x20, {{moments}}\n{_LOAD}\n{_READ.format('x21')}\nsvc #0\n{_READ.format('x22')}\n"
    f"str x21, [x20, #{_BEFORE}]\nstr x22, [x20, #{_AFTER}]\n{_STORE}",
    clobbers=_CLOBBERS,
)
def timed_call(message: Ptr[Message], moments: Ptr[Moments]) -> None:
    """A system call, with the counter read right before and right after the instruction."""


_SET_UP = "mov x0, x19\nmov x10, #0\nmov x11, #0\nmov x12, #-1"  # handle, capability, option, timeout


@assembly(
    "aarch64",
    f"mov x19, {{endpoint}}\nmov x8, #{int(SystemCall.RECEIVE)}\n{_SET_UP}\nsvc #0\n"
    f"1: {_READ.format('x2')}\ncbnz x0, 2f\nmov x8, #{int(SystemCall.REPLY_RECEIVE)}\n{_SET_UP}\n"
    f"{_READ.format('x3')}\nsvc #0\nb 1b\n2: mov {{result}}, x0",
    clobbers=_CLOBBERS,
)
def serve_moments(endpoint: u64) -> u64:
    """Answers every call with the counts at its arrival (word 1) and at the departure of the answer (word 2)."""
    return 0
