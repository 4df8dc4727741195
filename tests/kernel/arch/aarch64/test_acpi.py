"""ACPI on 64-bit Arm: what is read from tables that are right, and the reason to stop at those that are not."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.acpi import AcpiError
from kernel.arch.aarch64 import acpi
from kernel.boot_info import BootInfo, ConsoleKind, ControllerKind, RegionKind, add_region
from kernel.lang import KernelPanic
from tests.kernel.arch import tables

HERE, OTHER, OFF = 0x8000_0001, 0x100, 0x101  # MPIDRs; bit 31 is none of the affinities
VERSION_2 = [tables.gicc(HERE), tables.gicc(OTHER), tables.gicc(OFF, enabled=0), tables.gicd(2)]
VERSION_3 = [tables.gicc(HERE, base=0), tables.gicd(3), tables.GICR]


def machine(gic=VERSION_2, *, without=(), wide=True, **other):
    """Tables like those of QEMU's virt machine; `other` puts one in the place of its own."""
    found = {"madt": tables.madt(*gic), "gtdt": tables.gtdt(), "spcr": tables.spcr(), "fadt": tables.arm_fadt(3)}
    return tables.memory([t for name, t in (found | other).items() if name not in without], wide=wide)


def read(image, at, holes=()):
    info, found = BootInfo(rsdp=at, hart=1), acpi.Found()
    start = 0
    for base, end in (*holes, (len(image), 0)):
        if base > start:
            assert add_region(info, start, base - start, RegionKind.ACPI)
        start = end
    return AcpiError(acpi.read_acpi(bytes(image), info, found)), info, found


@pytest.mark.parametrize("wide", [True, False], ids=["XSDT", "RSDT"])
def test_facts_are_those_of_the_tables(wide):
    error, info, found = read(*machine(wide=wide))
    assert error == AcpiError.NONE
    assert info.cpu_count == 2, "those that are enabled"
    assert (info.controller, info.controller_base, info.controller_base_2) == (
        ControllerKind.GIC_V2,
        0x0800_0000,
        0x0801_0000,
    )
    assert info.timer_interrupt == 27
    assert (info.console, info.console_base, info.console_interrupt) == (ConsoleKind.PL011, 0x0900_0000, 33)
    assert bytes(info.machine.bytes[: info.machine.length]) == b"SPLAX TESTTABL"
    assert found.psci and found.hvc


def test_a_gic_of_version_3_has_redistributors_in_a_range_or_cpu_by_cpu():
    _, info, _ = read(*machine(VERSION_3))
    assert (info.controller, info.controller_base_2, info.controller_bytes_2) == (
        ControllerKind.GIC_V3,
        0x080A_0000,
        0xF6_0000,
    )
    _, info, _ = read(*machine([tables.gicc(OTHER), tables.gicc(HERE, redistributor=0x0900_0000), tables.gicd(0)]))
    assert (info.controller, info.controller_base_2) == (ControllerKind.GIC_V3, 0x0900_0000)


@pytest.mark.parametrize(("flags", "psci", "hvc"), [(0, False, False), (1, True, False), (3, True, True)])
def test_psci_is_called_as_the_fadt_says(flags, psci, hvc):
    _, _, found = read(*machine(fadt=tables.arm_fadt(flags)))
    assert (found.psci, found.hvc) == (psci, hvc)


@pytest.mark.parametrize(
    ("tables_of", "reason"),
    [
        ({"without": ["madt"]}, AcpiError.NO_MADT),
        ({"gic": [tables.gicc(HERE)]}, AcpiError.NO_GIC),
        ({"gic": [tables.gicc(HERE, base=0), tables.gicd(2)]}, AcpiError.NO_GIC),
        ({"gic": [tables.gicc(HERE), tables.gicd(3)]}, AcpiError.NO_GIC),
        ({"gic": [tables.gicc(OTHER), tables.gicd(2)]}, AcpiError.NO_BOOT_CPU),
        ({"gic": [tables.gicc(HERE, enabled=0), tables.gicd(2)]}, AcpiError.NO_BOOT_CPU),
        ({"gic": [struct.pack("<BB", 11, 0)]}, AcpiError.BAD_MADT),
        ({"gic": [struct.pack("<BB", 11, 80)]}, AcpiError.BAD_MADT),
        ({"without": ["gtdt"]}, AcpiError.NO_GTDT),
        ({"gtdt": tables.gtdt(virtual=0)}, AcpiError.NO_GTDT),
        ({"gtdt": tables.gtdt(virtual=40)}, AcpiError.NO_GTDT),
        ({"gtdt": tables.table(b"GTDT", bytes(20))}, AcpiError.NO_GTDT),
        ({"without": ["spcr"]}, AcpiError.NO_SPCR),
        ({"spcr": tables.spcr(0)}, AcpiError.NO_SPCR),
        ({"spcr": tables.spcr(space=1)}, AcpiError.NO_SPCR),
        ({"spcr": tables.spcr(base=0)}, AcpiError.NO_SPCR),
        ({"spcr": tables.table(b"SPCR", bytes(10))}, AcpiError.NO_SPCR),
    ],
)
def test_what_is_missing_is_the_reason_to_stop(tables_of, reason):
    assert read(*machine(**tables_of))[0] == reason


@pytest.mark.parametrize("signature", [b"APIC", b"GTDT", b"SPCR"])
def test_a_damaged_table_is_the_reason_where_it_is_needed(signature):
    image, at = machine()
    image[image.index(signature, 0x1000) + 40] ^= 1
    assert read(image, at)[0] == AcpiError.BAD_CHECKSUM


def test_nothing_is_read_outside_the_memory_that_the_firmware_names():
    image, at = machine()
    assert read(image, at, holes=[(0x3000, 0x4000)])[0] == AcpiError.NONE  # nothing is there
    assert read(image, at, holes=[(0, 0x1000)])[0] == AcpiError.OUTSIDE_MEMORY  # the RSDP
    assert read(image, at, holes=[(0x1000, 0x3000)])[0] == AcpiError.OUTSIDE_MEMORY  # the tables
    assert read(image, 1 << 40)[0] == AcpiError.OUTSIDE_MEMORY
    assert read(image, 0)[0] == AcpiError.NO_RSDP
    image[0x400 + 20 : 0x400 + 24] = struct.pack("<I", 0xFFFF_FFFF)  # the RSDP's own length
    assert read(image, at)[0] == AcpiError.OUTSIDE_MEMORY


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0x400, 0x1400), st.integers(0, 255)), min_size=1, max_size=8), st.booleans())
def test_damaged_tables_never_panic(changes, refix):
    image, at = machine(VERSION_3)
    found = [image.index(s, 0x1000) for s in (b"APIC", b"GTDT", b"SPCR", b"FACP")]
    for where, value in changes:
        image[where] = value
    if refix:  # so that the damage gets past the checksums
        for address in (0x800, *found):
            length = min(struct.unpack_from("<I", image, address + 4)[0], 0x1000)
            if length >= 36:
                image[address : address + length] = tables.checksum(image[address : address + length], 9)
        for length, where in ((20, 8), (36, 32)):
            image[at : at + length] = tables.checksum(image[at : at + length], where)
    try:
        error, _, _ = read(image, at)
    except KernelPanic as panic:
        pytest.fail(f"{changes}: {panic}")
    assert error in AcpiError
