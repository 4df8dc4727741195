"""User programs on aarch64: into the kernel and back, the first instructions, the cycle counter."""

from kernel.abi import REGISTERS
from kernel.lang import *
from kernel.user.message import Message

_FIELDS = range(0, Message.size, 8)
_LOAD = "\n".join(f"ldr {r}, [{{message}}, #{at}]" for r, at in zip(REGISTERS["aarch64"], _FIELDS, strict=True))
_STORE = "\n".join(f"str {r}, [{{message}}, #{at}]" for r, at in zip(REGISTERS["aarch64"], _FIELDS, strict=True))


@assembly(
    "aarch64",
    f"{_LOAD}\nsvc #0\n{_STORE}",
    clobbers=("memory", "cc", *(f"x{n}" for n in range(18))),
)
def invoke(message: Ptr[Message]) -> None:
    """A system call with these registers; they hold the result afterwards."""
    raise NotImplementedError("there is no kernel under a program on the host")


@assembly("aarch64", "isb\nmrs {result}, cntvct_el0", clobbers=("memory",))
def read_cycles() -> u64:
    """The generic timer's count: what user code may read of a counter here (Arm ARM D24.10.20)."""
    return 0


START = """
    .section .text.start, "ax"
    .globl _start
_start:                         // x0: the argument that the thread was started with
    mov x29, #0
    bl program_start
    udf #0
"""
MODEL_FLAGS = ()
