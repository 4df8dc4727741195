"""Where every boot path ends and the kernel begins."""

from typing import Never

from kernel.arch import power
from kernel.banner import banner
from kernel.boot_info import BootInfo
from kernel.lang import *


@fn
def kernel_main(info: Ptr[BootInfo]) -> Never:
    """The kernel."""
    banner(info)
    power.power_off(0)
