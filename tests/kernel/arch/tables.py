"""ACPI tables as firmware would leave them, built from ACPI 6.5's field tables with `struct`, not from the kernel's."""

import struct


def checksum(data: bytearray, at: int, length: int | None = None) -> bytearray:
    """Sets the byte at `at` so that the first `length` bytes sum to zero."""
    data[at] = 0
    data[at] = -sum(data[:length]) & 0xFF
    return data


def table(signature: bytes, body: bytes, revision: int = 1) -> bytearray:
    """A system description table (5.2.6)."""
    head = struct.pack("<4sIBB6s8sI4sI", signature, 36 + len(body), revision, 0, b"SPLAX ", b"TESTTABL", 1, b"TEST", 1)
    return checksum(bytearray(head + body), 9)


def gas(space: int, address: int, width: int = 8) -> bytes:
    """Generic Address Structure (5.2.3.2)."""
    return struct.pack("<BBBBQ", space, width, 0, 1, address)


def fadt(dsdt: int, *, flags: int = 1 << 10, reset: bytes | None = None, revision: int = 5) -> bytearray:
    """A FADT (5.2.9) with PM1a control at port 0x604, and the reset register at port 0xCF9."""
    body = struct.pack("<IIBBHIBBBBIIIIIIII", 0, dsdt, 0, 0, 9, 0xB2, 2, 3, 0, 0, 0x600, 0, 0x604, 0, 0, 0x608, 0, 0)
    body += struct.pack("<BBBBBBBBHHHHBBBBBHBI", 4, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, flags)
    body += (reset or gas(1, 0xCF9)) + bytes([0x0F]) + bytes(3)
    body += struct.pack("<QQ", 0, dsdt) + gas(1, 0x600) + gas(0, 0) + gas(1, 0x604, 16) + gas(0, 0) + bytes(6 * 12)
    return table(b"FACP", body, revision)


def madt(*entries: bytes, local_apic: int = 0xFEE0_0000) -> bytearray:
    """A MADT (5.2.12)."""
    return table(b"APIC", struct.pack("<II", local_apic, 1) + b"".join(entries), 3)


LOCAL_APIC = struct.pack("<BBBBI", 0, 8, 0, 0, 1)
IO_APIC = struct.pack("<BBBBII", 1, 12, 0, 0, 0xFEC0_0000, 0)
TIMER_OVERRIDE = struct.pack("<BBBBIH", 2, 10, 0, 0, 2, 0)
SCI_OVERRIDE = struct.pack("<BBBBIH", 2, 10, 0, 9, 9, 0x000D)
S5 = b"\x08_S5_\x12\x08\x04\x0a\x05\x0a\x06\x00\x00"  # Name (_S5, Package (4) {5, 6, 0, 0})
HPET_BODY = struct.pack("<I", 0x8086A201) + gas(0, 0xFED0_0000) + struct.pack("<BHB", 0, 0, 0)


def rsdp(root: int, *, wide: bool = True) -> bytearray:
    """RSDP (5.2.5.3), of revision 2 or 0."""
    data = bytearray(struct.pack("<8sB6sBI", b"RSD PTR ", 0, b"SPLAX ", 2 if wide else 0, 0 if wide else root))
    checksum(data, 8)
    if wide:
        data = checksum(data + struct.pack("<IQB3s", 36, root, 0, bytes(3)), 32)
    return data


def gicc(mpidr: int, *, enabled: int = 1, base: int = 0x0801_0000, redistributor: int = 0) -> bytes:
    """A CPU and its GIC CPU interface (5.2.12.14)."""
    head = struct.pack("<BBHIIIII", 11, 80, 0, 0, 0, enabled, 0, 23)
    return head + struct.pack("<QQQQIQQBBH", 0, base, 0, 0, 25, redistributor, mpidr, 0, 0, 0)


def gicd(version: int, base: int = 0x0800_0000) -> bytes:
    """The GIC's distributor (5.2.12.15)."""
    return struct.pack("<BBHIQIB3s", 12, 24, 0, 0, base, 0, version, bytes(3))


GICR = struct.pack("<BBHQI", 14, 16, 0, 0x080A_0000, 0xF6_0000)


def gtdt(virtual: int = 27) -> bytearray:
    """The generic timers' interrupts (5.2.25)."""
    return table(b"GTDT", struct.pack("<QIIIIIIIIIQII", 0, 0, 29, 0, 30, 0, virtual, 0, 26, 0, 0, 0, 0), 2)


def spcr(kind: int = 3, *, space: int = 0, base: int = 0x0900_0000, interrupt: int = 33, by_gic: int = 8) -> bytearray:
    """Microsoft's Serial Port Console Redirection Table, revision 2."""
    body = struct.pack("<B3s", kind, bytes(3)) + gas(space, base, 32)
    body += struct.pack("<BBIBBBBBBHHBBBIBI", by_gic, 0, interrupt, 7, 0, 1, 0, 3, 0, 0xFFFF, 0xFFFF, 0, 0, 0, 0, 0, 0)
    return table(b"SPCR", body, 2)


def arm_fadt(boot_arch: int) -> bytearray:
    """A FADT of reduced hardware with arm_boot_arch (5.2.9, table 5.11), whose offset is 129."""
    data = fadt(0, flags=1 << 20)
    data[129:131] = struct.pack("<H", boot_arch)
    return checksum(data, 9)


def memory(tables: list[bytearray], *, wide: bool = True, size: int = 0x4000) -> tuple[bytearray, int]:
    """Memory with the tables from 0x1000 on, their root table at 0x800 and the RSDP at 0x400; and where that is."""
    image, addresses, at = bytearray(size), [], 0x1000
    for one in tables:
        image[at : at + len(one)] = one
        addresses.append(at)
        at += (len(one) + 15) & ~15
    pointers = b"".join(struct.pack("<Q" if wide else "<I", a) for a in addresses)
    root = table(b"XSDT" if wide else b"RSDT", pointers)
    image[0x800 : 0x800 + len(root)] = root
    image[0x400 : 0x400 + 36] = rsdp(0x800, wide=wide).ljust(36, b"\0")
    return image, 0x400


DSDT_AT = 0x3000


def machine(*, wide: bool = True, aml: bytes = b"\x10\x05_SB_" + S5) -> tuple[bytearray, int]:
    """A complete set, like QEMU q35's."""
    found = [fadt(DSDT_AT), madt(LOCAL_APIC, IO_APIC, TIMER_OVERRIDE, SCI_OVERRIDE), table(b"HPET", HPET_BODY)]
    image, at = memory(found, wide=wide)
    dsdt = table(b"DSDT", aml, 2)
    image[DSDT_AT : DSDT_AT + len(dsdt)] = dsdt
    return image, at
