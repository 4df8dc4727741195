"""ACPI: from the RSDP to what the kernel needs: interrupt controllers, HPET, how to power off and how to reset.

Nothing in a table is trusted: every table has to lie in `memory`, to be as long as its fields, and to sum to zero. A
table that is wrong is left out and named in `problem`; the kernel goes on with what is left (it falls back to the PIT
and to the keyboard controller), and says so on its console. Only a MADT or RSDP that is wrong stops it, since without
them there are no interrupts.

AML is not interpreted: `_S5` is found by its encoding, `Name (_S5, Package () {...})` (20.2.5.1), which is how the
firmware of QEMU, and that of PCs, writes it.
"""

from enum import IntEnum

from kernel.arch.x86_64.acpi_tables import (
    AML_BYTE,
    AML_DWORD,
    AML_NAME,
    AML_ONE,
    AML_PACKAGE,
    AML_WORD,
    AML_ZERO,
    FADT,
    FADT_REVISION_1_SIZE,
    FLAG_RESET_REGISTER,
    GAS,
    HEADER,
    HPET,
    LOCAL_APIC_ENABLED,
    MADT,
    MADT_IO_APIC,
    MADT_LOCAL_APIC,
    MADT_LOCAL_APIC_ADDRESS,
    MADT_OVERRIDE,
    RSDP,
    RSDP_REVISION_0_SIZE,
    AddressSpace,
    MadtType,
)
from kernel.lang import Array, Ptr, View, bounded, copy, enum, fn, ptr, struct, trunc, u8, u16, u32, u64, w8, zero
from kernel.little_endian import contains, is_at, u16_at, u32_at, u64_at

MAX_TABLES = 64
MAX_TABLE_BYTES = 1 << 20
MAX_STRUCTURES = 1024
LEGACY_INTERRUPTS = 16
MAX_IO_APICS = 4
MAX_ENTRY_BYTES = 255


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
}


@struct
class IoApicEntry:
    """One I/O APIC: where its registers are, and the number of its first interrupt."""

    base: u64
    interrupt_base: u32
    io_apic_id: u8


@struct
class Platform:
    """What the tables say.

    `interrupt_of` and `interrupt_flags` map the 16 ISA interrupts (5.2.12.5: identity where nothing overrides).
    `pm1a_control`, `pm1b_control` are ports; 0: none. `problem` is the last table that was left out, and why.
    """

    local_apic: u64
    processors: u32
    io_apic_count: u32
    io_apics: Array[IoApicEntry, MAX_IO_APICS]
    interrupt_of: Array[u32, LEGACY_INTERRUPTS]
    interrupt_flags: Array[u16, LEGACY_INTERRUPTS]
    hpet: u64
    pm1a_control: u16
    pm1b_control: u16
    pm_timer: u16
    smi_command: u16
    acpi_enable: u8
    has_s5: bool
    sleep_type_a: u8
    sleep_type_b: u8
    has_reset: bool
    reset_space: u8
    reset_value: u8
    reset_address: u64
    problem: AcpiError


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


@fn
def table_address(memory: View[u8], root: u64, wide: bool, index: u64) -> u64:
    """Entry `index` of the RSDT, or of the XSDT (`wide`)."""
    if wide:
        return u64_at(memory, root + HEADER.size + index * 8)
    return u64(u32_at(memory, root + HEADER.size + index * 4))


@fn
def read_acpi(memory: View[u8], rsdp: u64, platform: Ptr[Platform]) -> AcpiError:
    """Fills `platform`. An error means that the kernel cannot have interrupts; else see `platform.problem`."""
    copy(platform, zero(Platform))
    for i in range(LEGACY_INTERRUPTS):
        platform.interrupt_of[i] = trunc(u64(i), u32)
    error = check_rsdp(memory, rsdp)
    if error != AcpiError.NONE:
        return error
    wide = memory[rsdp + RSDP.revision] >= 2 and u64_at(memory, rsdp + RSDP.xsdt_address) != 0
    root = u64(u32_at(memory, rsdp + RSDP.rsdt_address))
    if wide:
        root = u64_at(memory, rsdp + RSDP.xsdt_address)
    error = check_table(memory, root)
    if error != AcpiError.NONE:
        return error
    if not is_at(memory, root, "XSDT" if wide else "RSDT"):
        return AcpiError.BAD_SIGNATURE
    entry_bytes: u64 = 8 if wide else 4
    count = (u64(u32_at(memory, root + HEADER.length)) - HEADER.size) // entry_bytes
    if count > MAX_TABLES:
        platform.problem = AcpiError.TOO_MANY
        count = MAX_TABLES
    found_madt = False
    for index in bounded(range(count), MAX_TABLES):
        table = table_address(memory, root, wide, index)
        error = check_table(memory, table)
        if error == AcpiError.NONE:
            if is_at(memory, table, "APIC"):
                found_madt = True
                error = read_madt(memory, table, platform)
                if error != AcpiError.NONE:
                    return error
            elif is_at(memory, table, "FACP"):
                error = read_fadt(memory, table, platform)
            elif is_at(memory, table, "HPET"):
                error = read_hpet(memory, table, platform)
            elif is_at(memory, table, "SSDT"):
                find_s5(memory, table, platform)
        if error != AcpiError.NONE:
            platform.problem = error
    if not found_madt:
        return AcpiError.NO_MADT if platform.problem == AcpiError.NONE else platform.problem
    if not platform.has_s5 and platform.problem == AcpiError.NONE:
        platform.problem = AcpiError.NO_S5
    return AcpiError.NONE


@fn
def read_madt(memory: View[u8], table: u64, platform: Ptr[Platform]) -> AcpiError:
    """5.2.12: local APIC, I/O APICs, ISA overrides, processors that are enabled."""
    end = table + u64(u32_at(memory, table + HEADER.length))
    if end - table < MADT.size:
        return AcpiError.BAD_MADT
    platform.local_apic = u64(u32_at(memory, table + MADT.local_apic_address))
    here = table + MADT.size
    while bounded(here < end, MAX_STRUCTURES):
        if end - here < 2:
            return AcpiError.BAD_MADT
        kind = memory[here]
        length = u64(memory[here + 1])
        if length < 2 or length > end - here:
            return AcpiError.BAD_MADT
        if kind == u8(MadtType.LOCAL_APIC) and length >= MADT_LOCAL_APIC.size:
            if u32_at(memory, here + MADT_LOCAL_APIC.flags) & LOCAL_APIC_ENABLED != 0:
                platform.processors += 1
        elif kind == u8(MadtType.IO_APIC) and length >= MADT_IO_APIC.size:
            if platform.io_apic_count < MAX_IO_APICS:
                entry = ptr(platform.io_apics[platform.io_apic_count])
                entry.base = u64(u32_at(memory, here + MADT_IO_APIC.address))
                entry.interrupt_base = u32_at(memory, here + MADT_IO_APIC.interrupt_base)
                entry.io_apic_id = memory[here + MADT_IO_APIC.io_apic_id]
                platform.io_apic_count += 1
        elif kind == u8(MadtType.SOURCE_OVERRIDE) and length >= MADT_OVERRIDE.size:
            source = memory[here + MADT_OVERRIDE.source]
            if source < LEGACY_INTERRUPTS:
                platform.interrupt_of[source] = u32_at(memory, here + MADT_OVERRIDE.interrupt)
                platform.interrupt_flags[source] = u16_at(memory, here + MADT_OVERRIDE.flags)
        elif kind == u8(MadtType.LOCAL_APIC_ADDRESS) and length >= MADT_LOCAL_APIC_ADDRESS.size:
            platform.local_apic = u64_at(memory, here + MADT_LOCAL_APIC_ADDRESS.address)
        here += length
    return AcpiError.NO_IO_APIC if platform.io_apic_count == 0 else AcpiError.NONE


@fn
def io_port(memory: View[u8], gas: u64, block: u32) -> u16:
    """A register block's port: the GAS where it is in I/O space and not 0 (5.2.9), else the 32-bit field; 0: none."""
    if gas != 0 and memory[gas + GAS.address_space] == u8(AddressSpace.SYSTEM_IO):
        address = u64_at(memory, gas + GAS.address)
        if address != 0 and address < 0x1_0000:
            return trunc(address, u16)
    return trunc(block, u16) if block < 0x1_0000 else 0


@fn
def read_fadt(memory: View[u8], table: u64, platform: Ptr[Platform]) -> AcpiError:
    """5.2.9: power management ports, reset register, and through the DSDT the value that powers off."""
    length = u64(u32_at(memory, table + HEADER.length))
    if length < FADT_REVISION_1_SIZE:
        return AcpiError.BAD_FADT
    block_a = u32_at(memory, table + FADT.pm1a_control_block)
    block_b = u32_at(memory, table + FADT.pm1b_control_block)
    extended = length >= FADT.size
    platform.pm1a_control = io_port(memory, table + FADT.x_pm1a_control_block if extended else 0, block_a)
    platform.pm1b_control = io_port(memory, table + FADT.x_pm1b_control_block if extended else 0, block_b)
    platform.pm_timer = io_port(memory, 0, u32_at(memory, table + FADT.pm_timer_block))
    smi_command = u32_at(memory, table + FADT.smi_command)
    platform.smi_command = trunc(smi_command, u16) if smi_command < 0x1_0000 else 0
    platform.acpi_enable = memory[table + FADT.acpi_enable]
    if length >= FADT.reset_value + 1 and u32_at(memory, table + FADT.flags) & FLAG_RESET_REGISTER != 0:
        gas = table + FADT.reset_register
        platform.reset_space = memory[gas + GAS.address_space]
        platform.reset_address = u64_at(memory, gas + GAS.address)
        platform.reset_value = memory[table + FADT.reset_value]
        platform.has_reset = platform.reset_space <= u8(AddressSpace.SYSTEM_IO) and platform.reset_address != 0
    dsdt = u64(u32_at(memory, table + FADT.dsdt))
    if length >= FADT.x_dsdt + 8 and u64_at(memory, table + FADT.x_dsdt) != 0:
        dsdt = u64_at(memory, table + FADT.x_dsdt)
    error = check_table(memory, dsdt)
    if error == AcpiError.NONE:
        find_s5(memory, dsdt, platform)
    return error


@fn
def read_hpet(memory: View[u8], table: u64, platform: Ptr[Platform]) -> AcpiError:
    """IA-PC HPET 3.2.4: the base address of the timer block."""
    if u64(u32_at(memory, table + HEADER.length)) < HPET.size:
        return AcpiError.BAD_HPET
    gas = table + HPET.base_address
    if memory[gas + GAS.address_space] != u8(AddressSpace.SYSTEM_MEMORY):
        return AcpiError.BAD_HPET
    platform.hpet = u64_at(memory, gas + GAS.address)
    return AcpiError.NONE


@fn
def aml_small(memory: View[u8], here: u64, end: u64) -> u64:
    """The value of an AML integer below 256, and in bits 8 up its length in bytes; 0 where there is none (20.2.3)."""
    if here >= end:
        return 0
    code = memory[here]
    if code == AML_ZERO or code == AML_ONE:
        return u64(code) | 1 << 8
    length: u64 = 0
    if code == AML_BYTE:
        length = 1
    elif code == AML_WORD:
        length = 2
    elif code == AML_DWORD:
        length = 4
    if length == 0 or length >= end - here:
        return 0
    return u64(memory[here + 1]) | (length + 1) << 8


@fn
def find_s5(memory: View[u8], table: u64, platform: Ptr[Platform]) -> None:
    """Looks for `Name (_S5, Package () {typ_a, typ_b, ...})` in a definition block; the first one counts."""
    end = table + u64(u32_at(memory, table + HEADER.length))
    here = table + HEADER.size
    while bounded(here + 8 < end and not platform.has_s5, MAX_TABLE_BYTES):
        if memory[here] == AML_NAME:
            name = here + 1
            if memory[name] == 0x5C:  # A leading backslash: from the root.
                name += 1
            if name + 7 < end and is_at(memory, name, "_S5_") and memory[name + 4] == AML_PACKAGE:
                # PkgLength has 1 to 4 bytes: bits 7..6 of the first say how many follow (20.2.4). Then NumElements.
                first = name + 5 + 1 + u64(memory[name + 5] >> 6) + 1
                type_a = aml_small(memory, first, end)
                type_b = aml_small(memory, first + (type_a >> 8), end)
                if type_a != 0 and type_b != 0:
                    platform.sleep_type_a = trunc(type_a, u8) & 7
                    platform.sleep_type_b = trunc(type_b, u8) & 7
                    platform.has_s5 = True
        here += 1
