"""What the microkernel asks of RISC-V: see kernel/core/machine.py, which names each function."""

from kernel.arch.riscv64 import cpu, interrupts, paging, power, timer, trap_frame, user_pages
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
read_time = cpu.read_time
_SPIE = 1 << 5  # sstatus: interrupts are on in user mode; SPP 0: it is user mode
_ECALL_BYTES = 4


@assembly("riscv64", "csrw satp, {value}", clobbers=["memory"])
def write_satp(value: u64) -> None:
    """Changes the address space. Entries of the TLB carry the identifier: nothing is flushed (Privileged 4.1.11)."""


@assembly("riscv64", "sfence.vma {address}, {identifier}", clobbers=["memory"])
def fence_page(address: u64, identifier: u64) -> None:
    """Forgets a page of an address space."""


@assembly("riscv64", "sfence.vma zero, {identifier}", clobbers=["memory"])
def fence_space(identifier: u64) -> None:
    """Forgets an address space."""


@assembly("riscv64", "sfence.vma zero, zero", clobbers=["memory"])
def fence_all() -> None:
    """Orders table writes before the walks that follow; also needed where a page was absent before (4.2.1)."""


@assembly("riscv64", "csrw scounteren, {value}")
def write_scounteren(value: u64) -> None:
    """Which counters user code may read."""


@fn
def frame_of(frame: Ptr[Frame]) -> Ptr[TrapFrame]:
    """The same memory, with all registers named."""
    return pointer_at(address_of(frame), TrapFrame)


@fn
def restart(frame: Ptr[Frame]) -> None:
    """The ecall is made again."""
    here = frame_of(frame)
    here.sepc -= _ECALL_BYTES


@fn
def start(frame: Ptr[Frame], entry: u64, stack: u64, argument: u64) -> None:
    """The registers of a thread that starts."""
    here = frame_of(frame)
    copy(here, zero(TrapFrame))
    here.sepc = entry
    here.sp = stack
    here.a0 = argument
    here.sstatus = _SPIE


@fn
def set_deadline(deadline: u64) -> None:
    """When the next timer interrupt comes."""
    timer.set_deadline(deadline)


@fn
def flush_page(identifier: u16, address: u64) -> None:
    """See fence_page."""
    fence_page(address, u64(identifier))


@fn
def flush_space(identifier: u16) -> None:
    """See fence_space."""
    fence_space(u64(identifier))


@fn
def publish_tables() -> None:
    """Makes new entries count."""
    fence_all()


@fn
def share_kernel_half(root: usize) -> None:
    """The upper half of every root is the kernel's: global pages that user code has no access to."""
    table = pointer_at(root, Array[u64, 512])
    for i in range(256, 512):
        table[i] = paging.root[i]


@fn
def set_translation(value: u64) -> u64:
    """Uses an address space from now on."""
    write_satp(value)
    return value


@fn
def leave_spaces() -> u64:
    """Uses the kernel's own tables: those of the current space are about to end."""
    return set_translation(user_pages.translation(paging.physical(address_of(ptr(paging.root))), 0))


@fn
def mask_interrupt(number: u64) -> None:
    """The controller keeps it from this hart."""
    interrupts.disable(trunc(number, u32))


@fn
def unmask_interrupt(number: u64) -> None:
    """The controller lets it through."""
    if number > 0 and number < interrupts.SOURCES:
        interrupts.enable(trunc(number, u32))


@fn
def stop(code: u16, again: bool) -> None:
    """Ends the run, or starts the machine again."""
    if again:
        power.reboot()
    power.power_off(code)


@fn
def initialize() -> None:
    """User code may read cycle, time and instret."""
    write_scounteren(7)
