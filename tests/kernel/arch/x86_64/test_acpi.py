"""ACPI: what is read from tables that are right, and that no table that is wrong is believed, or stops the kernel."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.acpi import AcpiError
from kernel.arch.x86_64 import acpi
from kernel.lang import KernelPanic
from tests.kernel.arch import tables


def read(image, at):
    platform = acpi.Platform()
    return AcpiError(acpi.read_acpi(bytes(image), at, platform)), platform


@pytest.mark.parametrize("wide", [True, False], ids=["XSDT", "RSDT"])
def test_facts_are_those_of_the_tables(wide):
    error, platform = read(*tables.machine(wide=wide))
    assert error == AcpiError.NONE and platform.problem == AcpiError.NONE
    assert platform.local_apic == 0xFEE0_0000 and platform.processors == 1
    assert platform.io_apic_count == 1 and platform.io_apics[0].base == 0xFEC0_0000
    assert platform.hpet == 0xFED0_0000
    assert (platform.pm1a_control, platform.pm1b_control, platform.pm_timer) == (0x604, 0, 0x608)
    assert platform.has_s5 and (platform.sleep_type_a, platform.sleep_type_b) == (5, 6)
    assert platform.has_reset and (platform.reset_address, platform.reset_value) == (0xCF9, 0x0F)
    assert platform.interrupt_of[0] == 2 and platform.interrupt_of[4] == 4
    assert platform.interrupt_of[9] == 9 and platform.interrupt_flags[9] == 0x000D


@pytest.mark.parametrize(
    "aml, wanted",
    [
        (b"\x08_S5_\x12\x06\x04\x00\x00\x00\x00", (0, 0)),  # Zero, Zero: how QEMU's q35 says it
        (b"\x08\\_S5_\x12\x0a\x04\x0b\x07\x00\x0a\x03\x00\x00", (7, 3)),  # \_S5, a word, a byte
        (b"\x08_S5_\x12\x47\x00\x04\x01\x0c\x02\x00\x00\x00\x00\x00", (1, 2)),  # PkgLength of two bytes; One; a dword
    ],
)
def test_s5_is_found_in_each_encoding(aml, wanted):
    _, platform = read(*tables.machine(aml=b"\x10\x05" + aml))
    assert platform.has_s5 and (platform.sleep_type_a, platform.sleep_type_b) == wanted


def test_what_only_looks_like_s5_is_not_taken():
    error, platform = read(*tables.machine(aml=b"\x0d_S5_\x00 _S5_\x12\x08\x04\x0a\x05 \x08_S5_\x12"))
    assert error == AcpiError.NONE and not platform.has_s5 and platform.problem == AcpiError.NO_S5


def broken(change, *, refix=None):
    """The reasons after `change(image)`; `refix`: (table's address, length) whose checksum is set right again."""
    image, at = tables.machine()
    change(image)
    if refix is not None:
        address, length = refix
        part = tables.checksum(image[address : address + length], 9)
        image[address : address + length] = part
    error, platform = read(image, at)
    return error, AcpiError(platform.problem), platform


FADT_AT, FADT_BYTES = 0x1000, 276 - 32


def set_u32(at, value):
    return lambda image: image.__setitem__(slice(at, at + 4), struct.pack("<I", value))


def flip(at):
    return lambda image: image.__setitem__(at, image[at] ^ 0xFF)


def table_at(image, signature):
    return image.index(signature, 0x1000)


def test_a_bad_rsdp_stops():
    assert broken(flip(0x400))[0] == AcpiError.BAD_RSDP  # signature
    assert broken(flip(0x400 + 10))[0] == AcpiError.BAD_RSDP  # first checksum
    assert broken(flip(0x400 + 33))[0] == AcpiError.BAD_RSDP  # only in the extended checksum
    assert read(tables.machine()[0], 0)[0] == AcpiError.NO_RSDP
    assert read(tables.machine()[0], 1 << 40)[0] == AcpiError.OUTSIDE_MEMORY


def test_a_bad_root_table_stops():
    assert broken(flip(0x800 + 40))[0] == AcpiError.BAD_CHECKSUM
    assert broken(set_u32(0x800 + 4, 20))[0] == AcpiError.BAD_LENGTH
    assert broken(set_u32(0x800 + 4, 0x9000))[0] == AcpiError.OUTSIDE_MEMORY
    assert broken(set_u32(0x800 + 4, 0xFFFF_FFFF))[0] == AcpiError.BAD_LENGTH


@pytest.mark.parametrize("signature, stops", [(b"APIC", True), (b"FACP", False), (b"HPET", False)])
def test_a_table_with_a_bad_checksum_is_left_out_and_named(signature, stops):
    image, _ = tables.machine()
    error, problem, platform = broken(flip(table_at(image, signature) + 37))
    assert problem == AcpiError.BAD_CHECKSUM
    assert (error != AcpiError.NONE) == stops  # without a MADT there are no interrupts
    assert (platform.hpet == 0) == (signature == b"HPET")
    assert platform.has_reset == (signature != b"FACP")


def test_an_entry_longer_than_the_madt_stops():
    image, _ = tables.machine()
    madt = table_at(image, b"APIC")
    length = struct.unpack_from("<I", image, madt + 4)[0]
    for at, value in ((45, 0), (45, 1), (45, 255)):  # length of the first structure
        change = lambda image, at=at, value=value: image.__setitem__(madt + at, value)  # noqa: E731
        assert broken(change, refix=(madt, length))[0] == AcpiError.BAD_MADT


def test_a_short_fadt_is_left_out():
    image, at = tables.memory([tables.madt(tables.LOCAL_APIC, tables.IO_APIC), tables.table(b"FACP", bytes(40))])
    error, platform = read(image, at)
    assert error == AcpiError.NONE and platform.problem == AcpiError.BAD_FADT and not platform.has_s5


def test_no_io_apic_stops():
    image, at = tables.memory([tables.madt(tables.LOCAL_APIC)])
    assert read(image, at)[0] == AcpiError.NO_IO_APIC


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0x400, 0x3100), st.integers(0, 255)), min_size=1, max_size=8), st.booleans())
def test_damaged_tables_never_panic(changes, refix):
    image, at = tables.machine()
    for where, value in changes:
        image[where] = value
    if refix:  # So that the damage gets past the checksums.
        for address in (
            0x800,
            *[table_at(image, s) for s in (b"APIC", b"FACP", b"HPET") if s in image[0x1000:]],
            0x3000,
        ):
            length = min(struct.unpack_from("<I", image, address + 4)[0], 0x1000)
            if length >= 36:
                image[address : address + length] = tables.checksum(image[address : address + length], 9)
        for length, where in ((20, 8), (36, 32)):
            image[at : at + length] = tables.checksum(image[at : at + length], where)
    try:
        error, _ = read(image, at)
    except KernelPanic as panic:
        pytest.fail(f"{changes}: {panic}")
    assert error in AcpiError


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(0, 0x4000))
def test_truncated_memory_never_panics(size):
    image, at = tables.machine()
    error, _ = read(image[:size], at)
    assert error in AcpiError
