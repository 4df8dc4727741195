"""Where every boot path ends and the kernel begins."""

from typing import Never

from kernel import clock, monitor
from kernel.banner import banner
from kernel.boot_info import BootInfo, starts_with, text_view
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
def wants_users(info: Ptr[BootInfo]) -> bool:
    """Whether the command line says `user` (init and ipcbench) or `services` (S-INIT and all that it starts)."""
    text = text_view(ptr(info.command_line))
    return starts_with(text, "user") or starts_with(text, "services")


@fn
def kernel_main(info: Ptr[BootInfo]) -> Never:
    """The kernel: paging, console, interrupts and timer are set up, interrupts are off."""
    banner(info)
    clock.start(info.timer_hz)
    if wants_users(info):
        start_users(info)
    monitor.run(info)
