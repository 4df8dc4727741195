"""From the first instructions in the linked address space to `kernel_main`: what the loader said becomes BootInfo."""

from typing import Never

from kernel.acpi import AcpiError, acpi_texts
from kernel.arch.x86_64 import console, cpu, descriptors, interrupts, limine, multiboot2, paging, pvh, timer
from kernel.arch.x86_64.acpi import read_acpi
from kernel.arch.x86_64.boot_error import BootError, reason_texts
from kernel.arch.x86_64.layout import DIRECT_MAP, PHYSICAL_BASE
from kernel.arch.x86_64.platform import platform
from kernel.boot_info import MAX_REGIONS, BootInfo, Protocol, RegionKind, mark_region
from kernel.boot_stop import refuse
from kernel.lang import *
from kernel.link import ENTRY_BYTES
from kernel.linked import image_end
from kernel.main import kernel_main
from kernel.printing import put

boot_info = variable(BootInfo)


@fn
def read_protocol(information: u64, info: Ptr[BootInfo]) -> BootError:
    """The loader's own information, by its protocol."""
    if info.protocol == Protocol.LIMINE:
        error = limine.check()
        if error != BootError.NONE:
            return error
        paging.use(limine.image_base(), limine.direct_offset())
        return limine.read_answers(info)
    paging.use(PHYSICAL_BASE, DIRECT_MAP)
    memory = paging.early_memory()
    if info.protocol == Protocol.PVH:
        return pvh.read_start_info(memory, information, info)
    return multiboot2.read_information(memory, information, info)


@fn
def memory_size(info: Ptr[BootInfo]) -> u64:
    """What the machine has, as far as its memory map says: all that is not reserved."""
    total: u64 = 0
    for i in bounded(range(info.region_count), MAX_REGIONS):
        if info.regions[i].kind != RegionKind.RESERVED:
            total += info.regions[i].size
    return total


@fn(symbol="kernel_start", stack=ENTRY_BYTES)
def start(protocol: u32, information: u64) -> Never:
    """Called by `entry`: Protocol, and the physical address of what the loader left (0 where it left none there)."""
    info = ptr(boot_info)
    info.protocol = Protocol(exact(protocol, u8))
    console.initialize(info)
    descriptors.initialize()
    error = read_protocol(information, info)
    if error != BootError.NONE:
        refuse(reason_texts[u8(error)])
    info.kernel_base = paging.kernel_physical
    info.kernel_end = paging.physical(address_of(ptr(image_end)))
    marked = mark_region(info, info.kernel_base, info.kernel_end, RegionKind.KERNEL)
    if not marked or not mark_region(info, info.modules_base, info.modules_end, RegionKind.MODULES):
        refuse(reason_texts[u8(BootError.TOO_MANY_REGIONS)])
    info.total_memory = memory_size(info)
    cpu.read_brand(ptr(info.cpu_model))
    cpu.read_features(ptr(info.cpu_features))
    acpi_error = read_acpi(paging.early_memory(), info.rsdp, ptr(platform))
    if acpi_error != AcpiError.NONE:
        refuse(acpi_texts[u8(acpi_error)])
    info.cpu_count = platform.processors
    paging.initialize(info)
    interrupts.initialize(info)
    timer.initialize(info)
    interrupts.connect_console()
    if platform.problem != AcpiError.NONE:
        put("\n")
        put(acpi_texts[u8(platform.problem)])
        put(": going on without it\n")
    kernel_main(info)
