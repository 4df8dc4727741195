"""User programs on x86_64: into the kernel and back, the first instructions, the cycle counter."""

from kernel.abi import REGISTERS
from kernel.lang import *
from kernel.user.message import Message

_AT = dict(zip(REGISTERS["x86_64"], range(0, Message.size, 8), strict=True))
_LATE = ("rbx", "rbp")  # rbx holds the pointer (all others are taken); rbp may be the frame pointer
_LOAD = "\n".join(f"movq {at}({{message}}), %%{r}" for r, at in _AT.items() if r not in _LATE)
_STORE = "\n".join(f"movq %%{r}, {at}(%%rcx)" for r, at in _AT.items())

# SYSCALL takes rcx and r11 (AMD64 manual volume 3): afterwards rcx is free to hold the pointer.
_TEMPLATE = f"""pushq %%rbp
pushq {{message}}
{_LOAD}
movq {_AT["rbp"]}({{message}}), %%rbp
movq {_AT["rbx"]}({{message}}), %%rbx
syscall
popq %%rcx
{_STORE}
movq %%rcx, %%rbx
popq %%rbp"""


@assembly(
    "x86_64",
    _TEMPLATE,
    clobbers=("memory", "cc", "rcx", "r11", *(r for r in _AT if r not in _LATE)),
    constraints={"message": "b"},
)
def invoke(message: Ptr[Message]) -> None:
    """A system call with these registers; they hold the result afterwards."""
    raise NotImplementedError("there is no kernel under a program on the host")


@assembly(
    "x86_64",
    "lfence\nrdtsc\nshlq $32, %%rdx\norq %%rdx, {result}",
    clobbers=("memory", "rdx"),
    constraints={"result": "a"},
)
def read_cycles() -> u64:
    """The time-stamp counter (AMD64 manual volume 3, RDTSC)."""
    return 0


START = """
    .section .text.start, "ax"
    .globl _start
_start:                         # rdi: the argument that the thread was started with
    xorl %ebp, %ebp
    andq $-16, %rsp
    call program_start
    ud2
"""
MODEL_FLAGS = ("-mcmodel=small",)
