"""What the core asks of the architecture, for each of them; on the host, a model that tests look into.

Everything else in kernel/core is the same on all architectures. kernel/arch/*/microkernel.py has the functions, by the
names they have here.
"""

import importlib
import importlib.util
from typing import Any

from kernel import arch
from kernel.arch.objects import pointer_maker
from kernel.arch.riscv64 import user_pages
from kernel.core.objects import Frame
from kernel.core.state import INTERRUPTS
from kernel.lang import *
from kernel.lang.declare import Later
from kernel.services.elf import MACHINES

host_time = variable(u64, 0)
host_deadline = variable(u64, 0)
host_translation = variable(u64, 0)
host_flushes = variable(u64, 0)
host_masked = variable(Array[bool, INTERRUPTS])


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


host_stopped = variable(u64, 0)


@fn
def host_stop(code: u16, again: bool) -> None:
    """Notes that the machine would end."""
    global host_stopped
    host_stopped = 1 + u64(code) + (1 << 32 if again else 0)


@fn
def host_mask_interrupt(number: u64) -> None:
    """Notes it."""
    host_masked[number] = True


@fn
def host_unmask_interrupt(number: u64) -> None:
    """Notes it."""
    host_masked[number] = False


def _by_arch(name: str, model: Any) -> Any:
    """The selected architecture's, and the host's model."""
    choices = {"host": model}
    module = f"kernel.arch.{arch.selected}.microkernel"
    if importlib.util.find_spec(module) is not None:
        choices[arch.selected] = Later(module, name)
    return by_arch(**choices)


ELF_MACHINE = by_arch(host=0, **MACHINES)
word_at = pointer_maker(u64)
LEVELS = _by_arch("LEVELS", user_pages.LEVELS)
USER_END = _by_arch("USER_END", user_pages.USER_END)
leaf_entry = _by_arch("leaf_entry", user_pages.leaf_entry)
table_entry = _by_arch("table_entry", user_pages.table_entry)
entry_rights = _by_arch("entry_rights", user_pages.entry_rights)
MARK = _by_arch("MARK", user_pages.MARK)
is_present = _by_arch("is_present", user_pages.is_present)
is_table = _by_arch("is_table", user_pages.is_table)
entry_physical = _by_arch("entry_physical", user_pages.entry_physical)
translation = _by_arch("translation", user_pages.translation)
asid_of = _by_arch("asid_of", user_pages.asid_of)
TAGGED = _by_arch("TAGGED", user_pages.TAGGED)
physical = _by_arch("physical", host_physical)
virtual = _by_arch("virtual", host_virtual)
flush_page = _by_arch("flush_page", host_flush_page)
flush_space = _by_arch("flush_space", host_flush_space)
publish_tables = _by_arch("publish_tables", host_publish_tables)
share_kernel_half = _by_arch("share_kernel_half", host_share_kernel_half)
leave_spaces = _by_arch("leave_spaces", host_leave_spaces)
set_translation = _by_arch("set_translation", host_set_translation)
stop = _by_arch("stop", host_stop)
mask_interrupt = _by_arch("mask_interrupt", host_mask_interrupt)
unmask_interrupt = _by_arch("unmask_interrupt", host_unmask_interrupt)
read_time = _by_arch("read_time", host_read_time)
set_deadline = _by_arch("set_deadline", host_set_deadline)
restart = _by_arch("restart", host_restart)
start = _by_arch("start", host_start)
