"""Addresses, sizes and interrupt numbers: those of QEMU's `virt` machine (`info mtree`, the device tree it dumps).

The one place that knows them. The interconnect decodes from it, the device tree and the reference pages are printed
from it, and the kernel's system description imports it.
"""

import enum
from dataclasses import dataclass

TIMEBASE_HZ = 10_000_000
"""Frequency of mtime, whatever the clock is called."""

PLIC_SOURCES = 96
"""Interrupt sources in the PLIC's map, source 0 ("none") included; the device tree's riscv,ndev."""


@dataclass(frozen=True)
class Region:
    """A range of physical addresses.

    base, size   bytes
    doc          one line for the reference page
    """

    name: str
    base: int
    size: int
    doc: str

    @property
    def end(self) -> int:
        """First address behind the region."""
        return self.base + self.size

    def __contains__(self, address: int) -> bool:
        return self.base <= address < self.end


BOOT_ROM = Region("boot_rom", 0x1000, 0xF000, "reset vector, fw_dynamic information")
FINISHER = Region("finisher", 0x10_0000, 0x1000, "sifive,test1: ends or resets the machine")
RTC = Region("rtc", 0x10_1000, 0x1000, "google,goldfish-rtc")
CLINT = Region("clint", 0x200_0000, 0x1_0000, "sifive,clint0: software interrupts, mtime, mtimecmp")
PCIE_IO = Region("pcie_io", 0x300_0000, 0x1_0000, "PCI I/O port window")
PLIC = Region("plic", 0xC00_0000, 0x60_0000, "sifive,plic-1.0.0: external interrupts")
UART = Region("uart", 0x1000_0000, 0x100, "ns16550a: the console")
FLASH = Region("flash", 0x2000_0000, 0x400_0000, "memory-mapped boot flash")
PCIE_ECAM = Region("pcie_ecam", 0x3000_0000, 0x1000_0000, "PCI configuration space, 256 buses")
PCIE_MMIO = Region("pcie_mmio", 0x4000_0000, 0x4000_0000, "PCI 32-bit memory window")
PCIE_MMIO_HIGH = Region("pcie_mmio_high", 0x4_0000_0000, 0x4_0000_0000, "PCI 64-bit memory window")
DRAM_BASE = 0x8000_0000
DRAM = Region("dram", DRAM_BASE, 0x3_8000_0000, "DRAM (at most; the machine says where it ends)")

COPY_ENGINE = Region("copy_engine", 0x10_2000, 0x1000, "copy engine: a device for tests of DMA, only where asked for")
"""Not in REGIONS: QEMU's machine has none, and neither has ours unless it is configured."""

REGIONS = (
    BOOT_ROM,
    FINISHER,
    RTC,
    CLINT,
    PCIE_IO,
    PLIC,
    UART,
    FLASH,
    PCIE_ECAM,
    PCIE_MMIO,
    DRAM,
    PCIE_MMIO_HIGH,
)
"""Everything that answers, by address."""


class Interrupt(enum.IntEnum):
    """PLIC source numbers. PCI_A..PCI_D are the four INTx lines of the host bridge, see `pci_interrupt`."""

    VIRTIO_0 = 1
    VIRTIO_1 = 2
    VIRTIO_2 = 3
    VIRTIO_3 = 4
    VIRTIO_4 = 5
    VIRTIO_5 = 6
    VIRTIO_6 = 7
    VIRTIO_7 = 8
    UART = 10
    RTC = 11
    PCI_A = 32
    PCI_B = 33
    PCI_C = 34
    PCI_D = 35


def pci_interrupt(device: int, pin: int) -> Interrupt:
    """The source that `pin` (1 = INTA .. 4 = INTD) of PCI device number `device` raises: QEMU's swizzle."""
    if device not in range(32):
        raise ValueError(f"a PCI device number is 0..31, not {device!r}")
    if pin not in range(1, 5):
        raise ValueError(f"a PCI interrupt pin is 1 (INTA) to 4 (INTD), not {pin!r}")
    return Interrupt(Interrupt.PCI_A + (device + pin - 1) % 4)
