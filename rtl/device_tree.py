"""The device tree of a SoC, from its configuration: what QEMU's `virt` would say of the same machine.

Names, properties and order are those of the tree that `qemu-system-riscv64 -M virt,dumpdtb=F` writes, so that firmware
prints the same of both. Only what is built is in it.
"""

from rtl import memory_map
from rtl.cpu_riscv64.config import CoreConfig
from rtl.flattened_tree import Node, cells, cells64, strings
from rtl.memory_map import Interrupt, Region
from rtl.periph.flash import BANKS as FLASH_BANKS
from rtl.periph.uart import CRYSTAL_HZ
from rtl.registers import plic, sifive_test
from rtl.soc import SocConfig

UART_PATH = f"/soc/serial@{memory_map.UART.base:x}"

BASE_ISA = "rv64i"

EXTENSIONS = ("zicsr", "zifencei", "zihintpause", "zba", "zbb", "zbs", "sstc")
"""Multi-letter extensions that QEMU 7.2 names in riscv,isa, in its order."""

UNNAMED_EXTENSIONS = ("zicntr", "zihpm")
"""Those that are there too, for riscv,isa-extensions (QEMU 7.2 does not name them)."""

# interrupt-controller inputs of a hart: the bits of mip
SOFTWARE_M, TIMER_M, EXTERNAL_M, EXTERNAL_S = 3, 7, 11, 9

# PCI address spaces (IEEE 1275 PCI binding, phys.hi)
PCI_IO, PCI_MEMORY_32, PCI_MEMORY_64 = 0x0100_0000, 0x0200_0000, 0x0300_0000

# events of the SBI's performance counters (SBI specification 11) and the core's mhpmevent values for them
SBI_CYCLES, SBI_INSTRUCTIONS = 1, 2
SBI_EVENTS = {
    0x0000_0005: "branch",
    0x0000_0006: "branch_miss",
    0x0000_0008: "stall_frontend",
    0x0001_0001: "dcache_miss",
    0x0001_0009: "icache_miss",
    0x0001_0019: "dtlb_miss",
    0x0001_0021: "itlb_miss",
}


def single_letters(core: CoreConfig) -> str:
    """The single-letter extensions, in canonical order."""
    return "imac"


def isa_string(core: CoreConfig) -> str:
    """The riscv,isa string, as QEMU 7.2 spells it for the same options."""
    return "_".join((f"rv64{single_letters(core)}", *EXTENSIONS))


def isa_extensions(core: CoreConfig) -> tuple[str, ...]:
    """The newer riscv,isa-extensions list."""
    return (*single_letters(core), *EXTENSIONS, *UNNAMED_EXTENSIONS)


def _reg(*regions: Region | tuple[int, int]) -> bytes:
    pairs = ((r.base, r.size) if isinstance(r, Region) else r for r in regions)
    return cells64(*(value for pair in pairs for value in pair))


def _device(parent: Node, name: str, region: Region, *compatible: str) -> Node:
    return parent.add(f"{name}@{region.base:x}", compatible=strings(*compatible), reg=_reg(region))


def _interrupt(node: Node, controller: int, source: Interrupt) -> None:
    node.properties["interrupt-parent"] = cells(controller)
    node.properties["interrupts"] = cells(source)


def _pmu(root: Node, core: CoreConfig) -> None:
    from rtl.cpu_riscv64.interfaces import events_layout

    numbers = {name: n for n, (name, _) in enumerate(events_layout(), start=1)}
    programmable = ((1 << core.hpm_counters) - 1) << 3
    pmu = root.add("pmu", compatible=strings("riscv,pmu"))
    selectors, counters = [], [SBI_CYCLES, SBI_CYCLES, 1 << 0, SBI_INSTRUCTIONS, SBI_INSTRUCTIONS, 1 << 2]
    for event, name in SBI_EVENTS.items():
        selectors += [event, 0, numbers[name]]
        counters += [event, event, programmable]
    pmu.properties["riscv,event-to-mhpmevent"] = cells(*selectors)
    pmu.properties["riscv,event-to-mhpmcounters"] = cells(*counters)


def _pci(soc: Node, controller: int) -> None:
    node = _device(soc, "pci", memory_map.PCIE_ECAM, "pci-host-ecam-generic")
    low, high, io = memory_map.PCIE_MMIO, memory_map.PCIE_MMIO_HIGH, memory_map.PCIE_IO
    ranges = b"".join(
        cells(space) + cells64(bus_address, region.base, region.size)
        for space, bus_address, region in (
            (PCI_IO, 0, io),
            (PCI_MEMORY_32, low.base, low),
            (PCI_MEMORY_64, high.base, high),
        )
    )
    # Four devices show the pattern that the mask makes all follow.
    routes = b"".join(
        cells(device << 11, 0, 0, pin, controller, memory_map.pci_interrupt(device, pin))
        for device in range(4)
        for pin in range(1, 5)
    )
    node.properties |= {
        "device_type": strings("pci"),
        "#address-cells": cells(3),
        "#size-cells": cells(2),
        "#interrupt-cells": cells(1),
        "linux,pci-domain": cells(0),
        "bus-range": cells(0, memory_map.PCIE_ECAM.size // (1 << 20) - 1),
        "dma-coherent": b"",
        "ranges": ranges,
        "interrupt-map": routes,
        "interrupt-map-mask": cells(3 << 11, 0, 0, 7),
    }


def device_tree(
    config: SocConfig,
    *,
    ram_bytes: int | None = None,
    bootargs: str | None = None,
    initrd: tuple[int, int] | None = None,
    rng_seed: bytes | None = None,
) -> Node:
    """The device tree.

    config      of the SoC
    ram_bytes   RAM that is there; the configuration's default unless given
    bootargs    /chosen/bootargs
    initrd      first address and the one behind the last of an initial RAM disk
    rng_seed    randomness for the kernel; leave it out for runs that repeat exactly
    """
    core = config.core
    ram_bytes = config.ram_bytes if ram_bytes is None else ram_bytes
    cpu, intc, controller, test = 1, 2, 3, 4  # phandles

    root = Node("")
    root.properties |= {
        "#address-cells": cells(2),
        "#size-cells": cells(2),
        "compatible": strings("riscv-virtio"),
        "model": strings("riscv-virtio,qemu"),
    }
    if core.hpm_counters:
        _pmu(root, core)

    flash = root.add(f"flash@{memory_map.FLASH.base:x}", compatible=strings("cfi-flash"))
    bank = memory_map.FLASH.size // FLASH_BANKS
    flash.properties["reg"] = _reg(*((memory_map.FLASH.base + n * bank, bank) for n in range(FLASH_BANKS)))
    flash.properties["bank-width"] = cells(4)

    chosen = root.add("chosen")
    chosen.properties["stdout-path"] = strings(UART_PATH)
    if bootargs:
        chosen.properties["bootargs"] = strings(bootargs)
    if initrd is not None:
        chosen.properties["linux,initrd-start"] = cells64(initrd[0])
        chosen.properties["linux,initrd-end"] = cells64(initrd[1])
    if rng_seed is not None:
        chosen.properties["rng-seed"] = rng_seed

    for name, command in (("poweroff", sifive_test.Command.PASS), ("reboot", sifive_test.Command.RESET)):
        root.add(
            name,
            compatible=strings(f"syscon-{name}"),
            regmap=cells(test),
            offset=cells(sifive_test.Registers.finish.offset),
            value=cells(command),
        )

    memory = root.add(f"memory@{memory_map.DRAM_BASE:x}", reg=_reg((memory_map.DRAM_BASE, ram_bytes)))
    memory.properties["device_type"] = strings("memory")

    cpus = root.add("cpus")
    cpus.properties |= {
        "#address-cells": cells(1),
        "#size-cells": cells(0),
        "timebase-frequency": cells(memory_map.TIMEBASE_HZ),
    }
    hart = cpus.add(f"cpu@{core.hart_id:x}", phandle=cells(cpu), device_type=strings("cpu"), reg=cells(core.hart_id))
    hart.properties |= {
        "status": strings("okay"),
        "compatible": strings("riscv"),
        "riscv,isa": strings(isa_string(core)),
        "riscv,isa-base": strings(BASE_ISA),
        "riscv,isa-extensions": strings(*isa_extensions(core)),
        "mmu-type": strings("riscv,sv39"),
    }
    local = hart.add("interrupt-controller", compatible=strings("riscv,cpu-intc"), phandle=cells(intc))
    local.properties |= {"#interrupt-cells": cells(1), "#address-cells": cells(0), "interrupt-controller": b""}
    cpus.add("cpu-map").add("cluster0").add("core0", cpu=cells(cpu))

    soc = root.add("soc", compatible=strings("simple-bus"), ranges=b"")
    soc.properties |= {"#address-cells": cells(2), "#size-cells": cells(2)}

    rtc = _device(soc, "rtc", memory_map.RTC, "google,goldfish-rtc")
    _interrupt(rtc, controller, Interrupt.RTC)

    serial = _device(soc, "serial", memory_map.UART, "ns16550a")
    _interrupt(serial, controller, Interrupt.UART)
    serial.properties["clock-frequency"] = cells(CRYSTAL_HZ)

    finisher = _device(soc, "test", memory_map.FINISHER, "sifive,test1", "sifive,test0", "syscon")
    finisher.properties["phandle"] = cells(test)

    _pci(soc, controller)

    node = _device(soc, "plic", memory_map.PLIC, "sifive,plic-1.0.0", "riscv,plic0")
    node.properties |= {
        "phandle": cells(controller),
        "riscv,ndev": cells(plic.SOURCES),
        "interrupts-extended": cells(intc, EXTERNAL_M, intc, EXTERNAL_S),
        "interrupt-controller": b"",
        "#address-cells": cells(0),
        "#interrupt-cells": cells(1),
    }

    clint = _device(soc, "clint", memory_map.CLINT, "sifive,clint0", "riscv,clint0")
    clint.properties["interrupts-extended"] = cells(intc, SOFTWARE_M, intc, TIMER_M)
    return root
