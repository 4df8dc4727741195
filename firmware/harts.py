"""Hart state management (SBI 2.0 chapter 9), and interrupts between harts (chapter 7).

A hart in a lower mode is STARTED. A stopped hart waits in `wait_stopped`, on an empty stack of the firmware; a
suspended one waits in the middle of its call. Both serve fences of other harts. A start is made by compare-and-swap on
the state, so that of two harts that start a third one succeeds.
"""

from typing import Never

from firmware import fences, state
from firmware.sbi import Error, HartState, Hsm
from kernel.arch.riscv64.machine_mode import csr, entry, instructions, memory
from kernel.arch.riscv64.machine_mode.csr import Interrupt, Mode, Status
from kernel.lang import *

SOFTWARE_EVENT = 1
"""Event: an IPI of the SBI, to become a supervisor software interrupt."""

ALL_HARTS = (1 << 64) - 1
"""hart_mask_base that stands for every hart."""

FOREVER = (1 << 64) - 1

STARTED, STOPPED, START_PENDING, SUSPENDED = (
    int(s) for s in (HartState.STARTED, HartState.STOPPED, HartState.START_PENDING, HartState.SUSPENDED)
)


@fn
def stack_top(me: u64) -> u64:
    return u64(address_of(ptr(stacks))) + (me + 1) * entry.STACK_BYTES


stacks = external(u8, "firmware_stacks")


@fn
def enter(me: u64, address: u64, opaque: u64, mode: Mode) -> Never:
    """Starts software in a lower mode: translation and interrupts off, a0 = hart id, a1 = opaque."""
    csr.satp.write(0)
    csr.sie.write(0)
    csr.stvec.write(0)
    csr.sscratch.write(0)
    csr.mip.clear(Interrupt.SUPERVISOR_SOFTWARE | Interrupt.SUPERVISOR_TIMER)
    csr.mstatus.clear(
        Status.MPP
        | Status.MPRV
        | Status.SIE
        | Status.SPIE
        | Status.SUM
        | Status.MXR
        | Status.TVM
        | Status.TW
        | Status.TSR
    )
    csr.mstatus.set(u64(u8(mode)) << Status.MPP_SHIFT)
    csr.mepc.write(address)
    instructions.fence_all_translations()
    instructions.fence_instructions()
    # M-mode keeps mscratch 0: a trap of what runs there is one of ours.
    instructions.leave(0 if mode == Mode.MACHINE else stack_top(me), me, opaque)


@fn
def take_events(me: u64) -> None:
    """Answers a software interrupt: events and fences of other harts."""
    memory.timer().msip[me].write(pending=False)
    instructions.fence_devices()
    events = instructions.atomic_swap(ptr(state.harts[me].events), 0)
    if events & SOFTWARE_EVENT != 0:
        csr.mip.set(Interrupt.SUPERVISOR_SOFTWARE)
    fences.serve(me)


@fn
def wait_stopped(me: u64) -> Never:
    """Waits until another hart starts this one, then starts."""
    own = ptr(state.harts[me])
    csr.mie.write(Interrupt.MACHINE_SOFTWARE)
    while True:
        take_events(me)
        if read_volatile(ptr(own.state)) == START_PENDING:
            break
        instructions.wait_for_interrupt()
    start = own.start
    opaque = own.opaque
    instructions.fence_memory()
    write_volatile(ptr(own.state), STARTED)
    enter(me, start, opaque, Mode.SUPERVISOR)


@fn
def exists(hart: u64) -> bool:
    """Whether the tree has it."""
    return hart < entry.MAX_HARTS and state.facts.harts >> hart & 1 != 0


@fn
def start(hart: u64, address: u64, opaque: u64) -> u64:
    """hart_start."""
    if not exists(hart):
        return Error.INVALID_PARAM
    if address & 1 != 0 or not state.is_supervisor_memory(address, 2):
        return Error.INVALID_ADDRESS
    other = ptr(state.harts[hart])
    # Through STOP_PENDING, so that `start` and `opaque` are written by one hart only, before it may start.
    if instructions.compare_and_swap(ptr(other.state), STOPPED, STARTING) != STOPPED:
        return Error.ALREADY_AVAILABLE
    other.start = address
    other.opaque = opaque
    instructions.fence_memory()
    write_volatile(ptr(other.state), START_PENDING)
    fences.raise_software_interrupt(hart)
    return Error.SUCCESS


STARTING = 1 << 32 | START_PENDING
"""START_PENDING whose address is still being written."""


@fn
def stop(me: u64) -> Never:
    """hart_stop."""
    write_volatile(ptr(state.harts[me].state), STOPPED)
    wait_stopped(me)


@fn
def status(hart: u64) -> u64:
    """The state of a hart that exists."""
    return read_volatile(ptr(state.harts[hart].state)) & 0xFF


@fn
def suspend_error(kind: u64, address: u64) -> u64:
    """What is wrong with the arguments of hart_suspend."""
    if kind != Hsm.RETENTIVE and kind != Hsm.NON_RETENTIVE:
        return Error.INVALID_PARAM
    if kind == Hsm.NON_RETENTIVE and (address & 1 != 0 or not state.is_supervisor_memory(address, 2)):
        return Error.INVALID_ADDRESS
    return Error.SUCCESS


@fn
def suspend(me: u64) -> None:
    """Waits until an interrupt for S-mode is pending and enabled."""
    own = ptr(state.harts[me])
    write_volatile(ptr(own.state), SUSPENDED)
    csr.mie.set(Interrupt.MACHINE_SOFTWARE)
    while bounded(csr.mip.read() & csr.mie.read() & csr.mideleg.read() == 0, FOREVER):
        instructions.wait_for_interrupt()
        pending = csr.mip.read() & csr.mie.read()
        if pending & Interrupt.MACHINE_SOFTWARE != 0:
            take_events(me)
        if pending & Interrupt.MACHINE_TIMER != 0:
            timer_due()
    write_volatile(ptr(own.state), STARTED)


@fn
def send_ipi(targets: u64) -> None:
    """Raises supervisor software interrupts."""
    rest = targets
    while bounded(rest != 0, 64):
        hart = ctz(rest)
        _ = instructions.atomic_or(ptr(state.harts[hart].events), SOFTWARE_EVENT)
        fences.raise_software_interrupt(hart)
        rest &= rest - 1


@fn
def set_timer(me: u64, due: u64) -> None:
    """The next timer interrupt of S-mode, in ticks of mtime; clears one that is pending (chapter 6)."""
    if state.has_sstc:
        csr.stimecmp.write(due)
        return
    memory.timer().mtimecmp[me].write(due)
    csr.mip.clear(Interrupt.SUPERVISOR_TIMER)
    csr.mie.set(Interrupt.MACHINE_TIMER)


@fn
def timer_due() -> None:
    """Hands the machine's timer interrupt on to S-mode; off until the next set_timer."""
    csr.mie.clear(Interrupt.MACHINE_TIMER)
    csr.mip.set(Interrupt.SUPERVISOR_TIMER)


@fn
def is_valid(mask: u64, base: u64) -> bool:
    """Whether all harts that a mask and its base name exist (section 3.1); base -1 means all harts."""
    if base == ALL_HARTS:
        return True
    if base >= entry.MAX_HARTS:
        return False
    return mask << base >> base == mask and mask << base & ~state.facts.harts == 0


@fn
def selected(mask: u64, base: u64) -> u64:
    """The harts that a valid mask names, as far as their firmware runs: the others have nothing to interrupt."""
    online = read_volatile(ptr(state.online))
    return online if base == ALL_HARTS else mask << base & online
