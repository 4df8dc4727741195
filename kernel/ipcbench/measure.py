"""What both sides of ipcbench measure with: system calls between two reads of the cycle counter, rows of samples."""

from kernel.arch.aarch64 import user_calls as aarch64
from kernel.arch.riscv64 import user_calls
from kernel.arch.x86_64 import user_calls as x86_64
from kernel.lang import *

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
