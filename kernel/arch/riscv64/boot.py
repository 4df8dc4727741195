"""From the first instructions in the linked address space to `kernel_main`: what the loader said becomes BootInfo."""

from typing import Never

from kernel.boot_info import BootInfo, Protocol
from kernel.lang import *
from kernel.main import kernel_main

boot_info = variable(BootInfo)


@fn(symbol="kernel_start", stack=12 << 10)
def start(hart: u64, device_tree: u64, image: u64) -> Never:
    """Called by `entry` on the boot hart: its id, the physical addresses of the device tree and of the image."""
    info = ptr(boot_info)
    info.protocol = Protocol.LINUX_IMAGE
    info.hart = hart
    info.device_tree = device_tree
    info.kernel_base = image
    kernel_main(info)
