"""Which function answers which call of the SBI (a7 extension, a6 function, a0..a4 arguments)."""

from firmware import console, fences, harts, power, sbi, state
from firmware.sbi import Answer, Base, Console, Error, Extension, Hsm
from kernel.arch.riscv64.machine_mode import csr, memory
from kernel.arch.riscv64.machine_mode.entry import TrapFrame
from kernel.lang import *

A0, A1, A6, A7 = 10, 11, 16, 17
ALL = (1 << 64) - 1


@fn
def has_extension(extension: u64) -> bool:
    """Whether probe_extension finds it."""
    match extension:
        case (
            Extension.SET_TIMER
            | Extension.PUTCHAR
            | Extension.GETCHAR
            | Extension.CLEAR_IPI
            | Extension.SHUTDOWN
            | Extension.BASE
            | Extension.TIME
            | Extension.IPI
            | Extension.RFENCE
            | Extension.HSM
            | Extension.SRST
            | Extension.DBCN
        ):
            return True
        case _:
            return False


@fn
def base(function: u64, first: u64) -> Answer:
    """Chapter 4."""
    match function:
        case Base.SPEC_VERSION:
            return Answer(value=sbi.VERSION)
        case Base.IMPLEMENTATION:
            return Answer(value=sbi.IMPLEMENTATION)
        case Base.IMPLEMENTATION_VERSION:
            return Answer(value=sbi.IMPLEMENTATION_VERSION)
        case Base.PROBE:
            return Answer(value=1 if has_extension(first) else 0)
        case Base.MVENDORID:
            return Answer(value=csr.mvendorid.read())
        case Base.MARCHID:
            return Answer(value=csr.marchid.read())
        case Base.MIMPID:
            return Answer(value=csr.mimpid.read())
        case _:
            return Answer(error=Error.NOT_SUPPORTED)


@fn
def hsm(me: u64, function: u64, frame: Ptr[TrapFrame]) -> Answer:
    """Chapter 9. What takes a number of 32 bits looks at no more (section 3)."""
    first = frame.registers[A0]
    second = frame.registers[A1]
    third = frame.registers[A1 + 1]
    match function:
        case Hsm.START:
            return Answer(error=harts.start(first, second, third))
        case Hsm.STOP:
            harts.stop(me)
        case Hsm.STATUS:
            if not harts.exists(first):
                return Answer(error=Error.INVALID_PARAM)
            return Answer(value=harts.status(first))
        case Hsm.SUSPEND:
            kind = first & 0xFFFF_FFFF
            error = harts.suspend_error(kind, second)
            if error != Error.SUCCESS:
                return Answer(error=error)
            harts.suspend(me)
            if kind == Hsm.NON_RETENTIVE:
                harts.enter(me, second, third, csr.Mode.SUPERVISOR)
            return Answer()
        case _:
            return Answer(error=Error.NOT_SUPPORTED)


@fn
def debug_console(function: u64, frame: Ptr[TrapFrame]) -> Answer:
    """Chapter 12. Addresses are physical; what is not S-mode's own RAM is refused."""
    count = frame.registers[A0]
    address = frame.registers[A1]
    if function == Console.WRITE_BYTE:
        return Answer(error=Error.SUCCESS if console.write_byte(trunc(count, u8)) else Error.FAILED)
    if function != Console.WRITE and function != Console.READ:
        return Answer(error=Error.NOT_SUPPORTED)
    if frame.registers[A1 + 1] != 0 or not state.is_supervisor_memory(address, count):
        return Answer(error=Error.INVALID_PARAM)
    some = min(count, MOST_AT_ONCE)
    data = memory.bytes_at(address, some)
    done: u64 = 0
    if function == Console.WRITE:
        for i in bounded(range(some), MOST_AT_ONCE):
            if not console.write_byte(data[i]):
                return Answer(error=Error.FAILED)
            done += 1
    else:
        for i in bounded(range(some), MOST_AT_ONCE):
            byte = console.read_byte()
            if byte == console.NO_BYTE:
                break
            data[i] = trunc(byte, u8)
            done += 1
    return Answer(value=done)


MOST_AT_ONCE = 4096
"""Bytes of one console call; the caller sees how many were taken, and calls again."""


@fn
def legacy(me: u64, extension: u64, first: u64) -> u64:
    """Chapter 5: the old calls that other software may still make. Only a0 is an answer."""
    match extension:
        case Extension.SET_TIMER:
            harts.set_timer(me, first)
        case Extension.PUTCHAR:
            return 0 if console.write_byte(trunc(first, u8)) else Error.FAILED
        case Extension.GETCHAR:
            byte = console.read_byte()
            return ALL if byte == console.NO_BYTE else u64(byte)
        case Extension.CLEAR_IPI:
            csr.mip.clear(csr.Interrupt.SUPERVISOR_SOFTWARE)
        case Extension.SHUTDOWN:
            power.shut_down(False)
        case _:
            return Error.NOT_SUPPORTED
    return 0


@fn
def timer_or_ipi(me: u64, frame: Ptr[TrapFrame]) -> u64:
    """Chapters 6 and 7: one function each."""
    if frame.registers[A6] != 0:
        return Error.NOT_SUPPORTED
    first = frame.registers[A0]
    if frame.registers[A7] == Extension.TIME:
        harts.set_timer(me, first)
        return Error.SUCCESS
    second = frame.registers[A1]
    if not harts.is_valid(first, second):
        return Error.INVALID_PARAM
    harts.send_ipi(harts.selected(first, second))
    return Error.SUCCESS


@fn
def fence(me: u64, frame: Ptr[TrapFrame]) -> u64:
    """Chapter 8; the calls for guests need the hypervisor extension, which no hart here has."""
    function = frame.registers[A6]
    if function > sbi.Fence.TRANSLATIONS_OF_SPACE:
        return Error.NOT_SUPPORTED
    mask = frame.registers[A0]
    base = frame.registers[A1]
    if not harts.is_valid(mask, base):
        return Error.INVALID_PARAM
    targets = harts.selected(mask, base)
    return fences.remote(
        me, targets, function, frame.registers[A1 + 1], frame.registers[A1 + 2], frame.registers[A1 + 3]
    )


@fn
def extended(me: u64, frame: Ptr[TrapFrame]) -> Answer:
    """Calls since version 0.2."""
    function = frame.registers[A6]
    match frame.registers[A7]:
        case Extension.BASE:
            return base(function, frame.registers[A0])
        case Extension.TIME | Extension.IPI:
            return Answer(error=timer_or_ipi(me, frame))
        case Extension.RFENCE:
            return Answer(error=fence(me, frame))
        case Extension.HSM:
            return hsm(me, function, frame)
        case Extension.SRST:
            if function != 0:
                return Answer(error=Error.NOT_SUPPORTED)
            return Answer(error=power.reset(trunc(frame.registers[A0], u32), trunc(frame.registers[A1], u32)))
        case Extension.DBCN:
            return debug_console(function, frame)
        case _:
            return Answer(error=Error.NOT_SUPPORTED)


@fn
def answer(frame: Ptr[TrapFrame], me: u64) -> None:
    """Answers one call."""
    extension = frame.registers[A7]
    if extension < Extension.BASE:
        frame.registers[A0] = legacy(me, extension, frame.registers[A0])
        return
    result = extended(me, frame)
    frame.registers[A0] = result.error
    frame.registers[A1] = result.value
