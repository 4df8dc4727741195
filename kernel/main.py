"""Where every boot path ends and the kernel begins."""

from typing import Never

from kernel import clock, monitor
from kernel.banner import banner
from kernel.boot_info import BootInfo, has_word, text_view
from kernel.lang import *
from kernel.lang.declare import Later


@fn
def no_users(info: Ptr[BootInfo]) -> Never:
    """Where the microkernel does not run programs yet: the monitor."""
    monitor.run(info)


start_users = by_arch(
    riscv64=Later("kernel.arch.riscv64.trap", "start_users"),
    x86_64=Later("kernel.arch.x86_64.trap", "start_users"),
    aarch64=Later("kernel.arch.aarch64.trap", "start_users"),
    host=no_users,
)


@fn
def kernel_main(info: Ptr[BootInfo]) -> Never:
    """The kernel: paging, console, interrupts and timer are set up, interrupts are off.

    Without a command line it runs the services. The word `monitor` asks for the kernel's own monitor instead;
    `hostile`, `fuzz` and `kills` for the tests of kernel/hostile and kernel/fuzz.
    """
    banner(info)
    clock.start(info.timer_hz)
    if has_word(text_view(ptr(info.command_line)), "monitor"):
        monitor.run(info)
    start_users(info)
