"""ipcbench: what crossings between address spaces cost, in cycles, from the cycle counter on both sides."""

from kernel.abi import NEVER_TIMES_OUT, TICKS_PER_SECOND, Error, SystemCall
from kernel.arch.aarch64 import user_calls as aarch64
from kernel.arch.riscv64 import user_calls
from kernel.arch.x86_64 import user_calls as x86_64
from kernel.ipcbench import console
from kernel.lang import *
from kernel.user import calls as user
from kernel.user.message import Message, Moments

ITERATIONS = 10_000
WARM = 20
_COLUMNS = " across address spaces     min     median        max\n"
# aarch64's counter has a frequency of its own (CNTFRQ_EL0), which the banner shows.
HEAD = by_arch(
    riscv64="  cycles," + _COLUMNS, x86_64="  cycles," + _COLUMNS, aarch64="  counts," + _COLUMNS, host=_COLUMNS
)
timed_call = by_arch(riscv64=user_calls.timed_call, x86_64=x86_64.timed_call, aarch64=aarch64.timed_call)
serve_moments = by_arch(riscv64=user_calls.serve_moments, x86_64=x86_64.serve_moments, aarch64=aarch64.serve_moments)


@struct
class Row:
    """A measurement's samples, sorted when it is printed."""

    samples: Array[u32, ITERATIONS]
    count: usize


@struct
class Client:
    """ipcbench's side: the endpoint of the clock server, and the rows."""

    endpoint: u64
    call: Row
    reply: Row
    null: Row
    cycles: u64  # that all of it took
    ticks: u64  # the same, of the timer


@fn
def add(row: Ptr[Row], value: u64) -> None:
    """A sample."""
    if row.count < ITERATIONS:
        row.samples[row.count] = trunc(value, u32)
        row.count += 1


@fn
def sort(row: Ptr[Row]) -> None:
    """In place, by shell sort with gaps that halve."""
    gap = row.count // 2
    while bounded(gap > 0, 32):
        for i in bounded(range(gap, row.count), ITERATIONS):
            value = row.samples[i]
            j = i
            while bounded(j >= gap and row.samples[j - min(gap, j)] > value, ITERATIONS):
                row.samples[j] = row.samples[j - gap]
                j -= gap
            row.samples[j] = value
        gap = gap // 2


@fn
def show(name: Str, row: Ptr[Row]) -> None:
    """One line: min, median, max."""
    console.put(name)
    if row.count == 0:
        console.put(" no samples\n")
        return
    sort(row)
    console.put_decimal(u64(row.samples[0]), 11)
    console.put_decimal(u64(row.samples[row.count // 2]), 11)
    console.put_decimal(u64(row.samples[row.count - 1]), 11)
    console.put("\n")


@fn
def measure(client: Ptr[Client]) -> Error:
    """Takes the samples."""
    message = zero(Message)
    began = user.clock()
    first = user.read_cycles()
    moments = zero(Moments)
    for round in range(WARM + ITERATIONS):
        message.number = u64(SystemCall.CALL)
        message.handle = client.endpoint
        message.capability = 0
        message.option = 0
        message.timeout = NEVER_TIMES_OUT
        timed_call(ptr(message), ptr(moments))
        if message.handle != 0:
            return Error(trunc(message.handle, u8))
        if round >= WARM:
            add(ptr(client.call), message.words[1] - moments.before)
            add(ptr(client.reply), moments.after - message.words[2])
    for round in range(WARM + ITERATIONS):
        message.number = u64(SystemCall.NULL)
        timed_call(ptr(message), ptr(moments))
        if round >= WARM:
            add(ptr(client.null), moments.after - moments.before)
    client.cycles = user.read_cycles() - first
    client.ticks = user.clock() - began
    return Error.NONE


@fn
def run(client: Ptr[Client]) -> None:
    """Measures and prints."""
    client.call.count = 0
    client.reply.count = 0
    client.null.count = 0
    error = measure(client)
    if error != Error.NONE:
        console.put("ipcbench: a call failed with error ")
        console.put_decimal(u64(error), 0)
        console.put("\n")
        return
    console.put("IPC Benchmark Results (10,000 iterations):\n")
    console.put(HEAD)
    show("  call, 8 words, one way          ", ptr(client.call))
    show("  reply-and-receive, one way      ", ptr(client.reply))
    show("  null system call                ", ptr(client.null))
    console.put("  clock")
    console.put_decimal(client.cycles * TICKS_PER_SECOND // 1000 // max(client.ticks, 1), 11)
    console.put(" kHz, from the cycles that passed while the timer counted")
    console.put_decimal(client.ticks, 11)
    console.put(" ticks\n")
    console.put("Target: <500ns for small messages, <2us for service calls\n")
