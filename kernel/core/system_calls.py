"""The kernel's entries: system call, fault, timer. Each gives the thread to go on with, or None when all wait."""

from kernel.abi import PANIC_STATUS, TAG_EXIT, TAG_FAULT, AuditEvent, Error, SystemCall, ThreadState
from kernel.core import (
    audit,
    capabilities,
    channels,
    clock,
    dissolve,
    inheritance,
    interrupts,
    ipc,
    machine,
    machine_calls,
    memory,
    notifications,
    scheduler,
    slices,
    spaces,
    thread_calls,
    threads,
    timers,
    translations,
    waiters,
)
from kernel.core.objects import Slot, Thread, Timer
from kernel.core.state import kernel
from kernel.lang import *
from kernel.printing import put, put_decimal, put_hex, take_console

EXPIRATIONS = 8  # time limits handled in one trap
NUMBERS = len(SystemCall)
first_program = variable(u64, 0)
"""The number of the first program's thread. It has no fault endpoint: there is nobody to be told."""


@fn
def is_first(thread: Ptr[Thread]) -> bool:
    """Whether it is the first program."""
    return first_program != 0 and thread.identifier == first_program


@fn
def execute(thread: Ptr[Thread], call: SystemCall) -> Error:
    """One system call of the current thread."""
    match call:
        case SystemCall.NULL:
            return Error.NONE
        case SystemCall.CALL:
            return ipc.send(thread, True)
        case SystemCall.REPLY_RECEIVE:
            return ipc.reply_receive(thread)
        case SystemCall.SEND:
            return ipc.send(thread, False)
        case SystemCall.RECEIVE:
            return ipc.receive(thread)
        case SystemCall.REPLY:
            return ipc.reply(thread)
        case SystemCall.NOTIFY:
            return notifications.sys_notify(thread)
        case SystemCall.WAIT:
            return notifications.sys_wait(thread)
        case SystemCall.YIELD:
            scheduler.end_quantum()
            return Error.NONE
        case SystemCall.SLEEP:
            return thread_calls.sys_sleep(thread)
        case SystemCall.DERIVE:
            return capabilities.sys_derive(thread)
        case SystemCall.MOVE:
            return capabilities.sys_move(thread)
        case SystemCall.DELETE:
            return capabilities.sys_delete(thread)
        case SystemCall.REVOKE:
            return capabilities.sys_revoke(thread)
        case SystemCall.RETYPE:
            return memory.sys_retype(thread)
        case SystemCall.INSPECT:
            return capabilities.sys_inspect(thread)
        case SystemCall.THREAD_CONFIGURE:
            return thread_calls.sys_configure(thread)
        case SystemCall.THREAD_START:
            return thread_calls.sys_start(thread)
        case SystemCall.THREAD_STOP:
            return thread_calls.sys_stop(thread)
        case SystemCall.THREAD_INSPECT:
            return thread_calls.sys_inspect(thread)
        case SystemCall.SLICE_CONFIGURE:
            return slices.sys_slice_configure(thread)
        case SystemCall.MAP:
            return spaces.sys_map(thread)
        case SystemCall.UNMAP:
            return spaces.sys_unmap(thread)
        case SystemCall.MAP_TABLE:
            return spaces.sys_map_table(thread)
        case SystemCall.INTERRUPT_BIND:
            return interrupts.sys_bind(thread)
        case SystemCall.INTERRUPT_ACKNOWLEDGE:
            return interrupts.sys_acknowledge(thread)
        case SystemCall.CHANNEL_SEND:
            return channels.sys_send(thread)
        case SystemCall.CHANNEL_RECEIVE:
            return channels.sys_receive(thread)
        case SystemCall.CHANNEL_INSPECT:
            return channels.sys_inspect(thread)
        case SystemCall.AUDIT_READ:
            return machine_calls.sys_audit_read(thread)
        case SystemCall.MACHINE_INSPECT:
            return machine_calls.sys_inspect(thread)
        case SystemCall.MACHINE_STOP:
            return machine_calls.sys_stop(thread)
        case SystemCall.CLOCK:
            thread.frame.words[0] = clock.now()
            return Error.NONE
        case SystemCall.EXIT:
            if ipc.may_report(thread):
                status = thread.frame.handle
                ipc.report(thread, TAG_EXIT, status, 0, 0)
                if is_first(thread):
                    take_console()
                    put("\nthe first program ")
                    panicked = status & PANIC_STATUS != 0
                    put("panicked in line " if panicked else "ended with ")
                    put_decimal(status ^ PANIC_STATUS if panicked else status)
                    put("\n")
                    panic("the first program has ended, and with it the system")
            return ipc.WAITS
        case _:
            return Error.UNKNOWN_CALL


@fn
def system_call(thread: Ptr[Thread]) -> Ptr[Thread] | None:
    """A system call of the running thread, whose registers are saved."""
    number = thread.frame.number
    if number >= NUMBERS:
        thread.frame.handle = u64(Error.UNKNOWN_CALL)
        return thread
    error = execute(thread, SystemCall(trunc(number, u8)))
    if error == Error.RESTART:
        if kernel.current == thread:
            machine.restart(ptr(thread.frame))
    else:
        thread.frame.handle = u64(error)
    # Nearly always the caller goes on, and nothing about the schedule has changed.
    if kernel.current == thread and kernel.ready >> (thread.level & 63) <= 1 and not pending():
        if thread.translation == kernel.translation:
            return thread
    return leave_kernel()


@fn
def pending() -> bool:
    """Whether capabilities or waits have ended of which not all follows yet: the CPU must not sleep."""
    return kernel.checked is not None or kernel.dying is not None or inheritance.pending()


@fn
def leave_kernel() -> Ptr[Thread] | None:
    """The end of every trap: a piece of what is left to do, who runs, and when the timer comes."""
    if pending():
        waiters.step()
        dissolve.step()
        inheritance.step()
    scheduler.choose()
    scheduler.program_timer()
    if kernel.current is not None:
        thread = some(kernel.current)
        if thread.translation != kernel.translation:
            translations.use(thread.translation)
    return kernel.current


@fn
def fault(thread: Ptr[Thread], cause: u64, address: u64, place: u64) -> Ptr[Thread] | None:
    """The running thread did what the CPU refused: cause and address are the CPU's, place is the program counter."""
    if not ipc.may_report(thread):
        return leave_kernel()
    nothing = zero(Slot)
    audit.record(AuditEvent.FAULT, ptr(nothing), address, Error.NONE)
    put("thread ")
    put_decimal(thread.identifier)
    put(" died: fault ")
    put_hex(cause)
    put(" of the CPU, at address ")
    put_hex(address)
    put(", program counter ")
    put_hex(place)
    put("\n")
    ipc.report(thread, TAG_FAULT, cause, address, place)
    if is_first(thread):
        panic("the first program has died, and with it the system")
    return leave_kernel()


@fn
def timer() -> Ptr[Thread] | None:
    """The timer's deadline has come."""
    kernel.programmed = 0
    time = clock.now()
    for _ in range(EXPIRATIONS):
        if timers.first_deadline() > time or kernel.timers is None:
            break
        _expire(some(kernel.timers))
    if kernel.current is not None and kernel.slice_end <= time:
        scheduler.end_quantum()
    return leave_kernel()


@fn
def _expire(timer: Ptr[Timer]) -> None:
    """A time limit is over."""
    thread = timers.owner(timer)
    if timers.of_service(timer):
        inheritance.stop_serving(thread)
        return
    status = Error.EXPIRED if thread.expires else Error.TIMED_OUT
    if thread.state == ThreadState.SLEEPING:
        status = Error.NONE
    threads.cancel_wait(thread, status)
