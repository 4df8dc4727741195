"""User programs on riscv64: into the kernel and back, the first instructions, the cycle counter."""

from kernel.abi import REGISTERS
from kernel.lang import *
from kernel.user.message import Message

_FIELDS = range(0, Message.size, 8)
_LOAD = "\n".join(f"ld {r}, {at}({{message}})" for r, at in zip(REGISTERS["riscv64"], _FIELDS, strict=True))
_STORE = "\n".join(f"sd {r}, {at}({{message}})" for r, at in zip(REGISTERS["riscv64"], _FIELDS, strict=True))


@assembly(
    "riscv64",
    f"{_LOAD}\necall\n{_STORE}",
    clobbers=("memory", *REGISTERS["riscv64"], "t5", "t6"),
)
def invoke(message: Ptr[Message]) -> None:
    """A system call with these registers; they hold the result afterwards."""
    raise NotImplementedError("there is no kernel under a program on the host")


@assembly("riscv64", "rdcycle {result}", clobbers=("memory",))
def read_cycles() -> u64:
    """Cycles since some moment (unprivileged specification, Zicntr)."""
    return 0


START = """
    .section .text.start, "ax"
    .globl _start
_start:                         # a0: the argument that the thread was started with
    li fp, 0
    call program_start
    unimp
"""
MODEL_FLAGS = ()
