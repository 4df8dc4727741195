"""The beginning: the origin of all capabilities, and a thread that never runs, in whose name the kernel sets up the
first program with the same system calls that everybody has. There is no second way to make objects.
"""

from kernel.abi import Error, Kind, SystemCall, ThreadState
from kernel.core import capabilities, system_calls
from kernel.core.access import table_slot
from kernel.core.objects import Place, Slot, Table, Thread
from kernel.core.state import INTERRUPTS, kernel
from kernel.lang import *

BOOT_SLOTS = 512


@struct
class BootTable:
    """A table with its slots, in the kernel's own memory."""

    table: Table
    slots: Array[Slot, BOOT_SLOTS]


boot_table = variable(BootTable, align=64)
boot_thread = variable(Thread, align=64)


@fn
def begin() -> None:
    """Makes the origin, the boot thread and its table."""
    kernel.programmed = 0
    kernel.origin.place = Place.ORIGIN
    kernel.origin.rights = 31
    for i in range(INTERRUPTS):
        kernel.interrupts[i].binding.place = Place.INTERRUPT
    table = ptr(boot_table.table)
    table.count = BOOT_SLOTS
    table.header.kind = Kind.TABLE
    thread = ptr(boot_thread)
    thread.header.kind = Kind.THREAD
    thread.header.references = 1
    thread.table.place = Place.THREAD_TABLE
    capabilities.fill(ptr(thread.table), ptr(kernel.origin), Kind.TABLE, address_of(table), 9, 31)
    thread.state = ThreadState.READY
    kernel.current = thread


@fn
def add(index: u64, kind: Kind, object: usize, size: u8, rights: u8) -> u64:
    """A capability to something that the machine has, in the boot thread's table; gives its handle."""
    slot = table_slot(ptr(boot_table.table), index)
    capabilities.fill(slot, ptr(kernel.origin), kind, object, size, rights)
    return u64(slot.generation) << 32 | index


@fn
def handle_at(index: u64) -> u64:
    """The handle of what is in a slot of the boot thread's table."""
    return u64(table_slot(ptr(boot_table.table), index).generation) << 32 | index


@fn
def request(number: SystemCall, handle: u64, a: u64, b: u64, c: u64, d: u64) -> Error:
    """A system call of the boot thread, with as many steps as it takes; the results are in its registers."""
    thread = ptr(boot_thread)
    error = Error.RESTART
    for _ in range(MAX_STEPS):
        thread.frame.number = u64(number)
        thread.frame.handle = handle
        thread.frame.words[0] = a
        thread.frame.words[1] = b
        thread.frame.words[2] = c
        thread.frame.words[3] = d
        thread.frame.words[4] = 0
        error = system_calls.execute(thread, number)
        if error != Error.RESTART:
            break
    return error


MAX_STEPS = 1 << 20


@fn
def result(index: u64) -> u64:
    """A word of the last request."""
    return boot_thread.frame.words[index]


@fn
def end() -> None:
    """The boot thread is no longer current; whoever is ready runs."""
    boot_thread.state = ThreadState.STOPPED
    kernel.current = None


@fn
def start_host_test(base: usize, bits: u8) -> u64:
    """For tests: a kernel with one untyped, whose handle is given."""
    begin()
    return add(1, Kind.UNTYPED, base, bits, 31)
