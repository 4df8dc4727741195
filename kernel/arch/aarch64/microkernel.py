"""What the microkernel asks of AArch64: see kernel/core/machine.py, which names each function."""

from kernel.arch.aarch64 import interrupts, paging, power, timer, trap_frame, user_pages
from kernel.core.objects import FRAME_WORDS, Frame
from kernel.lang import *

TrapFrame = trap_frame.TrapFrame
assert TrapFrame.size <= FRAME_WORDS * 8  # type: ignore[attr-defined]

LEVELS = user_pages.LEVELS
USER_END = user_pages.USER_END
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
_SVC_BYTES = 4
_EL0VCTEN = 1 << 1  # CNTKCTL_EL1: user code may read the virtual counter
_SMALLEST_LINE = 16  # bytes of a cache line, at least (CTR_EL0.DminLine is 4 words or more)


@assembly("aarch64", "msr ttbr0_el1, {value}\nisb", clobbers=["memory"])
def write_ttbr0(value: u64) -> None:
    """Changes the address space. Entries of the TLB carry the identifier: nothing is flushed (D8.13.3)."""


@assembly("aarch64", "dsb ishst\ntlbi vae1is, {page}\ndsb ish\nisb", clobbers=["memory"])
def forget_page(page: u64) -> None:
    """Forgets a page: bits 63..48 the identifier, bits 43..0 the page's number."""


@assembly("aarch64", "dsb ishst\ntlbi aside1is, {identifier}\ndsb ish\nisb", clobbers=["memory"])
def forget_identifier(identifier: u64) -> None:
    """Forgets an address space: bits 63..48."""


@assembly("aarch64", "dsb ishst\nisb", clobbers=["memory"])
def publish() -> None:
    """Table writes come before the walks that follow."""


@assembly("aarch64", "dc cvau, {address}", clobbers=["memory"])
def clean_line(address: u64) -> None:
    """A line of the data cache goes to where instructions are fetched from."""


@assembly("aarch64", "dsb ish\nic ialluis\ndsb ish\nisb", clobbers=["memory"])
def forget_instructions() -> None:
    """The instruction caches keep nothing."""


@assembly("aarch64", "msr cntkctl_el1, {value}\nisb")
def write_cntkctl(value: u64) -> None:
    """What user code may do with the timer."""


@fn
def frame_of(frame: Ptr[Frame]) -> Ptr[TrapFrame]:
    """The same memory, with all registers named."""
    return pointer_at(address_of(frame), TrapFrame)


@fn
def restart(frame: Ptr[Frame]) -> None:
    """The SVC is made again."""
    here = frame_of(frame)
    here.elr -= _SVC_BYTES


@fn
def start(frame: Ptr[Frame], entry: u64, stack: u64, argument: u64) -> None:
    """The registers of a thread that starts; SPSR 0 is EL0 with interrupts on."""
    here = frame_of(frame)
    copy(here, zero(TrapFrame))
    here.elr = entry
    here.sp = stack
    here.x0 = argument


@fn
def leaf_entry(physical: u64, read: bool, write: bool, execute: bool, device: bool) -> u64:
    """See user_pages. What was written as data is fetched as instructions from now on (B2.4.4)."""
    if execute and not device:
        address = u64(paging.virtual(physical))
        for i in range(4096 // _SMALLEST_LINE):
            clean_line(address + u64(i) * _SMALLEST_LINE)
        forget_instructions()
    return user_pages.leaf_entry(physical, read, write, execute, device)


@fn
def read_time() -> u64:
    """The time in ticks."""
    return timer.ticks_at(timer.now())


@fn
def set_deadline(deadline: u64) -> None:
    """When the next timer interrupt comes."""
    timer.set_deadline(timer.count_at(deadline))


@fn
def flush_page(identifier: u16, address: u64) -> None:
    """See forget_page."""
    forget_page(u64(identifier) << 48 | address >> 12)


@fn
def flush_space(identifier: u16) -> None:
    """See forget_identifier."""
    forget_identifier(u64(identifier) << 48)


@fn
def publish_tables() -> None:
    """Makes new entries count."""
    publish()


@fn
def share_kernel_half(root: usize) -> None:
    """The kernel has tables of its own (TTBR1): there is nothing to share."""
    _ = root


@fn
def set_translation(value: u64) -> u64:
    """Uses an address space from now on."""
    write_ttbr0(value)
    return value


@fn
def leave_spaces() -> u64:
    """Uses an empty lower half: the tables of the current space are about to end."""
    return set_translation(paging.physical(address_of(ptr(paging.no_user))))


@fn
def mask_interrupt(number: u64) -> None:
    """The controller keeps it from this CPU."""
    if number < interrupts.SPURIOUS:
        interrupts.disable(trunc(number, u32))


@fn
def unmask_interrupt(number: u64) -> None:
    """The controller lets it through."""
    if number < interrupts.SPURIOUS:
        interrupts.enable(trunc(number, u32))


@fn
def stop(code: u16, again: bool) -> None:
    """Ends the run, or starts the machine again."""
    if again:
        power.reboot()
    power.power_off(code)


@fn
def initialize() -> None:
    """User code may read the virtual counter."""
    write_cntkctl(_EL0VCTEN)
