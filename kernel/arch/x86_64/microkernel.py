"""What the microkernel asks of x86-64: see kernel/core/machine.py, which names each function."""

from kernel.arch.x86_64 import io_apic, paging, ports, power, timer, trap_frame, user_pages
from kernel.arch.x86_64.apic import first_io_apic
from kernel.arch.x86_64.instructions import invalidate_page, read_cr3, write_cr3
from kernel.arch.x86_64.layout import DIRECT_MAP
from kernel.arch.x86_64.platform import platform
from kernel.arch.x86_64.trap_frame import USER_CODE, USER_DATA
from kernel.core.objects import FRAME_WORDS, Frame
from kernel.lang import *

TrapFrame = trap_frame.TrapFrame
assert TrapFrame.size <= FRAME_WORDS * 8  # type: ignore[attr-defined]

LEVELS = user_pages.LEVELS
USER_END = user_pages.USER_END
leaf_entry = user_pages.leaf_entry
table_entry = user_pages.table_entry
entry_rights = user_pages.entry_rights
MARK = user_pages.MARK
is_present = user_pages.is_present
is_table = user_pages.is_table
entry_physical = user_pages.entry_physical
translation = user_pages.translation
asid_of = user_pages.asid_of
TAGGED = user_pages.TAGGED
physical = paging.physical
virtual = paging.virtual
_RFLAGS = 0x202  # interrupts are on in user mode; bit 1 is always set
_SYSCALL_BYTES = 2


@fn
def frame_of(frame: Ptr[Frame]) -> Ptr[TrapFrame]:
    """The same memory, with all registers named."""
    return pointer_at(address_of(frame), TrapFrame)


@fn
def restart(frame: Ptr[Frame]) -> None:
    """The SYSCALL is made again."""
    here = frame_of(frame)
    here.rip -= _SYSCALL_BYTES


@fn
def start(frame: Ptr[Frame], entry: u64, stack: u64, argument: u64) -> None:
    """The registers of a thread that starts.

    IRET to an address that is not canonical faults in the kernel, so an entry outside of user space becomes one that
    is canonical and that user code has no access to: the thread faults there.
    """
    here = frame_of(frame)
    copy(here, zero(TrapFrame))
    here.rip = entry if entry < USER_END else DIRECT_MAP
    here.rsp = stack
    here.rdi = argument
    here.rflags = _RFLAGS
    here.cs = USER_CODE
    here.ss = USER_DATA


@fn
def read_time() -> u64:
    """The time in ticks."""
    return timer.ticks_at(timer.now())


@fn
def set_deadline(deadline: u64) -> None:
    """When the next timer interrupt comes."""
    timestamp = timer.timestamp_at(deadline)
    if timestamp == timer.NEVER:
        timer.cancel()
    else:
        timer.set_deadline(timestamp)


@fn
def flush_page(identifier: u16, address: u64) -> None:
    """Forgets a page. Without process-context identifiers only the current address space has pages in the TLB."""
    _ = identifier
    ports.close()
    invalidate_page(address)


@fn
def flush_space(identifier: u16) -> None:
    """Forgets all pages that are not global (SDM volume 3, 4.10.4.1)."""
    _ = identifier
    ports.close()
    write_cr3(read_cr3())


@fn
def publish_tables() -> None:
    """The CPU keeps nothing about what was not present (4.10.2.3): new entries count at once."""


@fn
def share_kernel_half(root: usize) -> None:
    """The upper half of every root is the kernel's: global pages that user code has no access to."""
    table = pointer_at(root, paging.Table)
    for i in range(256, 512):
        table[i] = paging.root[i]


@fn
def set_translation(value: u64) -> u64:
    """Uses an address space from now on."""
    ports.close()
    write_cr3(value)
    return value


@fn
def leave_spaces() -> u64:
    """Uses the kernel's own tables: those of the current space are about to end."""
    return set_translation(paging.physical(address_of(ptr(paging.root))))


@fn
def stop(code: u16, again: bool) -> None:
    """Ends the run, or starts the machine again."""
    if again:
        power.reboot()
    power.power_off(code)


@fn
def is_input(number: u64) -> bool:
    """Whether an interrupt is one of the first I/O APIC's inputs."""
    base = u64(platform.io_apics[0].interrupt_base)
    return number >= base and number - base < u64(io_apic.interrupt_count(first_io_apic()))


@fn
def mask_interrupt(number: u64) -> None:
    """The controller keeps it back."""
    if is_input(number):
        io_apic.mask(first_io_apic(), trunc(number, u32) - platform.io_apics[0].interrupt_base)


@fn
def unmask_interrupt(number: u64) -> None:
    """The controller lets it through."""
    if is_input(number):
        ports.route_level(trunc(number, u32))
