"""Panic: what failed, with its values, a symbolized backtrace, and the end of the machine.

Frames are found through the frame pointers (the kernel is compiled with them): each function keeps the caller's frame
pointer and its return address where `cpu.FRAME_LINK` and `cpu.FRAME_RETURN` say.
"""

from typing import Never

from kernel import symbols
from kernel.arch import cpu, power
from kernel.lang import *
from kernel.link import PANIC_STACK_BYTES
from kernel.printing import put, put_bytes, put_decimal, put_hex, take_console

MOST_FRAMES = 24

panicking = variable(bool, False)


@fn
def begin(what: Str) -> None:
    """The first line. A panic in a panic ends the machine at once."""
    global panicking
    cpu.disable_interrupts()
    take_console()
    if panicking:
        put("\npanic while panicking: ")
        put(what)
        put("\n")
        power.power_off(1)
    panicking = True
    put("\npanic: ")
    put(what)
    put("\n")


@fn
def value(name: Str, number: u64) -> None:
    """A line with one value."""
    put("  ")
    put(name)
    put(" ")
    put_hex(number)
    put("\n")


@fn
def put_place(number: u64, address: u64, symbol_at: u64) -> None:
    """A line of the backtrace; the function is the one that has `symbol_at`."""
    put("  #")
    put_decimal(number)
    put(" ")
    put_hex(address)
    found = symbols.find(symbol_at)
    if found is not None:
        put(" ")
        put_bytes(symbols.name_of(some(found)))
        put("+")
        put_hex(symbols.distance(some(found), address))
    put("\n")


@fn
def finish(address: u64, frame: u64) -> Never:
    """The backtrace from an instruction and a frame pointer on, and the end."""
    put("backtrace:\n")
    put_place(0, address, address)
    walk(frame)


@fn
def walk(frame: u64) -> Never:
    """The callers, and the end of the machine."""
    here = frame
    number: u64 = 1
    while bounded(number < MOST_FRAMES and cpu.is_frame(here), MOST_FRAMES):
        caller = cpu.frame_return(here)
        if not symbols.in_text(caller):
            break
        # A call that never returns may be a function's last instruction: its own address is inside, not the next.
        put_place(number, caller, caller - 1)
        above = cpu.frame_link(here)
        if above <= here:  # frames lie one above the other
            break
        here = above
        number += 1
    power.power_off(1)


@fn(symbol="kernel_panic_stacked", stack=PANIC_STACK_BYTES)
def kernel_panic_stacked(site: Ptr[PanicSite], left: u64, right: u64, address: u64, frame: u64) -> Never:
    """A failed check of the language: an overflow, an index, an assertion, `panic(...)`.

    `kernel_panic`, which checks call, is assembly: it adds the address and the frame pointer of its call, and comes
    here on the panic stack, so that a panic needs no room on the stack it happened on.
    """
    begin(site.text)
    put("  at ")
    put(site.file)
    put(":")
    put_decimal(u64(site.line))
    put(" in ")
    put(site.function)
    put("\n")
    if site.values > 0:
        put("  values ")
        put_value(left, site.is_signed)
        if site.values > 1:
            put(", ")
            put_value(right, site.is_signed)
        put("\n")
    put("backtrace:\n")
    put_place(0, address, address - 1)
    walk(frame)


@fn
def put_value(number: u64, is_signed: bool) -> None:
    """A value as its type shows it."""
    if is_signed and number >> 63 != 0:
        put("-")
        put_decimal(~number + 1)
    else:
        put_decimal(number)
