"""What ipcbench measures with: system calls with the time-stamp counter read next to the instruction."""

from kernel.abi import REGISTERS, SystemCall
from kernel.lang import *
from kernel.user.message import Message, Moments

_AT = dict(zip(REGISTERS["x86_64"], range(0, Message.size, 8), strict=True))
_LATE = ("rbx", "rbp")  # rbx holds the pointer; rbp may be the frame pointer
_EARLY = ("rax", "rdx")  # the counter is read into these
_CLOBBERS = ["memory", "cc", "rcx", "r11", *(r for r in _AT if r not in _LATE)]
_READ = "lfence\nrdtsc\nshlq $32, %%rdx\norq %%rdx, %%rax"


@struct
class Exchange:
    """A message with its moments: one pointer is all that there is a register for."""

    message: Message
    moments: Moments


_BEFORE, _AFTER = Message.size, Message.size + 8
_LOAD = "\n".join(f"movq {at}({{exchange}}), %%{r}" for r, at in _AT.items() if r not in _LATE)
_STORE_EARLY = "\n".join(f"movq %%{r}, {_AT[r]}(%%rcx)" for r in _EARLY)
_STORE = "\n".join(f"movq %%{r}, {at}(%%rcx)" for r, at in _AT.items() if r not in _EARLY)
_TIMED = f"""pushq %%rbp
pushq {{exchange}}
{_READ}
movq %%rax, {_BEFORE}({{exchange}})
{_LOAD}
movq {_AT["rbp"]}({{exchange}}), %%rbp
movq {_AT["rbx"]}({{exchange}}), %%rbx
syscall
popq %%rcx
{_STORE_EARLY}
{_READ}
movq %%rax, {_AFTER}(%%rcx)
{_STORE}
movq %%rcx, %%rbx
popq %%rbp"""


@assembly("x86_64", _TIMED, clobbers=_CLOBBERS, constraints={"exchange": "b"})
def timed_exchange(exchange: Ptr[Exchange]) -> None:
    """The system call, between two readings of the counter."""


@fn
def timed_call(message: Ptr[Message], moments: Ptr[Moments]) -> None:
    """A system call, with the counter read right before and right after the instruction."""
    exchange = Exchange()
    copy(exchange.message, message)
    timed_exchange(ptr(exchange))
    copy(message, exchange.message)
    copy(moments, exchange.moments)


_SET_UP = "movq (%%rsp), %%rdi\nxorl %%r15d, %%r15d\nxorl %%ebx, %%ebx\nmovq $-1, %%rbp"
_SERVE = f"""pushq %%rbp
pushq {{endpoint}}
movl ${int(SystemCall.RECEIVE)}, %%eax
{_SET_UP}
syscall
1: testq %%rdi, %%rdi
jnz 2f
{_READ}
movq %%rax, %%r11
{_SET_UP}
{_READ}
movq %%rax, %%r10
movq %%r11, %%rdx
movl ${int(SystemCall.REPLY_RECEIVE)}, %%eax
syscall
jmp 1b
2: movq %%rdi, %%rax
popq %%rcx
popq %%rbp"""


@assembly(
    "x86_64",
    _SERVE,
    clobbers=["rbx", *(c for c in _CLOBBERS if c != "rax")],
    constraints={"endpoint": "a", "result": "a"},
)
def serve_moments(endpoint: u64) -> u64:
    """Answers every call with the cycle counts at its arrival (word 1) and at the departure of the answer (word 2)."""
    return 0
