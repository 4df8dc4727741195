"""ACPI, what every architecture does with it: from the RSDP to tables that lie in memory, are as long as they say and
sum to zero. What they mean is in kernel/arch/*/acpi.py; nothing in a table is trusted.
"""

from enum import IntEnum

from kernel.acpi_tables import HEADER, RSDP, RSDP_REVISION_0_SIZE
from kernel.lang import *
from kernel.little_endian import contains, is_at, u32_at, u64_at

MAX_TABLES = 64
MAX_TABLE_BYTES = 1 << 20
MAX_STRUCTURES = 1024


@enum(8)
class AcpiError(IntEnum):
    """Why a table was not used."""

    NONE = 0
    NO_RSDP = 1
    BAD_RSDP = 2
    OUTSIDE_MEMORY = 3
    BAD_LENGTH = 4
    BAD_CHECKSUM = 5
    BAD_SIGNATURE = 6
    TOO_MANY = 7
    NO_MADT = 8
    BAD_MADT = 9
    NO_IO_APIC = 10
    BAD_FADT = 11
    BAD_HPET = 12
    NO_S5 = 13
    NO_GIC = 14
    NO_GTDT = 15
    NO_SPCR = 16
    NO_BOOT_CPU = 17


REASONS = {
    AcpiError.NONE: "ACPI: no error",
    AcpiError.NO_RSDP: "ACPI: the boot loader gives no RSDP",
    AcpiError.BAD_RSDP: "ACPI: RSDP with a bad signature, checksum or length",
    AcpiError.OUTSIDE_MEMORY: "ACPI: a table lies outside of memory that can be read",
    AcpiError.BAD_LENGTH: "ACPI: a table is shorter than its header, or too long",
    AcpiError.BAD_CHECKSUM: "ACPI: a table's checksum is wrong",
    AcpiError.BAD_SIGNATURE: "ACPI: the RSDT or XSDT has another signature",
    AcpiError.TOO_MANY: "ACPI: more tables than the kernel reads",
    AcpiError.NO_MADT: "ACPI: there is no MADT",
    AcpiError.BAD_MADT: "ACPI: the MADT has an entry with a bad length",
    AcpiError.NO_IO_APIC: "ACPI: the MADT names no I/O APIC",
    AcpiError.BAD_FADT: "ACPI: the FADT is too short",
    AcpiError.BAD_HPET: "ACPI: the HPET table is too short, or its block is not in memory space",
    AcpiError.NO_S5: "ACPI: no _S5 in the DSDT or an SSDT",
    AcpiError.NO_GIC: "ACPI: the MADT names no GIC distributor of version 2 or 3, or not this CPU's part of it",
    AcpiError.NO_GTDT: "ACPI: there is no GTDT with the virtual timer's interrupt",
    AcpiError.NO_SPCR: "ACPI: there is no SPCR that names a PL011: the firmware must be told to use it as its console",
    AcpiError.NO_BOOT_CPU: "ACPI: the MADT does not have the CPU that runs",
}

acpi_texts = constant(Array[Str, len(REASONS)], [REASONS[e] for e in AcpiError])


@fn
def sums_to_zero(memory: View[u8], address: u64, length: u64) -> bool:
    """Checksum of 5.2.5.3 and 5.2.6: the bytes add up to 0 modulo 256. The range was checked."""
    total: w8 = 0
    for i in bounded(range(length), MAX_TABLE_BYTES):
        total = total + w8(memory[address + i])
    return total == 0


@fn
def check_table(memory: View[u8], address: u64) -> AcpiError:
    """A system description table: in memory, as long as it says, sum zero."""
    if not contains(memory, address, HEADER.size):
        return AcpiError.OUTSIDE_MEMORY
    length = u64(u32_at(memory, address + HEADER.length))
    if length < HEADER.size or length > MAX_TABLE_BYTES:
        return AcpiError.BAD_LENGTH
    if not contains(memory, address, length):
        return AcpiError.OUTSIDE_MEMORY
    if not sums_to_zero(memory, address, length):
        return AcpiError.BAD_CHECKSUM
    return AcpiError.NONE


@fn
def check_rsdp(memory: View[u8], rsdp: u64) -> AcpiError:
    """5.2.5.3: both checksums of a revision 2 structure; one of revision 0."""
    if rsdp == 0:
        return AcpiError.NO_RSDP
    if not contains(memory, rsdp, RSDP_REVISION_0_SIZE):
        return AcpiError.OUTSIDE_MEMORY
    if not is_at(memory, rsdp, "RSD PTR ") or not sums_to_zero(memory, rsdp, RSDP_REVISION_0_SIZE):
        return AcpiError.BAD_RSDP
    if memory[rsdp + RSDP.revision] < 2:
        return AcpiError.NONE
    if not contains(memory, rsdp, RSDP.size):
        return AcpiError.OUTSIDE_MEMORY
    length = u64(u32_at(memory, rsdp + RSDP.length))
    if length < RSDP.size or length > MAX_TABLE_BYTES or not contains(memory, rsdp, length):
        return AcpiError.BAD_RSDP
    if not sums_to_zero(memory, rsdp, length):
        return AcpiError.BAD_RSDP
    return AcpiError.NONE


@struct
class Root:
    """The RSDT, or the XSDT (`wide`), at physical address `at`: the addresses of `count` tables."""

    at: u64
    count: u64
    wide: bool


@fn
def read_root(memory: View[u8], address: u64, wide: bool, root: Ptr[Root]) -> AcpiError:
    """5.2.7, 5.2.8: the table of tables. TOO_MANY is no reason not to go on: the first MAX_TABLES count."""
    error = check_table(memory, address)
    if error != AcpiError.NONE:
        return error
    if not is_at(memory, address, "XSDT" if wide else "RSDT"):
        return AcpiError.BAD_SIGNATURE
    root.at = address
    root.wide = wide
    root.count = (u64(u32_at(memory, address + HEADER.length)) - HEADER.size) // (8 if wide else 4)
    if root.count > MAX_TABLES:
        root.count = MAX_TABLES
        return AcpiError.TOO_MANY
    return AcpiError.NONE


@fn
def is_wide(memory: View[u8], rsdp: u64) -> bool:
    """Whether a checked RSDP names an XSDT."""
    return memory[rsdp + RSDP.revision] >= 2 and u64_at(memory, rsdp + RSDP.xsdt_address) != 0


@fn
def root_address(memory: View[u8], rsdp: u64) -> u64:
    """The table of tables that a checked RSDP names."""
    if is_wide(memory, rsdp):
        return u64_at(memory, rsdp + RSDP.xsdt_address)
    return u64(u32_at(memory, rsdp + RSDP.rsdt_address))


@fn
def table_address(memory: View[u8], root: Ptr[Root], index: u64) -> u64:
    """The address of a table, as the root has it: not checked."""
    if root.wide:
        return u64_at(memory, root.at + HEADER.size + index * 8)
    return u64(u32_at(memory, root.at + HEADER.size + index * 4))
