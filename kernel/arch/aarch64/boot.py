"""From the first instructions in the linked address space to `kernel_main`: what the loader said becomes BootInfo."""

from typing import Never

from kernel import boot_stop, boot_tree, devicetree
from kernel.acpi import AcpiError, acpi_texts
from kernel.arch.aarch64 import acpi, console, cpu, efi, efi_facts, interrupts, paging, power, timer
from kernel.arch.aarch64.specifier import interrupt_of
from kernel.boot_info import BootInfo, Protocol, RegionKind, mark_region
from kernel.devicetree import NO_NODE, Range, TreeError
from kernel.lang import *
from kernel.link import ENTRY_BYTES
from kernel.linked import image_end
from kernel.main import kernel_main

HEADER_BYTES = 40

boot_info = variable(BootInfo)
acpi_found = variable(acpi.Found)


@fn(symbol="kernel_start", stack=ENTRY_BYTES)
def start(device_tree: u64, image: u64) -> Never:
    """Called by `entry` on the boot CPU: the physical addresses of the device tree (or 0) and of the image."""
    info = ptr(boot_info)
    info.protocol = Protocol.LINUX_IMAGE if efi.handoff.map == 0 else Protocol.UEFI
    info.hart = cpu.affinity() & 0xFF_FFFF
    info.device_tree = device_tree
    info.kernel_base = image
    paging.kernel_physical = image
    info.kernel_end = paging.physical(address_of(ptr(image_end)))
    info.timer_hz = cpu.counter_hz()
    if efi.handoff.map != 0:
        if not efi_facts.read(info):
            stop("the UEFI memory map is out of reach, or has more pieces than the kernel keeps")
    if info.device_tree == 0 and efi.handoff.map != 0:
        read_tables(info)
    else:
        error = read_tree(info)
        if error != TreeError.NONE:
            console.last_resort()
            boot_stop.bad_tree(error)
    cpu.read_features(ptr(info.cpu_features))
    if not mark_region(info, info.kernel_base, info.kernel_end, RegionKind.KERNEL):
        stop("the memory map has more pieces than the kernel keeps")
    paging.initialize(info)
    console.initialize(info)
    interrupts.initialize(info)
    timer.initialize(info)
    interrupts.connect_console(info)
    kernel_main(info)


@fn
def stop(reason: Str) -> Never:
    """Says why, on the one console that may be there."""
    console.last_resort()
    boot_stop.refuse(reason)


@fn
def read_tables(info: Ptr[BootInfo]) -> None:
    """ACPI, where UEFI gives no device tree."""
    if info.rsdp == 0:
        stop("UEFI gives neither a device tree nor ACPI tables")
    paging.reach_all(info)
    error = acpi.read_acpi(paging.reached(), info, ptr(acpi_found))
    if error != AcpiError.NONE:
        stop(acpi_texts[u8(error)])
    power.use_acpi(acpi_found.psci, acpi_found.hvc)
    cpu.name(ptr(info.cpu_model))


@fn
def find_clock(blob: View[u8], info: Ptr[BootInfo]) -> None:
    """The PL031, for a driver."""
    found = Range(base=0, size=0)
    node = devicetree.find_compatible(blob, ptr(boot_tree.tree), 0, "arm,pl031")
    if node != NO_NODE and devicetree.read_reg(blob, ptr(boot_tree.tree), node, 0, ptr(found)):
        info.clock_base = found.base
        info.clock_interrupt = interrupt_of(blob, node, 0)


@fn
def read_tree(info: Ptr[BootInfo]) -> TreeError:
    """The device tree."""
    if info.device_tree == 0 or info.device_tree % 8 != 0:
        return TreeError.BAD_MAGIC
    if not paging.reach(info.device_tree, devicetree.MAX_BYTES):
        return TreeError.BAD_MAGIC
    total = devicetree.total_bytes(paging.bytes_at(info.device_tree, HEADER_BYTES))
    info.device_tree_bytes = u64(total)
    blob = paging.bytes_at(info.device_tree, max(usize(total), HEADER_BYTES))
    error = boot_tree.read(blob, info)
    if error != TreeError.NONE:
        return error
    power.find(blob)
    console.find(blob, info)
    find_clock(blob, info)
    interrupts.find(blob, info)
    return TreeError.NONE
