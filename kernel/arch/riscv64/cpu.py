"""Instructions of the CPU that the rest of the kernel needs by name."""

from typing import Never

from kernel.lang import *
from kernel.linked import panic_stack_top, stack_bottom


@assembly("riscv64", "wfi", clobbers=["memory"])
def wait_for_interrupt() -> None:
    """Sleeps until an interrupt is pending, enabled or not."""


@assembly("riscv64", "csrsi sstatus, 2", clobbers=["memory"])
def enable_interrupts() -> None:
    """sstatus.SIE on."""


@assembly("riscv64", "csrci sstatus, 2", clobbers=["memory"])
def disable_interrupts() -> None:
    """sstatus.SIE off."""


@assembly("riscv64", "csrr {result}, time")
def read_time() -> u64:
    """The timer's ticks since reset."""
    return 0


@assembly("riscv64", "ld zero, 0({address})", clobbers=["memory"])
def load_from(address: u64) -> None:
    """Reads memory: faults where none is mapped."""


@assembly("riscv64", "1: addi sp, sp, -256\nsd zero, 0(sp)\nj 1b", clobbers=["memory"])
def overflow_stack() -> Never:
    """Pushes until the stack ends."""


@assembly("riscv64", "lla t0, image_start\nsw zero, 0(t0)", clobbers=["memory", "t0"])
def write_text() -> None:
    """Writes to the kernel's own instructions, which must fault."""


@assembly("riscv64", "lla t0, bss_start\njalr t0", clobbers=["memory", "t0", "ra"])
def run_data() -> None:
    """Jumps into the kernel's data, which must fault."""


@fn
def is_frame(frame: u64) -> bool:
    """Whether it can be a frame pointer: aligned, and on a kernel stack."""
    low = u64(address_of(ptr(stack_bottom)))
    high = u64(address_of(ptr(panic_stack_top)))
    return frame % 8 == 0 and low + 16 <= frame and frame <= high


@fn
def frame_return(frame: u64) -> u64:
    """The return address that the function with this frame keeps (psABI: fp - 8)."""
    return pointer_at(usize(frame - 8), u64).value


@fn
def frame_link(frame: u64) -> u64:
    """The frame pointer of its caller (psABI: fp - 16)."""
    return pointer_at(usize(frame - 16), u64).value


@fn
def halt() -> Never:
    """Stops this hart for good."""
    disable_interrupts()
    while True:
        wait_for_interrupt()
