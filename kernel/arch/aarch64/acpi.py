"""ACPI on 64-bit Arm: what firmware that gives no device tree says in its tables, as BootInfo.

The GIC and the CPUs from the MADT, the timer's interrupt from the GTDT, the console from the SPCR, PSCI's instruction
from the FADT. Nothing in a table is trusted: each has to lie in memory that the UEFI memory map has, to be as long as
its fields, and to sum to zero. Without a GIC, a timer or a console there is a reason to stop.
"""

from kernel.acpi import (
    MAX_STRUCTURES,
    MAX_TABLES,
    AcpiError,
    Root,
    check_rsdp,
    check_table,
    is_wide,
    read_root,
    root_address,
    table_address,
)
from kernel.acpi_tables import (
    FADT,
    GAS,
    GICC_ENABLED,
    GTDT,
    HEADER,
    MADT,
    MADT_GICC,
    MADT_GICD,
    MADT_GICR,
    PSCI_COMPLIANT,
    PSCI_USE_HVC,
    RSDP,
    RSDP_REVISION_0_SIZE,
    SPCR,
    SPCR_GIC,
    SPCR_PL011,
    SPCR_SBSA,
    SPCR_SBSA_32,
    AddressSpace,
    MadtType,
)
from kernel.boot_info import MAX_REGIONS, BootInfo, ConsoleKind, ControllerKind, Text, end_of
from kernel.lang import *
from kernel.little_endian import contains, is_at, u16_at, u32_at, u64_at

AFFINITY = 0xFF_00FF_FFFF  # MPIDR_EL1: Aff3 and Aff2..Aff0
DISTRIBUTOR_BYTES, CPU_INTERFACE_BYTES, REDISTRIBUTOR_BYTES = 0x1_0000, 0x1000, 0x2_0000
FIRST_PRIVATE, LAST_SHARED = 16, 1019  # interrupts that a device can have


@struct
class Found:
    """What decides how a machine is ended, and the parts of the GIC as the MADT's structures come.

    psci: by PSCI, through EL2 (`hvc`) or EL3. gicc, gicr: this CPU's interface and redistributor.
    """

    psci: bool
    hvc: bool
    has_boot_cpu: bool
    has_gicd: bool
    gic_version: u8
    gicd: u64
    gicc: u64
    gicr: u64
    gicr_range: u64
    gicr_range_bytes: u64


@fn
def in_memory(memory: View[u8], info: Ptr[BootInfo], address: u64, length: u64) -> bool:
    """Whether the memory map has all of a range; regions are sorted."""
    if not contains(memory, address, length):
        return False
    reached = address
    for i in bounded(range(info.region_count), MAX_REGIONS):
        here = ptr(info.regions[i])
        if here.base <= reached and reached < end_of(here):
            reached = end_of(here)
    return reached >= address + length


@fn
def check(memory: View[u8], info: Ptr[BootInfo], table: u64) -> AcpiError:
    """A table, before a byte of it is believed."""
    if not in_memory(memory, info, table, HEADER.size):
        return AcpiError.OUTSIDE_MEMORY
    if not in_memory(memory, info, table, u64(u32_at(memory, table + HEADER.length))):
        return AcpiError.OUTSIDE_MEMORY
    return check_table(memory, table)


@fn
def check_pointer(memory: View[u8], info: Ptr[BootInfo]) -> AcpiError:
    """The RSDP."""
    if info.rsdp == 0:
        return AcpiError.NO_RSDP
    if not in_memory(memory, info, info.rsdp, RSDP_REVISION_0_SIZE):
        return AcpiError.OUTSIDE_MEMORY
    if memory[info.rsdp + RSDP.revision] >= 2:
        if not in_memory(memory, info, info.rsdp, RSDP.size):
            return AcpiError.OUTSIDE_MEMORY
        if not in_memory(memory, info, info.rsdp, u64(u32_at(memory, info.rsdp + RSDP.length))):
            return AcpiError.OUTSIDE_MEMORY
    return check_rsdp(memory, info.rsdp)


@fn
def read_acpi(memory: View[u8], info: Ptr[BootInfo], found: Ptr[Found]) -> AcpiError:
    """Fills `info` and `found`; `memory` is physical memory, by address."""
    copy(found, zero(Found))
    error = check_pointer(memory, info)
    if error != AcpiError.NONE:
        return error
    root = Root(at=0, count=0, wide=False)
    at = root_address(memory, info.rsdp)
    error = check(memory, info, at)
    if error == AcpiError.NONE:
        error = read_root(memory, at, is_wide(memory, info.rsdp), ptr(root))
    if error != AcpiError.NONE and error != AcpiError.TOO_MANY:
        return error
    name_machine(memory, at, ptr(info.machine))
    problem = AcpiError.NONE
    has_madt = False
    for index in bounded(range(root.count), MAX_TABLES):
        table = table_address(memory, ptr(root), index)
        error = check(memory, info, table)
        if error != AcpiError.NONE:
            problem = error
        elif is_at(memory, table, "APIC"):
            has_madt = True
            error = read_madt(memory, table, info, found)
            if error != AcpiError.NONE:
                return error
        elif is_at(memory, table, "GTDT"):
            read_gtdt(memory, table, info)
        elif is_at(memory, table, "SPCR"):
            read_spcr(memory, table, info)
        elif is_at(memory, table, "FACP"):
            read_fadt(memory, table, found)
    missing = AcpiError.NO_MADT if not has_madt else use_gic(info, found)
    if missing == AcpiError.NONE and info.timer_interrupt == 0:
        missing = AcpiError.NO_GTDT
    if missing == AcpiError.NONE and info.console == ConsoleKind.NONE:
        missing = AcpiError.NO_SPCR
    # A table that is damaged is the better reason for what is missing.
    return problem if missing != AcpiError.NONE and problem != AcpiError.NONE else missing


@fn
def name_machine(memory: View[u8], table: u64, into: Ptr[Text]) -> None:
    """The OEM's name for it: OEMID and OEM table ID, without their padding."""
    into.length = 0
    for i in range(14):
        byte = memory[table + HEADER.oem_id + u64(i)]
        if byte > 32 and byte < 127:
            into.bytes[into.length] = byte
            into.length += 1
        if i == 5:
            into.bytes[into.length] = 32
            into.length += 1


@fn
def read_madt(memory: View[u8], table: u64, info: Ptr[BootInfo], found: Ptr[Found]) -> AcpiError:
    """5.2.12: the CPUs that are enabled, and the GIC's parts."""
    end = table + u64(u32_at(memory, table + HEADER.length))
    if end - table < MADT.size:
        return AcpiError.BAD_MADT
    here = table + MADT.size
    while bounded(here < end, MAX_STRUCTURES):
        if end - here < 2:
            return AcpiError.BAD_MADT
        kind = memory[here]
        length = u64(memory[here + 1])
        if length < 2 or length > end - here:
            return AcpiError.BAD_MADT
        if kind == u8(MadtType.GICC) and length >= MADT_GICC.size:
            if u32_at(memory, here + MADT_GICC.flags) & GICC_ENABLED != 0:
                info.cpu_count += 1
                if u64_at(memory, here + MADT_GICC.mpidr) & AFFINITY == info.hart:
                    found.has_boot_cpu = True
                    found.gicc = u64_at(memory, here + MADT_GICC.physical_base)
                    found.gicr = u64_at(memory, here + MADT_GICC.gicr_base)
        elif kind == u8(MadtType.GICD) and length >= MADT_GICD.size:
            found.has_gicd = True
            found.gicd = u64_at(memory, here + MADT_GICD.base)
            found.gic_version = memory[here + MADT_GICD.version]
        elif kind == u8(MadtType.GICR) and length >= MADT_GICR.size and found.gicr_range == 0:
            found.gicr_range = u64_at(memory, here + MADT_GICR.base)
            found.gicr_range_bytes = u64(u32_at(memory, here + MADT_GICR.bytes))
        here += length
    return AcpiError.NONE


@fn
def use_gic(info: Ptr[BootInfo], found: Ptr[Found]) -> AcpiError:
    """The GIC's registers. Version 3's redistributors are a range, or named CPU by CPU (5.2.12.17)."""
    if not found.has_boot_cpu:
        return AcpiError.NO_BOOT_CPU
    if not found.has_gicd or found.gicd == 0:
        return AcpiError.NO_GIC
    if found.gicr_range == 0 and found.gicr != 0:
        found.gicr_range = found.gicr
        found.gicr_range_bytes = REDISTRIBUTOR_BYTES
    version = found.gic_version
    if version == 0:  # not said
        version = 3 if found.gicr_range != 0 else 2
    info.controller_base = found.gicd
    info.controller_bytes = DISTRIBUTOR_BYTES
    if version == 2 and found.gicc != 0:
        info.controller = ControllerKind.GIC_V2
        info.controller_base_2 = found.gicc
        info.controller_bytes_2 = CPU_INTERFACE_BYTES
    elif version >= 3 and found.gicr_range != 0 and found.gicr_range_bytes >= REDISTRIBUTOR_BYTES:
        info.controller = ControllerKind.GIC_V3
        info.controller_base_2 = found.gicr_range
        info.controller_bytes_2 = found.gicr_range_bytes
    else:
        return AcpiError.NO_GIC
    return AcpiError.NONE


@fn
def read_gtdt(memory: View[u8], table: u64, info: Ptr[BootInfo]) -> None:
    """5.2.25: the virtual timer's interrupt, one of the CPU's own."""
    if u64(u32_at(memory, table + HEADER.length)) >= GTDT.size:
        number = u32_at(memory, table + GTDT.virtual_interrupt)
        if number >= FIRST_PRIVATE and number < 32:
            info.timer_interrupt = number


@fn
def read_spcr(memory: View[u8], table: u64, info: Ptr[BootInfo]) -> None:
    """The console that the firmware uses, if it is a PL011."""
    if u64(u32_at(memory, table + HEADER.length)) < SPCR.size:
        return
    kind = memory[table + SPCR.interface_type]
    gas = table + SPCR.base_address
    if kind != SPCR_PL011 and kind != SPCR_SBSA_32 and kind != SPCR_SBSA:
        return
    base = u64_at(memory, gas + GAS.address)
    if memory[gas + GAS.address_space] != u8(AddressSpace.SYSTEM_MEMORY) or base == 0:
        return
    info.console = ConsoleKind.PL011
    info.console_base = base
    info.console_stride = 4
    number = u32_at(memory, table + SPCR.interrupt)
    if memory[table + SPCR.interrupt_type] & SPCR_GIC != 0 and number >= 32 and number <= LAST_SHARED:
        info.console_interrupt = number


@fn
def read_fadt(memory: View[u8], table: u64, found: Ptr[Found]) -> None:
    """5.2.9: whether there is PSCI, and by which instruction (table 5.11)."""
    if u64(u32_at(memory, table + HEADER.length)) >= FADT.minor_version:
        flags = u16_at(memory, table + FADT.arm_boot_arch)
        found.psci = flags & PSCI_COMPLIANT != 0
        found.hvc = flags & PSCI_USE_HVC != 0
