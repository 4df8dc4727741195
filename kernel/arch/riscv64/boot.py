"""From the first instructions in the linked address space to `kernel_main`: what the loader said becomes BootInfo."""

from typing import Never

from kernel import boot_stop, boot_tree, devicetree
from kernel.arch.riscv64 import console, interrupts, layout, paging, power, sbi, timer
from kernel.boot_info import BootInfo, Protocol, RegionKind, mark_region, set_text
from kernel.devicetree import NO_NODE, Range, TreeError
from kernel.lang import *
from kernel.link import ENTRY_BYTES
from kernel.linked import image_end
from kernel.main import kernel_main

HEADER_BYTES = 40

boot_info = variable(BootInfo)


@fn(symbol="kernel_start", stack=ENTRY_BYTES)
def start(hart: u64, device_tree: u64, image: u64) -> Never:
    """Called by `entry` on the boot hart: its id, the physical addresses of the device tree and of the image."""
    info = ptr(boot_info)
    info.protocol = Protocol.LINUX_IMAGE
    info.hart = hart
    info.device_tree = device_tree
    info.kernel_base = image
    paging.kernel_physical = image
    info.kernel_end = paging.physical(address_of(ptr(image_end)))
    if device_tree == 0 or device_tree % 8 != 0 or device_tree >= layout.DIRECT_MAP_BYTES:
        boot_stop.bad_tree(TreeError.BAD_MAGIC)
    total = devicetree.total_bytes(paging.bytes_at(device_tree, HEADER_BYTES))
    info.device_tree_bytes = u64(total)
    blob = paging.bytes_at(device_tree, max(usize(total), HEADER_BYTES))
    error = boot_tree.read(blob, info)
    if error != TreeError.NONE:
        boot_stop.bad_tree(error)
    if not mark_region(info, info.kernel_base, info.kernel_end, RegionKind.KERNEL):
        boot_stop.bad_tree(TreeError.TOO_MANY_REGIONS)
    read_loader(info)
    console.find(blob, info)
    find_clock(blob, info)
    interrupts.find(blob, info)
    paging.initialize(info)
    console.initialize(info)
    interrupts.initialize(info)
    power.initialize(blob, info)
    timer.initialize(info)
    interrupts.connect_console(info)
    kernel_main(info)


@fn
def find_clock(blob: View[u8], info: Ptr[BootInfo]) -> None:
    """The Goldfish clock, for a driver."""
    found = Range(base=0, size=0)
    node = devicetree.find_compatible(blob, ptr(boot_tree.tree), 0, "google,goldfish-rtc")
    if node != NO_NODE and devicetree.read_reg(blob, ptr(boot_tree.tree), node, 0, ptr(found)):
        info.clock_base = found.base
        info.clock_interrupt = devicetree.property_word(blob, ptr(boot_tree.tree), node, "interrupts", 0)


@fn
def read_loader(info: Ptr[BootInfo]) -> None:
    """The firmware's name and version (SBI 2.0 sections 4.2, 4.3, table 5)."""
    which = sbi.value(sbi.BASE, 1, 0)
    if which == sbi.OPENSBI:
        set_text(ptr(info.loader), view("OpenSBI"))
        info.loader_version = sbi.value(sbi.BASE, 2, 0)
