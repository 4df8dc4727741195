"""What the core asks of the architecture, for each of them; on the host, a model that tests look into.

Everything else in kernel/core is the same on all architectures.
"""

from kernel.arch.objects import pointer_maker
from kernel.arch.riscv64 import user_pages
from kernel.core.objects import Frame
from kernel.lang import *

host_time = variable(u64, 0)
host_deadline = variable(u64, 0)
host_translation = variable(u64, 0)
host_flushes = variable(u64, 0)
host_masked = variable(Array[bool, 96])


@fn
def host_read_time() -> u64:
    """The time that the test has set."""
    return host_time


@fn
def host_set_deadline(deadline: u64) -> None:
    """Notes when the kernel wants to be called."""
    global host_deadline
    host_deadline = deadline


@fn
def host_restart(frame: Ptr[Frame]) -> None:
    """rest[0] stands for the program counter."""
    frame.rest[0] -= 4


@fn
def host_start(frame: Ptr[Frame], entry: u64, stack: u64, argument: u64) -> None:
    """Registers of a thread that starts."""
    copy(frame.rest, zero(Array[u64, 27]))
    frame.rest[0] = entry
    frame.rest[1] = stack
    frame.handle = argument


@fn
def host_physical(address: usize) -> u64:
    """The host's memory is its own physical memory."""
    return u64(address)


@fn
def host_virtual(physical: u64) -> usize:
    """See host_physical."""
    return usize(physical)


@fn
def host_flush_page(identifier: u16, address: u64) -> None:
    """Counts."""
    global host_flushes
    _ = u64(identifier) + address
    host_flushes += 1


@fn
def host_flush_space(identifier: u16) -> None:
    """Counts."""
    global host_flushes
    _ = identifier
    host_flushes += 1


@fn
def host_publish_tables() -> None:
    """Nothing to wait for."""


@fn
def host_share_kernel_half(root: usize) -> None:
    """There is none."""
    _ = root


@fn
def host_leave_spaces() -> u64:
    """No translation."""
    return host_set_translation(0)


@fn
def host_set_translation(translation: u64) -> u64:
    """Notes which address space is used."""
    global host_translation
    host_translation = translation
    return translation


@fn
def host_mask_interrupt(number: u64) -> None:
    """Notes it."""
    host_masked[number] = True


@fn
def host_unmask_interrupt(number: u64) -> None:
    """Notes it."""
    host_masked[number] = False


word_at = pointer_maker(u64)
LEVELS = by_arch(host=user_pages.LEVELS)
USER_END = by_arch(host=user_pages.USER_END)
leaf_entry = by_arch(host=user_pages.leaf_entry)
table_entry = by_arch(host=user_pages.table_entry)
is_present = by_arch(host=user_pages.is_present)
is_table = by_arch(host=user_pages.is_table)
entry_physical = by_arch(host=user_pages.entry_physical)
translation = by_arch(host=user_pages.translation)
physical = by_arch(host=host_physical)
virtual = by_arch(host=host_virtual)
flush_page = by_arch(host=host_flush_page)
flush_space = by_arch(host=host_flush_space)
publish_tables = by_arch(host=host_publish_tables)
share_kernel_half = by_arch(host=host_share_kernel_half)
leave_spaces = by_arch(host=host_leave_spaces)
set_translation = by_arch(host=host_set_translation)
mask_interrupt = by_arch(host=host_mask_interrupt)
unmask_interrupt = by_arch(host=host_unmask_interrupt)
read_time = by_arch(host=host_read_time)
set_deadline = by_arch(host=host_set_deadline)
restart = by_arch(host=host_restart)
start = by_arch(host=host_start)
