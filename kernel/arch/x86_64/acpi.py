"""ACPI: from the RSDP to what the kernel needs: interrupt controllers, HPET, how to power off and how to reset.

Nothing in a table is trusted: every table has to lie in `memory`, to be as long as its fields, and to sum to zero. A
table that is wrong is left out and named in `problem`; the kernel goes on with what is left (it falls back to the PIT
and to the keyboard controller), and says so on its console. Only a MADT or RSDP that is wrong stops it, since without
them there are no interrupts.

AML is not interpreted: `_S5` is found by its encoding, `Name (_S5, Package () {...})` (20.2.5.1), which is how the
firmware of QEMU, and that of PCs, writes it.
"""

from kernel.acpi import (
    MAX_STRUCTURES,
    MAX_TABLE_BYTES,
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
    AddressSpace,
    MadtType,
)
from kernel.lang import Array, Ptr, View, bounded, copy, fn, ptr, struct, trunc, u8, u16, u32, u64, zero
from kernel.little_endian import is_at, u16_at, u32_at, u64_at

LEGACY_INTERRUPTS = 16
MAX_IO_APICS = 4
MAX_ENTRY_BYTES = 255


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
def read_acpi(memory: View[u8], rsdp: u64, platform: Ptr[Platform]) -> AcpiError:
    """Fills `platform`. An error means that the kernel cannot have interrupts; else see `platform.problem`."""
    copy(platform, zero(Platform))
    for i in range(LEGACY_INTERRUPTS):
        platform.interrupt_of[i] = trunc(u64(i), u32)
    error = check_rsdp(memory, rsdp)
    if error != AcpiError.NONE:
        return error
    root = Root(at=0, count=0, wide=False)
    error = read_root(memory, root_address(memory, rsdp), is_wide(memory, rsdp), ptr(root))
    if error == AcpiError.TOO_MANY:
        platform.problem = error
    elif error != AcpiError.NONE:
        return error
    found_madt = False
    for index in bounded(range(root.count), MAX_TABLES):
        table = table_address(memory, ptr(root), index)
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
