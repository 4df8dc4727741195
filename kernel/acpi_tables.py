"""Layouts of the ACPI tables that the kernel reads (ACPI 6.5 chapter 5; IA-PC HPET 1.0a section 3.2.4)."""

from enum import IntEnum

from kernel.lang import enum
from kernel.little_endian import PackedLayout

# 5.2.3.2 Generic Address Structure.
GAS = PackedLayout([("address_space", 1), ("bit_width", 1), ("bit_offset", 1), ("access_size", 1), ("address", 8)])


@enum(8)
class AddressSpace(IntEnum):
    """GAS address_space (table 5.1)."""

    SYSTEM_MEMORY = 0
    SYSTEM_IO = 1
    PCI_CONFIGURATION = 2


# 5.2.5.3: the first 20 bytes are revision 0's, with a checksum of their own.
RSDP = PackedLayout(
    [
        ("signature", 8),
        ("checksum", 1),
        ("oem_id", 6),
        ("revision", 1),
        ("rsdt_address", 4),
        ("length", 4),
        ("xsdt_address", 8),
        ("extended_checksum", 1),
        ("_reserved", 3),
    ]
)
RSDP_REVISION_0_SIZE = RSDP.length

# 5.2.6 System Description Table Header; RSDT (5.2.7) and XSDT (5.2.8) are arrays of addresses behind it.
HEADER = PackedLayout(
    [
        ("signature", 4),
        ("length", 4),
        ("revision", 1),
        ("checksum", 1),
        ("oem_id", 6),
        ("oem_table_id", 8),
        ("oem_revision", 4),
        ("creator_id", 4),
        ("creator_revision", 4),
    ]
)

# 5.2.9 FADT.
FADT = PackedLayout(
    [
        ("firmware_ctrl", 4),
        ("dsdt", 4),
        ("_int_model", 1),
        ("preferred_pm_profile", 1),
        ("sci_interrupt", 2),
        ("smi_command", 4),
        ("acpi_enable", 1),
        ("acpi_disable", 1),
        ("s4bios_request", 1),
        ("pstate_control", 1),
        ("pm1a_event_block", 4),
        ("pm1b_event_block", 4),
        ("pm1a_control_block", 4),
        ("pm1b_control_block", 4),
        ("pm2_control_block", 4),
        ("pm_timer_block", 4),
        ("gpe0_block", 4),
        ("gpe1_block", 4),
        ("pm1_event_length", 1),
        ("pm1_control_length", 1),
        ("pm2_control_length", 1),
        ("pm_timer_length", 1),
        ("gpe0_block_length", 1),
        ("gpe1_block_length", 1),
        ("gpe1_base", 1),
        ("cst_control", 1),
        ("c2_latency", 2),
        ("c3_latency", 2),
        ("flush_size", 2),
        ("flush_stride", 2),
        ("duty_offset", 1),
        ("duty_width", 1),
        ("day_alarm", 1),
        ("month_alarm", 1),
        ("century", 1),
        ("ia_pc_boot_arch", 2),
        ("_reserved", 1),
        ("flags", 4),
        ("reset_register", GAS.size),
        ("reset_value", 1),
        ("arm_boot_arch", 2),
        ("minor_version", 1),
        ("x_firmware_ctrl", 8),
        ("x_dsdt", 8),
        ("x_pm1a_event_block", GAS.size),
        ("x_pm1b_event_block", GAS.size),
        ("x_pm1a_control_block", GAS.size),
        ("x_pm1b_control_block", GAS.size),
    ],
    start=HEADER.size,
)
FADT_REVISION_1_SIZE = FADT.reset_register
FLAG_RESET_REGISTER = 1 << 10  # Table 5.10: RESET_REG_SUP.

# 5.2.12 MADT: a head, then structures that begin with type and length.
MADT = PackedLayout([("local_apic_address", 4), ("flags", 4)], start=HEADER.size)
MADT_LOCAL_APIC = PackedLayout([("type", 1), ("length", 1), ("processor_uid", 1), ("apic_id", 1), ("flags", 4)])
MADT_IO_APIC = PackedLayout(
    [("type", 1), ("length", 1), ("io_apic_id", 1), ("_reserved", 1), ("address", 4), ("interrupt_base", 4)]
)
MADT_OVERRIDE = PackedLayout([("type", 1), ("length", 1), ("bus", 1), ("source", 1), ("interrupt", 4), ("flags", 2)])
MADT_LOCAL_APIC_ADDRESS = PackedLayout([("type", 1), ("length", 1), ("_reserved", 2), ("address", 8)])
LOCAL_APIC_ENABLED = 1 << 0  # Table 5.22.
# 5.2.12.14 GICC, up to MPIDR; 5.2.12.15 GICD; 5.2.12.17 GICR.
MADT_GICC = PackedLayout(
    [
        ("type", 1),
        ("length", 1),
        ("_reserved", 2),
        ("cpu_interface_number", 4),
        ("processor_uid", 4),
        ("flags", 4),
        ("parking_version", 4),
        ("performance_interrupt", 4),
        ("parked_address", 8),
        ("physical_base", 8),
        ("gicv", 8),
        ("gich", 8),
        ("maintenance_interrupt", 4),
        ("gicr_base", 8),
        ("mpidr", 8),
    ]
)
GICC_ENABLED = 1 << 0  # Table 5.37.
MADT_GICD = PackedLayout(
    [("type", 1), ("length", 1), ("_reserved", 2), ("gic_id", 4), ("base", 8), ("vector_base", 4), ("version", 1)]
)
MADT_GICR = PackedLayout([("type", 1), ("length", 1), ("_reserved", 2), ("base", 8), ("bytes", 4)])


@enum(8)
class MadtType(IntEnum):
    """Interrupt controller structure types (table 5.21) that the kernel reads."""

    LOCAL_APIC = 0
    IO_APIC = 1
    SOURCE_OVERRIDE = 2
    LOCAL_APIC_ADDRESS = 5
    GICC = 11
    GICD = 12
    GICR = 14


# Table 5.26, MPS INTI flags.
POLARITY_MASK, POLARITY_LOW = 3, 3
TRIGGER_MASK, TRIGGER_LEVEL = 3 << 2, 3 << 2

# IA-PC HPET 1.0a, 3.2.4.
HPET = PackedLayout(
    [
        ("event_timer_block_id", 4),
        ("base_address", GAS.size),
        ("hpet_number", 1),
        ("minimum_tick", 2),
        ("page_protection", 1),
    ],
    start=HEADER.size,
)

# 5.2.25 GTDT, up to the virtual timer.
GTDT = PackedLayout(
    [
        ("control_base", 8),
        ("_reserved", 4),
        ("secure_interrupt", 4),
        ("secure_flags", 4),
        ("non_secure_interrupt", 4),
        ("non_secure_flags", 4),
        ("virtual_interrupt", 4),
        ("virtual_flags", 4),
    ],
    start=HEADER.size,
)

# Microsoft's Serial Port Console Redirection Table, revision 2; up to the interrupt.
SPCR = PackedLayout(
    [
        ("interface_type", 1),
        ("_reserved", 3),
        ("base_address", GAS.size),
        ("interrupt_type", 1),
        ("pc_interrupt", 1),
        ("interrupt", 4),
    ],
    start=HEADER.size,
)
SPCR_PL011, SPCR_SBSA_32, SPCR_SBSA = 0x03, 0x0D, 0x0E  # Debug Port Table 2, table 3: all with a PL011's registers
SPCR_GIC = 1 << 3  # interrupt type: `interrupt` is the GIC's number

# FADT's arm_boot_arch (table 5.11).
PSCI_COMPLIANT, PSCI_USE_HVC = 1 << 0, 1 << 1

# AML (20.2): what `Name (_S5, Package () {...})` looks like in a definition block.
AML_ZERO, AML_ONE, AML_NAME, AML_BYTE, AML_WORD, AML_DWORD, AML_PACKAGE = 0x00, 0x01, 0x08, 0x0A, 0x0B, 0x0C, 0x12
