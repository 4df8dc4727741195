"""Every trap into M-mode: calls of the SBI, interrupts for M-mode, instructions to emulate, and what is fatal."""

from typing import Never

from firmware import calls, console, emulate, harts
from kernel.arch.riscv64.machine_mode import csr, entry, instructions, memory
from kernel.arch.riscv64.machine_mode.csr import Cause, Mode, Status
from kernel.arch.riscv64.machine_mode.entry import TrapFrame
from kernel.lang import *
from rtl.registers import sifive_test


@fn
def end_machine() -> Never:
    """Ends a simulation or QEMU with a failure; on a board, stays here."""
    memory.finisher().finish.write(command=sifive_test.Command.FAIL, code=1)
    while True:
        instructions.wait_for_interrupt()


@fn
def cause_name(cause: u64) -> Str:
    """An exception of M-mode in words (Privileged table 3.6)."""
    match cause:
        case Cause.INSTRUCTION_MISALIGNED:
            return "instruction address misaligned"
        case Cause.INSTRUCTION_ACCESS:
            return "instruction access fault"
        case Cause.ILLEGAL_INSTRUCTION:
            return "illegal instruction"
        case Cause.BREAKPOINT:
            return "breakpoint"
        case Cause.LOAD_MISALIGNED:
            return "load address misaligned"
        case Cause.LOAD_ACCESS:
            return "load access fault"
        case Cause.STORE_MISALIGNED:
            return "store address misaligned"
        case Cause.STORE_ACCESS:
            return "store access fault"
        case _:
            return "trap that nothing here causes"


@fn(symbol="firmware_fatal", stack=entry.FATAL_BYTES - entry.FRAME_BYTES)
def fatal(frame: Ptr[TrapFrame]) -> Never:
    """A trap that the firmware cannot handle: says everything it knows, and ends the machine."""
    console.write("\nfirmware: ")
    console.write(cause_name(frame.mcause))
    console.write(" in M-mode on hart ")
    console.write_decimal(csr.mhartid.read())
    console.write(": mcause ")
    console.write_hex(frame.mcause)
    console.write(", mepc ")
    console.write_hex(frame.mepc)
    console.write(", mtval ")
    console.write_hex(frame.mtval)
    console.write(", ra ")
    console.write_hex(frame.registers[1])
    console.write("; the machine stops\n")
    end_machine()


@fn
def redirect(frame: Ptr[TrapFrame], cause: u64, value: u64) -> None:
    """Makes it a trap of S-mode (Privileged 3.1.6.1, 4.1): as if the hart had delegated it."""
    csr.scause.write(cause)
    csr.sepc.write(frame.mepc)
    csr.stval.write(value)
    status = frame.mstatus & ~u64(Status.SPP | Status.SPIE | Status.SIE | Status.MPP)
    if frame.mstatus & Status.MPP != 0:
        status |= Status.SPP
    if frame.mstatus & Status.SIE != 0:
        status |= Status.SPIE
    frame.mstatus = status | SUPERVISOR_MPP
    frame.mepc = csr.stvec.read() & ~u64(3)


SUPERVISOR_MPP = int(Mode.SUPERVISOR) << Status.MPP_SHIFT


@fn(symbol="firmware_trap", stack=entry.STACK_BYTES - entry.FRAME_BYTES - entry.FATAL_BYTES)
def trap(frame: Ptr[TrapFrame]) -> None:
    """Called by the trap entry; what it leaves in the frame is where the hart continues."""
    me = csr.mhartid.read()
    match frame.mcause:
        case Cause.SUPERVISOR_CALL:
            frame.mepc += 4
            calls.answer(frame, me)
        case Cause.SOFTWARE_INTERRUPT:
            harts.take_events(me)
        case Cause.TIMER_INTERRUPT:
            harts.timer_due()
        case Cause.LOAD_MISALIGNED | Cause.STORE_MISALIGNED:
            hand_on(frame, emulate.misaligned(frame))
        case Cause.ILLEGAL_INSTRUCTION:
            hand_on(frame, emulate.illegal(frame))
        case _:
            hand_on(frame, frame.mcause)


@fn
def hand_on(frame: Ptr[TrapFrame], cause: u64) -> None:
    """What was not emulated is S-mode's. A fault of the fetch is at mepc; others are where the trap said."""
    if cause == emulate.DONE:
        return
    fetch = cause == Cause.INSTRUCTION_ACCESS or cause == Cause.INSTRUCTION_PAGE_FAULT
    redirect(frame, cause, frame.mepc if fetch and cause != frame.mcause else frame.mtval)


@fn(symbol="firmware_panic", stack=entry.STACK_BYTES)
def firmware_panic(site: Ptr[PanicSite], left: u64, right: u64) -> Never:
    """A check of Kernel Python failed in the firmware. The first panic speaks, on an empty stack of its hart."""
    console.write("\nfirmware: panic on hart ")
    console.write_decimal(csr.mhartid.read())
    console.write(": ")
    console.write(site.text)
    if site.values > 0:
        console.write(": ")
        console.write_hex(left)
    if site.values > 1:
        console.write(", ")
        console.write_hex(right)
    console.write(" (")
    console.write(site.file)
    console.write(":")
    console.write_decimal(u64(site.line))
    console.write("); the machine stops\n")
    end_machine()
