"""Where every boot path ends and the kernel begins."""

from typing import Never

from kernel import clock, monitor
from kernel.banner import banner
from kernel.boot_info import BootInfo
from kernel.lang import *


@fn
def kernel_main(info: Ptr[BootInfo]) -> Never:
    """The kernel: paging, console, interrupts and timer are set up, interrupts are off."""
    banner(info)
    clock.start(info.timer_hz)
    monitor.run(info)
